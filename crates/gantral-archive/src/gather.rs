//! What artifacts refer to, and cannot be verified or understood without: it is in the archive before the head that names them.

use std::collections::{BTreeMap, BTreeSet};

use gantral_core::digest::Digest;
use gantral_core::event::Event;
use gantral_core::ids::{InstanceId, Name, TenantId};
use gantral_core::policy::PolicyVersionId;
use gantral_evidence::commitments::{ballot, policy};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::{Detail, GovernanceStatement};
use gantral_evidence::keys::KeyId;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_keys::Delegations;
use gantral_store::{ChainId, NumberedArtifact, Store, StoreError};

/// Why artifacts cannot be gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The store failed; worth another try.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger holds what was never sealed: nothing of the kind goes into an archive for good.
    #[error("artifact {number} of the ledger is damaged: {what}")]
    Damaged {
        /// Its number.
        number: u64,
        /// What is wrong.
        what: String,
    },
}

/// What an artifact of a governance chain refers to.
pub(crate) enum Referred {
    /// A policy bundle.
    Policy(PolicyVersionId),
    /// What the directory signed of an enrolment, by its entry.
    Enrolment(Digest),
}

impl Referred {
    /// Returns what an artifact refers to, if it is anything.
    pub(crate) const fn by(detail: &Detail) -> Option<Self> {
        match detail {
            Detail::PolicyActivated { version, .. } => Some(Self::Policy(*version)),
            Detail::Enrolled { entry, .. } => Some(Self::Enrolment(*entry)),
            Detail::KeyAdded { .. }
            | Detail::KeyRetired { .. }
            | Detail::KeyCompromised { .. }
            | Detail::ModeChanged { .. }
            | Detail::Frozen { .. }
            | Detail::Lifted { .. }
            | Detail::Delegated { .. }
            | Detail::DelegationRevoked { .. }
            | Detail::EnrolmentRevoked { .. }
            | Detail::Erased { .. } => None,
        }
    }
}

/// What artifacts refer to.
#[derive(Debug, Default)]
pub(crate) struct References {
    workflows: BTreeSet<Digest>,
    policies: BTreeSet<Digest>,
    enrolments: BTreeSet<Digest>,
    evidence: BTreeMap<InstanceId, BTreeSet<Digest>>,
    signers: BTreeSet<KeyId>,
    /// The gate that an artifact opens, by its number.
    gates: BTreeMap<u64, gantral_core::ids::GateId>,
}

impl References {
    /// Reads what artifacts of the ledger refer to. They are checked to be what they say, though not who signed them.
    ///
    /// # Errors
    /// `Damaged`.
    pub(crate) fn of(artifacts: &[NumberedArtifact]) -> Result<Self, GatherError> {
        let mut references = Self::default();
        for artifact in artifacts {
            let damaged = |what: String| GatherError::Damaged { number: artifact.number, what };
            let envelope =
                Envelope::parse(&artifact.sealed.envelope).map_err(|error| damaged(error.to_string()))?;
            if artifact_hash(&envelope.payload) != artifact.sealed.hash {
                return Err(damaged("it has another hash".to_owned()));
            }
            references.signers.extend(
                envelope.signatures.iter().filter_map(|signature| KeyId::parse(&signature.key_id).ok()),
            );
            match artifact.chain {
                ChainId::Instance(id) => {
                    let statement =
                        Statement::decode(&envelope.payload).map_err(|error| damaged(error.to_string()))?;
                    references.instance(id, artifact.number, &statement);
                }
                ChainId::Governance => {
                    let statement = GovernanceStatement::decode(&envelope.payload)
                        .map_err(|error| damaged(error.to_string()))?;
                    references.governance(&statement.detail);
                }
            }
        }
        Ok(references)
    }

    fn instance(&mut self, id: InstanceId, number: u64, statement: &Statement) {
        let event = &statement.entry.event;
        self.workflows.insert(statement.identity.workflow.digest);
        self.policies.extend(policy(event).map(|policy| policy.version.0));
        if let Some(ballot) = ballot(event) {
            self.enrolments.extend(ballot.directory_entry);
            self.evidence.entry(id).or_default().extend(ballot.evidence_digest);
        }
        if let Event::HumanRequired(detail) = event {
            self.gates.insert(number, detail.gate.id);
        }
    }

