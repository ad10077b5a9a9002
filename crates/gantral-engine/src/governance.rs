//! The governance chain: what changes the rules for everybody is sealed first, and true only with its artifact.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::event::Actor;
use gantral_core::ids::{ActorId, InstanceId, TenantId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::{
    DeclaredKey, Detail, GovernanceKind, GovernanceStatement, InForce, Scope,
};
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::seal::Unsigned;
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::KeyRole;
use gantral_identity::HumanSubject;
use gantral_keys::SigningContext;
use gantral_store::{
    CHAIN_PAGE_MAX, GovernanceAppend, GovernanceEffect, GovernanceOutcome, Head, SealedArtifact,
    SnapshotContent,
};

use crate::engine::{Call, DECISIONS_MAX, Engine};
use crate::error::EngineError;
use crate::loaded::is_signed;

/// The governance chain of one tenant, folded up to its head.
struct Governed {
    head: Option<Head>,
    last_at: UnixMillis,
    in_force: InForce,
}

type Slot = Arc<tokio::sync::Mutex<Option<Governed>>>;

/// The governance chains that this process has folded: one for each tenant.
#[derive(Default)]
pub(crate) struct Governance(Mutex<HashMap<TenantId, Slot>>);

impl Governance {
    fn slot(&self, tenant: &TenantId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(tenant.clone()).or_default())
    }
}

/// What a governance event is sealed with: what happened, and the rows that become true with it.
pub(crate) struct Act {
    pub(crate) detail: Detail,
    pub(crate) effects: Vec<GovernanceEffect>,
}

/// What was sealed on a governance chain: enough to find it again, and to show that it was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovernanceReceipt {
    /// The place in the chain.
    pub sequence: u64,
    /// The identity of the artifact.
    pub hash: Digest,
    /// What happened.
    pub event: GovernanceKind,
    /// Who did it.
    pub actor: ActorId,
    /// When.
    pub at: UnixMillis,
    /// The signed envelope.
    pub envelope: Vec<u8>,
}

impl GovernanceReceipt {
    fn of(statement: &GovernanceStatement, artifact: &SealedArtifact) -> Self {
        Self {
            sequence: artifact.sequence,
            hash: artifact.hash,
            event: statement.detail.kind(),
            actor: statement.actor.id.clone(),
            at: statement.at,
            envelope: artifact.envelope.clone(),
        }
    }
}

impl Engine {
    /// Seals what `decide` makes of what is in force, again when others were faster; `None` when there is nothing to do.
    async fn govern(
        &self,
        tenant: &TenantId,
        call: &mut Call,
        actor: &Actor,
        decide: impl Fn(&InForce) -> Option<Act> + Send,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        for _ in 0..DECISIONS_MAX {
            let slot = self.0.governance.slot(tenant);
            let mut slot = slot.lock().await;
            // Taken out, so that a caller who stops waiting leaves nothing half done in memory.
            let mut governed = match slot.take() {
                Some(governed) => governed,
                None => self.load_governance(tenant).await?,
            };
            let Some(act) = decide(&governed.in_force) else {
                *slot = Some(governed);
                return Ok(None);
            };
            let at = call.now.max(governed.last_at);
            let sequence = governed.head.map_or(0, |head| head.sequence.saturating_add(1));
            let statement = GovernanceStatement {
                artifact_id: call.fresh.artifact(at),
                tenant: tenant.clone(),
                origin: self.origin(tenant)?,
                sequence,
                previous: governed.head.map(|head| head.hash),
                actor: actor.clone(),
                detail: act.detail,
                justification: None,
                at,
                anchor: self.0.checkpoints.newest(tenant, 0),
                blind: call.fresh.bytes32(),
            };
            let unsigned = Unsigned::of_governance(&statement)?;
            let hash = unsigned.hash();
            governed
                .in_force
                .apply(&statement.detail, hash)
                .map_err(|fault| EngineError::Damaged { what: format!("the governance chain: {fault}") })?;
            let signature = self.0.signer.sign(SigningContext::Artifact, &unsigned.message()).await?;
            let envelope = unsigned.signed(signature.key_id, &signature.bytes).envelope;
            let sealed = SealedArtifact { sequence, hash, envelope };
            let receipt = GovernanceReceipt::of(&statement, &sealed);
            let append = GovernanceAppend {
                tenant: tenant.clone(),
                expected: governed.head,
                artifact: sealed,
                signer: signature.key_id.short(),
                effects: act.effects,
            };
            match self.0.store.append_governance(append).await? {
                GovernanceOutcome::Committed => {
                    governed.head = Some(Head { sequence, hash });
                    governed.last_at = at;
                    *slot = Some(governed);
                    self.0.registry.forget_governance(tenant);
                    return Ok(Some(receipt));
                }
                GovernanceOutcome::Moved(_) => {}
                GovernanceOutcome::Refused(effect) => return Err(refused(&effect)),
            }
        }
        Err(EngineError::Conflict)
    }

