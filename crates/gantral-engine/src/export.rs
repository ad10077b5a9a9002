//! Evidence leaves the building: one instance as a bundle that a stranger verifies without us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantral_core::digest::{CommitmentLabel, commit};
use gantral_core::event::{Event, Parent};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_evidence::bundle::BundleWriter;
use gantral_evidence::commitments::{ballot, policy};
use gantral_evidence::container::{ContainerError, OwnedFiles, Scope};
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::log::tree::TreeHead;
use gantral_keys::KeptDelegation;
use gantral_store::{CHAIN_PAGE_MAX, SealedArtifact, SnapshotContent};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{open, signers};

/// How many parents of parents a bundle brings.
const PARENTS_MAX: usize = 16;

/// An instance on its way out: what the ledger holds of it. Proofs of the log are added by whoever keeps the log.
pub struct Export {
    /// The files so far.
    pub bundle: BundleWriter,
    /// Whether the chain has ended.
    pub scope: Scope,
    /// How many artifacts the chain has.
    pub artifacts: usize,
    /// How many artifacts of the governance chain are in the bundle.
    pub governance: usize,
    /// The trees that artifacts of the chain name, by rising size.
    pub anchors: Vec<TreeHead>,
}

impl Export {
    /// Writes the list of files and returns them all.
    ///
    /// # Errors
    /// `Damaged`: the whole is over a limit of a bundle.
    pub fn finish(self) -> Result<OwnedFiles, EngineError> {
        self.bundle.finish(self.scope).map_err(broken)
    }
}

fn broken(error: ContainerError) -> EngineError {
    EngineError::Damaged { what: error.to_string() }
}