    fn governance(&mut self, detail: &Detail) {
        match Referred::by(detail) {
            Some(Referred::Policy(version)) => _ = self.policies.insert(version.0),
            Some(Referred::Enrolment(entry)) => _ = self.enrolments.insert(entry),
            None => {}
        }
    }

    /// Returns the names under which the referred to stands in an archive, but for delegations.
    pub(crate) fn names(&self) -> Vec<String> {
        let evidence = self.evidence.values().flatten().map(evidence_name);
        let mut names: Vec<String> = self.workflows.iter().map(workflow_name).collect();
        names.extend(self.policies.iter().map(policy_name));
        names.extend(self.enrolments.iter().map(enrolment_name));
        names.extend(evidence);
        names
    }

    /// Returns the names of the actions that gates are about, by the number of the artifact that opened each.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn actions(
        &self,
        store: &Store,
        tenant: &TenantId,
    ) -> Result<BTreeMap<u64, Name>, StoreError> {
        let mut actions = BTreeMap::new();
        for (number, gate) in &self.gates {
            if let Some(found) = store.gate(tenant, *gate).await? {
                actions.insert(*number, found.gate.action_name);
            }
        }
        Ok(actions)
    }

    /// Returns what is referred to and not in the archive yet, by its name. What the ledger does not have is left out: the verifier names it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn objects(
        &self,
        store: &Store,
        tenant: &TenantId,
        delegations: Option<&Delegations>,
        known: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let mut objects = BTreeMap::new();
        for digest in self.workflows.iter().filter(|digest| !known.contains(&workflow_name(digest))) {
            if let Some(row) = store.workflow_by_digest(tenant, *digest).await? {
                objects.insert(workflow_name(digest), row.definition);
            }
        }
        for version in self.policies.iter().filter(|version| !known.contains(&policy_name(version))) {
            if let Some(bytes) = store.policy_bundle(tenant, PolicyVersionId(*version)).await? {
                objects.insert(policy_name(version), bytes);
            }
        }
        for entry in self.enrolments.iter().filter(|entry| !known.contains(&enrolment_name(entry))) {
            let found = store.enrolment(tenant, *entry).await?;
            if let Some(envelope) = found.and_then(|found| found.envelope) {
                objects.insert(enrolment_name(entry), envelope);
            }
        }
        for (instance, digests) in &self.evidence {
            if digests.iter().all(|digest| known.contains(&evidence_name(digest))) {
                continue;
            }
            for (digest, content) in store.human_evidence(tenant, *instance).await? {
                let name = evidence_name(&digest);
                if digests.contains(&digest) && !known.contains(&name) {
                    objects.insert(name, content);
                }
            }
        }
        for kept in self.signers.iter().filter_map(|id| delegations?.find(id)) {
            objects.insert(delegation_name(&kept.envelope), kept.envelope.clone());
        }
        Ok(objects)
    }
}

/// Returns the name of a workflow definition, by its digest.
pub(crate) fn workflow_name(digest: &Digest) -> String {
    format!("workflows/{digest}.json")
}

/// Returns the name of a policy bundle, by its version.
pub(crate) fn policy_name(version: &Digest) -> String {
    format!("policies/{version}.tar")
}

/// Returns the name of what the directory signed of an enrolment, by its entry.
pub(crate) fn enrolment_name(entry: &Digest) -> String {
    format!("enrolments/{entry}.dsse.json")
}

/// Returns the name of what an authenticator said, by its digest.
pub(crate) fn evidence_name(digest: &Digest) -> String {
    format!("evidence/{digest}.json")
}

/// Returns the name of a delegation, by the digest of its envelope: one key may be given several, one after the other.
pub(crate) fn delegation_name(envelope: &[u8]) -> String {
    format!("delegations/{}.dsse.json", Digest::of(envelope))
}