    /// Returns up to `limit` artifacts of a tenant's governance chain, from sequence `from`.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn governance(
        &self,
        tenant: &TenantId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<GovernanceReceipt>, EngineError> {
        let artifacts = self.0.store.governance_chain(tenant, from, limit).await?;
        let read = |artifact: &SealedArtifact| {
            let damaged = |what: String| EngineError::Damaged { what };
            let envelope = Envelope::parse(&artifact.envelope).map_err(|error| damaged(error.to_string()))?;
            let statement = GovernanceStatement::decode(&envelope.payload);
            let statement = statement.map_err(|error| damaged(error.to_string()))?;
            Ok(GovernanceReceipt::of(&statement, artifact))
        };
        artifacts.iter().map(read).collect()
    }

    /// Folds the stored chain. As with instances, the ledger is not trusted.
    async fn load_governance(&self, tenant: &TenantId) -> Result<Governed, EngineError> {
        let damaged = |what: String| EngineError::Damaged { what: format!("the governance chain: {what}") };
        let keys = self.keys();
        let mut governed = Governed { head: None, last_at: UnixMillis::EPOCH, in_force: InForce::default() };
        loop {
            let from = governed.head.map_or(0, |head| head.sequence.saturating_add(1));
            let page = self.0.store.governance_chain(tenant, from, CHAIN_PAGE_MAX).await?;
            let last = page.len() < CHAIN_PAGE_MAX;
            for artifact in page {
                let envelope =
                    Envelope::parse(&artifact.envelope).map_err(|error| damaged(error.to_string()))?;
                if !is_signed(&envelope, &keys) {
                    return Err(damaged("an artifact is not signed by a key of this store".to_owned()));
                }
                let statement = GovernanceStatement::decode(&envelope.payload)
                    .map_err(|error| damaged(error.to_string()))?;
                let follows = statement.previous == governed.head.map(|head| head.hash)
                    && statement.sequence == artifact.sequence
                    && statement.tenant == *tenant
                    && artifact_hash(&envelope.payload) == artifact.hash
                    && governed.last_at <= statement.at;
                if !follows {
                    return Err(damaged(format!(
                        "artifact {} does not follow the one before",
                        artifact.sequence
                    )));
                }
                governed
                    .in_force
                    .apply(&statement.detail, artifact.hash)
                    .map_err(|fault| damaged(fault.to_string()))?;
                governed.head = Some(artifact.head());
                governed.last_at = statement.at;
            }
            if last {
                let head = self.0.store.governance_head(tenant).await?;
                // The head is read after the chain and may have grown meanwhile, but never falls behind it.
                let behind = head.map(|head| head.sequence) < governed.head.map(|head| head.sequence);
                return if behind { Err(damaged("its head is gone".to_owned())) } else { Ok(governed) };
            }
        }
    }