impl Engine {
    /// Returns an instance as the files of a bundle: its chain, what is not erased of its disclosures, the definition
    /// of its workflow, its policy bundles, what authenticators said and the directory of them, the issuer's keys and their delegations, the governance chain, and the chains of
    /// those on whose behalf it ran.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn export(&self, tenant: &TenantId, id: InstanceId) -> Result<Export, EngineError> {
        let facts = self.instance(tenant, id).await?;
        let artifacts = self.chain(tenant, id).await?;
        let mut bundle = BundleWriter::new(id).map_err(broken)?;
        let mut inputs = Vec::new();
        let mut anchors = BTreeMap::new();
        let mut enrolments = BTreeSet::new();
        for artifact in &artifacts {
            let statement = open(artifact)?;
            anchors.extend(statement.anchor.map(|anchor| (anchor.size, anchor)));
            let event = statement.entry.event;
            enrolments.extend(ballot(&event).and_then(|ballot| ballot.directory_entry));
            inputs.extend(policy(&event).map(|policy| (policy.input, policy.version)));
            bundle.artifact(artifact.envelope.clone()).map_err(broken)?;
        }
        for snapshot in self.snapshots(tenant, id).await? {
            let SnapshotContent::Kept { salt, plaintext } = snapshot.content else { continue };
            // The context snapshot is the policy input: one row opens both commitments.
            let input = commit(CommitmentLabel::Input, &salt, &plaintext);
            if snapshot.label == CommitmentLabel::Context && inputs.iter().any(|(known, _)| *known == input) {
                let disclosure =
                    Disclosure { label: CommitmentLabel::Input, salt, plaintext: plaintext.clone() };
                bundle.disclosure(&disclosure).map_err(broken)?;
            }
            bundle.disclosure(&Disclosure { label: snapshot.label, salt, plaintext }).map_err(broken)?;
        }
        bundle.workflow(&facts.workflow.digest, facts.workflow.canonical.clone()).map_err(broken)?;
        for (_, version) in &inputs {
            if let Some(archive) = self.0.store.policy_bundle(tenant, *version).await? {
                bundle.policy(version, archive).map_err(broken)?;
            }
        }
        for (_, assertion) in self.0.store.human_evidence(tenant, id).await? {
            bundle.assertion(assertion).map_err(broken)?;
        }
        for entry in enrolments {
            let stored = self.0.store.enrolment(tenant, entry).await?;
            if let Some(envelope) = stored.and_then(|stored| stored.envelope) {
                bundle.enrolment(&entry, envelope).map_err(broken)?;
            }
        }
        self.add_delegations(artifacts.iter().map(|artifact| artifact.envelope.as_slice()), &mut bundle)?;
        for key in self.issuer_keys() {
            bundle.key(key).map_err(broken)?;
        }
        let scope = if facts.instance.state().is_final() { Scope::Complete } else { Scope::Prefix };
        let governance = self.add_governance(tenant, &mut bundle).await?;
        self.add_parents(tenant, facts.instance.created.parent.as_ref(), &mut bundle).await?;
        let anchors = anchors.into_values().collect();
        Ok(Export { bundle, scope, artifacts: artifacts.len(), governance, anchors })
    }

    /// Adds the chains of those on whose behalf the execution ran, each up to the artifact that it rests on.
    async fn add_parents(
        &self,
        tenant: &TenantId,
        parent: Option<&Parent>,
        bundle: &mut BundleWriter,
    ) -> Result<(), EngineError> {
        let mut next = parent.cloned();
        for _ in 0..PARENTS_MAX {
            let Some(parent) = next else { return Ok(()) };
            let mut chain = self.chain(tenant, parent.instance).await?;
            let named = chain.iter().position(|artifact| artifact.hash == parent.artifact_hash);
            // An artifact that is not there says nothing, and the verdict says that.
            let Some(named) = named else { return Ok(()) };
            chain.truncate(named.saturating_add(1));
            next = match chain.first().map(open).transpose()?.map(|first| first.entry.event) {
                Some(Event::Created(created)) => created.parent,
                _ => None,
            };
            self.add_delegations(chain.iter().map(|artifact| artifact.envelope.as_slice()), bundle)?;
            for (sequence, artifact) in chain.into_iter().enumerate() {
                bundle.parent(parent.instance, sequence, artifact.envelope).map_err(broken)?;
            }
        }
        Ok(())
    }

    /// Adds the governance chain; returns how many artifacts it has.
    async fn add_governance(
        &self,
        tenant: &TenantId,
        bundle: &mut BundleWriter,
    ) -> Result<usize, EngineError> {
        let mut chain = Vec::new();
        loop {
            let from = u64::try_from(chain.len()).unwrap_or(u64::MAX);
            let page = self.governance(tenant, from, CHAIN_PAGE_MAX).await?;
            let last = page.len() < CHAIN_PAGE_MAX;
            chain.extend(page.into_iter().map(|receipt| receipt.envelope));
            if last {
                break;
            }
        }
        let length = chain.len();
        self.add_delegations(chain.iter().map(Vec::as_slice), bundle)?;
        for envelope in chain {
            bundle.governance(envelope).map_err(broken)?;
        }
        Ok(length)
    }

    /// Adds the delegations of the keys that signed these envelopes.
    fn add_delegations<'e>(
        &self,
        envelopes: impl Iterator<Item = &'e [u8]>,
        bundle: &mut BundleWriter,
    ) -> Result<(), EngineError> {
        for kept in self.kept_delegations(envelopes)? {
            bundle.delegation(&kept.delegation.delegate.id(), kept.envelope.clone()).map_err(broken)?;
        }
        Ok(())
    }

    /// Returns the delegations of the keys that signed a chain, as envelopes.
    pub(crate) fn delegations_of(&self, chain: &[SealedArtifact]) -> Result<Vec<Vec<u8>>, EngineError> {
        let envelopes = chain.iter().map(|artifact| artifact.envelope.as_slice());
        Ok(self.kept_delegations(envelopes)?.into_iter().map(|kept| kept.envelope.clone()).collect())
    }

    /// Returns the delegations of the keys that signed these envelopes, as far as they are delegates.
    pub(crate) fn kept_delegations<'e>(
        &self,
        envelopes: impl Iterator<Item = &'e [u8]>,
    ) -> Result<Vec<Arc<KeptDelegation>>, EngineError> {
        let Some(kept) = &self.0.config.delegations else { return Ok(Vec::new()) };
        let mut ids = BTreeSet::new();
        for envelope in envelopes {
            ids.extend(signers(envelope)?);
        }
        Ok(ids.iter().filter_map(|id| kept.find(id)).collect())
    }
}
