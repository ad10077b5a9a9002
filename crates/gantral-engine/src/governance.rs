//! The governance chain: what changes the rules for everybody is sealed first, and true only with its artifact.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::event::Actor;
use gantral_core::ids::{ActorId, Name, TenantId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::Mode;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::{Detail, GovernanceKind, GovernanceStatement, InForce, Proposer, Scope};
use gantral_evidence::seal::Unsigned;
use gantral_keys::SigningContext;
use gantral_store::{
    CHAIN_PAGE_MAX, GovernanceAppend, GovernanceEffect, GovernanceOutcome, Guard, SealedArtifact,
    SnapshotContent,
};

use crate::engine::{Call, DECISIONS_MAX, Engine};
use crate::error::EngineError;
use crate::loaded::later;

mod delegations;
mod enrolments;
mod erasure;
mod four_eyes;
mod freezes;
mod keys;
mod proposals;
mod rules;
mod still;
mod topic;

pub(crate) use delegations::Lent;
pub use delegations::{DELEGATION_LONGEST_DEFAULT, DelegationView, NewDelegation};
pub use enrolments::{EnrolmentRequest, EnrolmentStanding, EnrolmentView};
pub use four_eyes::{EXPIRES_DEFAULT, FourEyes, FourEyesRules, OPEN_DEFAULT, Unfreeze};
pub use freezes::Freeze;
pub use proposals::{ProposalStanding, ProposalView, Ruled};
pub use rules::{Activation, ModeInForce, PolicyInForce};
pub(crate) use still::Still;
pub(crate) use topic::Governed;

/// What is in force in a tenant, and the head of the chain that says so. A hint: what rests on it commits under
/// [`InForceAt::guard`], and is decided anew where the chain has moved.
pub(crate) struct InForceAt {
    head: Option<Digest>,
    in_force: InForce,
}

impl InForceAt {
    /// Returns the hash of the newest governance artifact.
    pub(crate) const fn head(&self) -> Option<Digest> {
        self.head
    }

    /// Returns what must still stand when something that rests on this commits.
    pub(crate) const fn guard(&self) -> Guard {
        Guard::GovernanceHead(self.head)
    }

    /// Returns how often something was frozen or lifted.
    pub(crate) const fn epoch(&self) -> u64 {
        self.in_force.epoch()
    }

    /// Returns the policy that is in force for a workflow.
    ///
    /// # Errors
    /// `NoActivePolicy`.
    pub(crate) fn policy(&self, workflow: &Workflow) -> Result<PolicyVersionId, EngineError> {
        self.in_force.policy(&workflow.id, Some(&workflow.team)).ok_or(EngineError::NoActivePolicy)
    }

    /// Returns every scope, and every action of one, for which a mode was set, with the one in force.
    pub(crate) fn modes(&self) -> impl Iterator<Item = (&Scope, Option<&Name>, Mode)> {
        self.in_force.modes()
    }

    /// Returns whether what policy says of a workflow, or of one action of it, is enforced, or only observed.
    pub(crate) fn mode(&self, workflow: &Workflow, action: Option<&Name>) -> Mode {
        self.in_force.mode(&workflow.id, Some(&workflow.team), action)
    }

    /// Returns every scope that is frozen itself.
    pub(crate) fn frozen(&self) -> impl Iterator<Item = &Scope> {
        self.in_force.frozen()
    }

    /// Tells whether a workflow is frozen, by itself, by its team or by its tenant.
    pub(crate) fn freezes(&self, workflow: &Workflow) -> bool {
        self.in_force.freezes(&workflow.id, Some(&workflow.team))
    }
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

/// Who changes the rules, and why.
#[derive(Debug, Clone, Copy)]
pub struct Governor<'a> {
    /// Who does it.
    pub actor: &'a Actor,
    /// Why, in their words; kept beside the chain and erasable, committed to in the artifact.
    pub why: Option<&'a str>,
}

impl<'a> From<&'a Actor> for Governor<'a> {
    fn from(actor: &'a Actor) -> Self {
        Self { actor, why: None }
    }
}

/// What a governance event is sealed with: what happened, who proposed it, and the rows that become true with it.
struct Act {
    detail: Detail,
    proposed_by: Option<Proposer>,
    effects: Vec<GovernanceEffect>,
}

impl Act {
    /// Returns an act that one person decided.
    fn with(detail: Detail, effects: Vec<GovernanceEffect>) -> Self {
        Self { detail, proposed_by: None, effects }
    }
}

impl From<Detail> for Act {
    fn from(detail: Detail) -> Self {
        Self::with(detail, Vec::new())
    }
}