    /// Puts a policy in force for a workflow; returns nothing when it is already.
    pub(crate) async fn activate(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        version: PolicyVersionId,
        actor: &Actor,
        call: &mut Call,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        let indexed = self.0.store.active_policy(tenant, workflow).await? == Some(version);
        let scope = Scope::Workflow(workflow.clone());
        let (at, by) = (call.now, actor.id.clone());
        self.govern(tenant, call, actor, |in_force| {
            let previous = in_force.policy_of(&scope);
            // Applying twice what is in force already is no change, and leaves no line in the history.
            if indexed && previous == Some(version) {
                return None;
            }
            let detail = Detail::PolicyActivated { scope: scope.clone(), version, previous };
            let (workflow, by) = (workflow.clone(), by.clone());
            Some(Act {
                detail,
                effects: vec![GovernanceEffect::ActivatePolicy { workflow, version, by, at }],
            })
        })
        .await
    }

    /// Freezes a tenant, or lifts its freeze; returns nothing when it is so already. While it is frozen nothing is assigned,
    /// resumed or consumed.
    ///
    /// # Errors
    /// `Conflict`: others were faster, repeat; the signer's and the store's.
    pub async fn set_frozen(
        &self,
        mut call: Call,
        tenant: &TenantId,
        actor: &Actor,
        frozen: bool,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        self.govern(tenant, &mut call, actor, |in_force| {
            let scope = Scope::Tenant;
            if in_force.is_frozen(&scope) == frozen {
                return None;
            }
            let epoch = in_force.epoch().saturating_add(1);
            let detail =
                if frozen { Detail::Frozen { scope, epoch } } else { Detail::Lifted { scope, epoch } };
            Some(Act { detail, effects: vec![GovernanceEffect::SetFreeze { frozen }] })
        })
        .await
    }

    /// Erases what a commitment of an instance stands for. Every chain still verifies; what was erased is named, so that it
    /// does not look like hiding.
    ///
    /// # Errors
    /// `NotFound` when there is nothing to erase; `Conflict`: repeat; the signer's and the store's.
    pub async fn erase_snapshot(
        &self,
        mut call: Call,
        tenant: &TenantId,
        actor: &Actor,
        instance: InstanceId,
        commitment: Digest,
    ) -> Result<GovernanceReceipt, EngineError> {
        let missing = || EngineError::NotFound { what: "the snapshot" };
        let snapshot = self.0.store.snapshot(tenant, instance, commitment).await?.ok_or_else(missing)?;
        let (label, at) = (snapshot.label, call.now);
        // The context that an approver is shown and the input that policy evaluated are one row under two labels.
        let twin = match &snapshot.content {
            SnapshotContent::Kept { salt, plaintext } if label == CommitmentLabel::Context => {
                Some(commit(CommitmentLabel::Input, salt, plaintext))
            }
            SnapshotContent::Kept { .. } | SnapshotContent::Erased { .. } => None,
        };
        let erased = self.govern(tenant, &mut call, actor, |_| {
            let detail = Detail::Erased { instance: Some(instance), commitment, label };
            Some(Act { detail, effects: vec![GovernanceEffect::EraseSnapshot { instance, commitment, at }] })
        });
        let erased = erased.await?.ok_or_else(missing)?;
        if let Some(commitment) = twin {
            let label = CommitmentLabel::Input;
            let said = self.govern(tenant, &mut call, actor, |_| {
                let detail = Detail::Erased { instance: Some(instance), commitment, label };
                Some(Act { detail, effects: Vec::new() })
            });
            said.await?;
        }
        Ok(erased)
    }

    /// Makes a human anonymous for ever: the salt behind their `person_id` is erased. Should they act again, they are another
    /// person.
    ///
    /// # Errors
    /// `NotFound` when nobody is known under this subject; `Conflict`: repeat; the signer's and the store's.
    pub async fn erase_person(
        &self,
        mut call: Call,
        tenant: &TenantId,
        actor: &Actor,
        human: &HumanSubject,
    ) -> Result<GovernanceReceipt, EngineError> {
        let missing = || EngineError::NotFound { what: "the person" };
        let salt = self.0.store.known_person(tenant, human.issuer(), human.subject()).await?;
        let commitment = commit(CommitmentLabel::Person, &salt.ok_or_else(missing)?, &human.person_bytes());
        let (issuer, subject) = (human.issuer().to_owned(), human.subject().to_owned());
        let erased = self.govern(tenant, &mut call, actor, |_| {
            let detail = Detail::Erased { instance: None, commitment, label: CommitmentLabel::Person };
            let (issuer, subject) = (issuer.clone(), subject.clone());
            Some(Act { detail, effects: vec![GovernanceEffect::ErasePerson { issuer, subject }] })
        });
        let erased = erased.await?.ok_or_else(missing)?;
        self.0.registry.forget_person(tenant, human);
        Ok(erased)
    }