/// Who proposed what somebody else put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposerReceipt {
    /// As it is sealed.
    pub proposer: Proposer,
    /// Why, in their words; `None` when they said nothing, or it was erased.
    pub why: Option<String>,
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
    /// What was done.
    pub detail: Detail,
    /// The commitment to why they did it; `None` when they said nothing.
    pub justification: Option<Digest>,
    /// Why, in their words; `None` when they said nothing, or it was erased.
    pub why: Option<String>,
    /// Who proposed it, where two persons had to agree.
    pub proposed_by: Option<ProposerReceipt>,
    /// The signed envelope.
    pub envelope: Vec<u8>,
}

impl GovernanceReceipt {
    fn of(
        statement: &GovernanceStatement,
        artifact: &SealedArtifact,
        why: Option<String>,
        proposers_why: Option<String>,
    ) -> Self {
        let proposer = statement.proposed_by.clone();
        Self {
            sequence: artifact.sequence,
            hash: artifact.hash,
            event: statement.detail.kind(),
            actor: statement.actor.id.clone(),
            at: statement.at,
            detail: statement.detail.clone(),
            justification: statement.justification,
            why,
            proposed_by: proposer.map(|proposer| ProposerReceipt { proposer, why: proposers_why }),
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
        by: Governor<'_>,
        decide: impl Fn(&Governed) -> Result<Option<Act>, EngineError> + Send,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        for _ in 0..DECISIONS_MAX {
            let slot = self.0.governance.slot(tenant);
            let mut slot = slot.lock().await;
            // Taken out, so that a caller who stops waiting leaves nothing half done in memory.
            let mut governed = self.follow_governance(tenant, slot.take()).await?;
            let Some(mut act) = decide(&governed)? else {
                *slot = Some(governed);
                return Ok(None);
            };
            let justification = by.why.map(|why| {
                let (label, salt) = (CommitmentLabel::Justification, call.fresh.salt());
                let commitment = commit(label, &salt, why.as_bytes());
                let plaintext = why.as_bytes().to_vec();
                act.effects.push(GovernanceEffect::PutSnapshot { commitment, label, salt, plaintext });
                commitment
            });
            let at = governed.next_at(call.now);
            let sequence = governed.head.map_or(0, |head| head.sequence.saturating_add(1));
            let statement = GovernanceStatement {
                artifact_id: call.fresh.artifact(at),
                tenant: tenant.clone(),
                origin: self.origin(tenant)?,
                sequence,
                previous: governed.head.map(|head| head.hash),
                actor: by.actor.clone(),
                detail: act.detail,
                justification,
                proposed_by: act.proposed_by,
                at,
                anchor: later(self.0.checkpoints.newest(tenant, 0), governed.anchor),
                blind: call.fresh.bytes32(),
            };
            let unsigned = Unsigned::of_governance(&statement)?;
            let hash = unsigned.hash();
            let expected = governed.head;
            governed
                .advance(&statement, hash)
                .map_err(|fault| EngineError::Damaged { what: format!("the governance chain: {fault}") })?;
            let signature = self.0.signer.sign(SigningContext::Artifact, &unsigned.message()).await?;
            let envelope = unsigned.signed(signature.key_id, &signature.bytes).envelope;
            let sealed = SealedArtifact { sequence, hash, envelope };
            let proposers_why = act.effects.iter().find_map(|effect| kept_words(effect, &statement));
            let receipt =
                GovernanceReceipt::of(&statement, &sealed, by.why.map(str::to_owned), proposers_why);
            let append = GovernanceAppend {
                tenant: tenant.clone(),
                expected,
                artifact: sealed,
                signer: signature.key_id.short(),
                effects: act.effects,
            };
            match self.0.store.append_governance(append).await? {
                GovernanceOutcome::Committed => {
                    *slot = Some(governed);
                    self.0.registry.forget_in_force(tenant);
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
        let mut receipts = Vec::with_capacity(artifacts.len());
        for artifact in &artifacts {
            let damaged = |what: String| EngineError::Damaged { what };
            let envelope = Envelope::parse(&artifact.envelope).map_err(|error| damaged(error.to_string()))?;
            let statement = GovernanceStatement::decode(&envelope.payload);
            let statement = statement.map_err(|error| damaged(error.to_string()))?;
            let why = self.why(tenant, statement.justification).await?;
            let proposed = statement.proposed_by.as_ref().and_then(|by| by.justification);
            let proposers_why = self.why(tenant, proposed).await?;
            receipts.push(GovernanceReceipt::of(&statement, artifact, why, proposers_why));
        }
        Ok(receipts)
    }

    /// Returns what somebody wrote to justify a change of the rules; `None` when they wrote nothing, or it was erased.
    async fn why(
        &self,
        tenant: &TenantId,
        commitment: Option<Digest>,
    ) -> Result<Option<String>, EngineError> {
        let Some(commitment) = commitment else { return Ok(None) };
        let Some(snapshot) = self.0.store.governance_snapshot(tenant, commitment).await? else {
            return Ok(None);
        };
        match snapshot.content {
            SnapshotContent::Kept { salt, plaintext }
                if commit(CommitmentLabel::Justification, &salt, &plaintext) == commitment =>
            {
                Ok(String::from_utf8(plaintext).ok())
            }
            SnapshotContent::Kept { .. } => Err(EngineError::Damaged {
                what: format!("snapshot {commitment} of the governance chain does not match its commitment"),
            }),
            SnapshotContent::Erased { .. } => Ok(None),
        }
    }

    /// Returns what is in force in a tenant, as far as this process knows.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub(crate) async fn in_force(&self, tenant: &TenantId) -> Result<Arc<InForceAt>, EngineError> {
        if self.0.store.is_shared() {
            // Another server may have changed it. Whoever goes on would meet the guard that finds that out; whoever is refused, or only
            // looks, would not.
            self.forget_what_moved(tenant).await?;
        }
        if let Some(known) = self.0.registry.in_force(tenant) {
            return Ok(known);
        }
        let still = self.still(tenant).await?;
        let head = still.governed.head.map(|head| head.hash);
        let known = Arc::new(InForceAt { head, in_force: still.governed.in_force.clone() });
        self.0.registry.keep_in_force(tenant, Arc::clone(&known));
        Ok(known)
    }

    /// Returns what is in force where a workflow is not frozen.
    ///
    /// Only a hint that lets a command go on is believed: one that refuses would never meet the guard that finds it stale.
    ///
    /// # Errors
    /// `Frozen`; `Damaged`; the store's.
    pub(crate) async fn unfrozen(
        &self,
        tenant: &TenantId,
        workflow: &Workflow,
    ) -> Result<Arc<InForceAt>, EngineError> {
        let known = self.in_force(tenant).await?;
        if !known.freezes(workflow) {
            return Ok(known);
        }
        self.0.registry.forget_in_force(tenant);
        let known = self.in_force(tenant).await?;
        if known.freezes(workflow) { Err(EngineError::Frozen) } else { Ok(known) }
    }

    /// Folds what the stored chain has behind `known`, or all of it. As with instances, the ledger is not trusted.
    async fn follow_governance(
        &self,
        tenant: &TenantId,
        known: Option<Governed>,
    ) -> Result<Governed, EngineError> {
        let damaged = |what: String| EngineError::Damaged { what: format!("the governance chain: {what}") };
        let keys = self.keys();
        let mut governed = known.unwrap_or_default();
        if governed.head.is_some() && governed.head == self.0.store.governance_head(tenant).await? {
            return Ok(governed);
        }
        loop {
            let from = governed.head.map_or(0, |head| head.sequence.saturating_add(1));
            let page = self.0.store.governance_chain(tenant, from, CHAIN_PAGE_MAX).await?;
            let last = page.len() < CHAIN_PAGE_MAX;
            for artifact in page {
                governed.follow(tenant, &artifact, &keys).map_err(damaged)?;
            }
            if last {
                let head = self.0.store.governance_head(tenant).await?;
                // The head is read after the chain and may have grown meanwhile, but never falls behind it.
                let behind = head.map(|head| head.sequence) < governed.head.map(|head| head.sequence);
                return if behind { Err(damaged("its head is gone".to_owned())) } else { Ok(governed) };
            }
        }
    }
}

fn refused(effect: &GovernanceEffect) -> EngineError {
    match effect {
        GovernanceEffect::EraseSnapshot { .. } => EngineError::NotFound { what: "the snapshot" },
        GovernanceEffect::ErasePerson { .. } => EngineError::NotFound { what: "the person" },
        GovernanceEffect::SignEnrolment { .. } => EngineError::NotFound { what: "what was to be enrolled" },
        GovernanceEffect::PutSnapshot { .. }
        | GovernanceEffect::ConfirmProposal { .. }
        | GovernanceEffect::EndProposalsOf { .. } => EngineError::Conflict,
    }
}

/// Returns the words of the proposer, which an effect keeps beside the artifact.
fn kept_words(effect: &GovernanceEffect, statement: &GovernanceStatement) -> Option<String> {
    let of = statement.proposed_by.as_ref()?.justification?;
    match effect {
        GovernanceEffect::PutSnapshot { commitment, plaintext, .. } if *commitment == of => {
            String::from_utf8(plaintext.clone()).ok()
        }
        GovernanceEffect::PutSnapshot { .. }
        | GovernanceEffect::EraseSnapshot { .. }
        | GovernanceEffect::ErasePerson { .. }
        | GovernanceEffect::ConfirmProposal { .. }
        | GovernanceEffect::SignEnrolment { .. }
        | GovernanceEffect::EndProposalsOf { .. } => None,
    }
}