    /// Sees to it that the chain names the keys that sign from now on: adds those that it does not know, and retires those of
    /// the same roles that are no longer used. Called when a server starts.
    ///
    /// # Errors
    /// `Damaged` when the chain cannot be relied on; the signer's and the store's.
    pub async fn declare_keys(
        &self,
        mut call: Call,
        tenant: &TenantId,
        keys: &[(PublicKey, KeyRole)],
    ) -> Result<(), EngineError> {
        let system = self.system().clone();
        loop {
            let declared = self.govern(tenant, &mut call, &system, |in_force| next_key(in_force, keys));
            if declared.await?.is_none() {
                break;
            }
        }
        let slot = self.0.governance.slot(tenant);
        let slot = slot.lock().await;
        let retired = |key: &PublicKey| {
            let governed = slot.as_ref()?;
            governed.in_force.key(&key.id()).filter(|declared| declared.retired)
        };
        match keys.iter().find(|(key, _)| retired(key).is_some()) {
            None => Ok(()),
            Some((key, _)) => Err(EngineError::Damaged {
                what: format!("key {} was retired by the governance chain and must not sign", key.id()),
            }),
        }
    }
}

impl Engine {
    /// Sees to it that the chain names the keys that were in other hands, each from an index of the log on. A key that the chain never
    /// named stays unnamed: nothing rests on it here. Called when a server starts.
    ///
    /// # Errors
    /// As [`Engine::declare_keys`].
    pub async fn declare_compromised(
        &self,
        mut call: Call,
        tenant: &TenantId,
        keys: &[(KeyId, u64)],
    ) -> Result<(), EngineError> {
        let system = self.system().clone();
        let missing = |in_force: &InForce| {
            let unsaid = |(key, index): &&(KeyId, u64)| {
                in_force
                    .key(key)
                    .is_some_and(|declared| declared.compromised_from.is_none_or(|from| from > *index))
            };
            let (key, from_index) = *keys.iter().find(unsaid)?;
            Some(Act { detail: Detail::KeyCompromised { key, from_index }, effects: Vec::new() })
        };
        while self.govern(tenant, &mut call, &system, missing).await?.is_some() {}
        Ok(())
    }
}

/// Returns the next key event that is missing; `None` when the chain says what is used.
fn next_key(in_force: &InForce, keys: &[(PublicKey, KeyRole)]) -> Option<Act> {
    let added = keys.iter().find(|(key, _)| in_force.key(&key.id()).is_none());
    let detail = match added {
        Some((key, role)) => Detail::KeyAdded { key: key.clone(), role: *role },
        None => {
            let roles = |role| keys.iter().any(|(_, used)| *used == role);
            let used = |id| keys.iter().any(|(key, _)| key.id() == id);
            let unused = |(key, declared): &(KeyId, DeclaredKey)| {
                !declared.retired && roles(declared.role) && !used(*key)
            };
            let (key, _) = in_force.keys().find(unused)?;
            Detail::KeyRetired { key }
        }
    };
    Some(Act { detail, effects: Vec::new() })
}

fn refused(effect: &GovernanceEffect) -> EngineError {
    match effect {
        GovernanceEffect::ActivatePolicy { .. } => EngineError::PolicyUnknown,
        GovernanceEffect::EraseSnapshot { .. } => EngineError::NotFound { what: "the snapshot" },
        GovernanceEffect::ErasePerson { .. } => EngineError::NotFound { what: "the person" },
        GovernanceEffect::SetFreeze { .. } => EngineError::Conflict,
    }
}
