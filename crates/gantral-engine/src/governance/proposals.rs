//! Changes of the rules that wait for a second person. Source: `spec/governance.md` §8.

use gantral_core::digest::{CommitmentLabel, Digest, Hasher, commit};
use gantral_core::event::Actor;
use gantral_core::ids::{ActorId, ProposalId, TenantId};
use gantral_core::state::ActorKind;
use gantral_core::time::UnixMillis;
use gantral_evidence::governance::{Detail, Proposal, Proposer};
use gantral_store::{
    GovernanceEffect, NewProposal, ProposalEnding, ProposalOutcome, ProposalReason, StoredProposal,
};

use super::{Act, GovernanceReceipt, Governed, Governor};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

/// What came of a change of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruled {
    /// It was so already.
    Same,
    /// It is sealed, and in force.
    Sealed(Box<GovernanceReceipt>),
    /// It is not in force: a second person must confirm it.
    Proposed(Box<ProposalView>),
}

impl Ruled {
    /// Returns what was sealed.
    pub fn sealed(self) -> Option<GovernanceReceipt> {
        match self {
            Self::Sealed(receipt) => Some(*receipt),
            Self::Same | Self::Proposed(_) => None,
        }
    }
}

impl From<Option<GovernanceReceipt>> for Ruled {
    fn from(sealed: Option<GovernanceReceipt>) -> Self {
        sealed.map_or(Self::Same, |receipt| Self::Sealed(Box::new(receipt)))
    }
}

/// Whether a proposal can still be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalStanding {
    /// It can.
    Open,
    /// It has ended.
    Ended {
        /// How.
        how: ProposalEnding,
        /// When.
        at: UnixMillis,
        /// Who ended it; `None` when nobody did.
        by: Option<ActorId>,
        /// The sequence of the governance artifact that was sealed with it.
        sealed: Option<u64>,
    },
}

/// A proposal, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalView {
    /// What is proposed, by whom and when.
    pub proposal: Proposal,
    /// What a confirmation names.
    pub digest: Digest,
    /// Why, in the words of who proposes it; `None` when they said nothing, or it has ended.
    pub why: Option<String>,
    /// How it stands.
    pub standing: ProposalStanding,
    /// Where a list goes on: before this number.
    pub number: u64,
    reason: Option<ProposalReason>,
}

impl ProposalView {
    /// Reads a stored proposal as it stands at `now`.
    fn read(stored: StoredProposal, now: UnixMillis) -> Result<Self, EngineError> {
        let proposal = Proposal::decode(&stored.body);
        let proposal = proposal.map_err(|error| EngineError::Damaged { what: error.to_string() })?;
        let standing = match stored.end {
            Some(end) => ProposalStanding::Ended { how: end.how, at: end.at, by: end.by, sealed: end.sealed },
            None if proposal.expires_at <= now => {
                let (how, at) = (ProposalEnding::Expired, proposal.expires_at);
                ProposalStanding::Ended { how, at, by: None, sealed: None }
            }
            None => ProposalStanding::Open,
        };
        let reason = stored.reason.filter(|_| standing == ProposalStanding::Open);
        let why = reason.as_ref().and_then(|reason| String::from_utf8(reason.text.clone()).ok());
        let (digest, number) = (proposal.digest(), stored.number);
        Ok(Self { proposal, digest, why, standing, number, reason })
    }
}

impl Engine {
    /// Seals what `decide` makes of what is in force, or proposes it where it takes two persons.
    pub(super) async fn rule(
        &self,
        tenant: &TenantId,
        call: &mut Call,
        by: Governor<'_>,
        takes_two: bool,
        decide: impl Fn(&Governed) -> Result<Option<Detail>, EngineError> + Send + Sync,
    ) -> Result<Ruled, EngineError> {
        if takes_two {
            return self.propose(tenant, call, by, decide).await;
        }
        Ok(self.govern(tenant, call, by, |governed| Ok(decide(governed)?.map(Act::from))).await?.into())
    }

    pub(super) async fn propose(
        &self,
        tenant: &TenantId,
        call: &mut Call,
        by: Governor<'_>,
        decide: impl Fn(&Governed) -> Result<Option<Detail>, EngineError> + Send + Sync,
    ) -> Result<Ruled, EngineError> {
        is_human(by.actor)?;
        let still = self.still(tenant).await?;
        let Some(detail) = decide(&still.governed)? else { return Ok(Ruled::Same) };
        let follows = still.governed.newest_about(&detail);
        drop(still);

        let rules = self.0.config.four_eyes.of(tenant);
        let reason = by.why.map(|why| {
            let (salt, text) = (call.fresh.salt(), why.as_bytes().to_vec());
            let commitment = commit(CommitmentLabel::Justification, &salt, &text);
            ProposalReason { commitment, salt, text }
        });
        let justification = reason.as_ref().map(|reason| reason.commitment);
        let proposal = Proposal {
            id: call.fresh.proposal(),
            tenant: tenant.clone(),
            detail,
            follows,
            proposer: Proposer { actor: by.actor.clone(), at: call.now, justification },
            expires_at: call.now.plus(rules.expires),
        };
        let new = NewProposal {
            tenant: tenant.clone(),
            id: proposal.id,
            same: same(&proposal),
            proposer: by.actor.id.clone(),
            body: proposal.encode(),
            reason,
            at: call.now,
            expires_at: proposal.expires_at,
            tell: self.tell_proposal(tenant, &proposal.detail).await?,
        };
        let view = match self.0.store.put_proposal(new, rules.open_max).await? {
            ProposalOutcome::Made => self.proposal(tenant, proposal.id, call.now).await?,
            ProposalOutcome::Same(stored) => ProposalView::read(stored, call.now)?,
            ProposalOutcome::Full => return Err(EngineError::ProposalsFull { most: rules.open_max }),
        };
        Ok(Ruled::Proposed(Box::new(view)))
    }

    /// Returns a proposal as it stands at `now`.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn proposal(
        &self,
        tenant: &TenantId,
        id: ProposalId,
        now: UnixMillis,
    ) -> Result<ProposalView, EngineError> {
        let stored = self.0.store.proposal(tenant, id).await?;
        ProposalView::read(stored.ok_or(EngineError::NotFound { what: "the proposal" })?, now)
    }

    /// Returns up to `limit` proposals as they stand at `now`, from the newest, made before the one with number `before`; with `open`
    /// only those that can still be confirmed.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn proposals(
        &self,
        tenant: &TenantId,
        now: UnixMillis,
        open: bool,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<ProposalView>, EngineError> {
        let found = self.0.store.list_proposals(tenant, open.then_some(now), before, limit).await?;
        found.into_iter().map(|stored| ProposalView::read(stored, now)).collect()
    }

    /// Puts in force what somebody else proposed, which `digest` says was read. The end of the proposal and the artifact are one
    /// transaction; confirming again what the same person has confirmed gives the same receipt.
    ///
    /// # Errors
    /// `NotFound`; `ProposalDiffers`; `SamePerson`; `ProposalEnded`; `ProposalMoved` when what it is about was changed since;
    /// `PolicyUnknown`, `PolicyUnsigned`, `PolicyUnpinned`; `Conflict`: repeat; the signer's and the store's.
    pub async fn confirm_proposal(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        id: ProposalId,
        digest: Digest,
    ) -> Result<GovernanceReceipt, EngineError> {
        is_human(by.actor)?;
        let view = self.proposal(tenant, id, call.now).await?;
        if view.digest != digest {
            return Err(EngineError::ProposalDiffers);
        }
        if view.proposal.proposer.actor.id == by.actor.id {
            return Err(EngineError::SamePerson { why: "who proposes something does not confirm it" });
        }
        if let ProposalStanding::Ended { .. } = view.standing {
            return self.ended(tenant, by.actor, view).await;
        }
        if let Detail::PolicyActivated { version, .. } = &view.proposal.detail {
            self.may_be_in_force(tenant, *version).await?;
        }
        let at = call.now;
        // A clock that went back since must not put it in force before it was proposed.
        call.now = at.max(view.proposal.proposer.at);
        let (proposal, reason) = (&view.proposal, &view.reason);
        let sealed = self.govern(tenant, call, by, |governed| {
            let newest = governed.newest_about(&proposal.detail);
            if newest != proposal.follows {
                return Err(EngineError::ProposalMoved { changed: newest });
            }
            let confirm = GovernanceEffect::ConfirmProposal { id, at, by: by.actor.id.clone() };
            let keep = reason.as_ref().map(|reason| GovernanceEffect::PutSnapshot {
                commitment: reason.commitment,
                label: CommitmentLabel::Justification,
                salt: reason.salt,
                plaintext: reason.text.clone(),
            });
            let effects = std::iter::once(confirm).chain(keep).collect();
            let (detail, proposed_by) = (proposal.detail.clone(), Some(proposal.proposer.clone()));
            Ok(Some(Act { detail, proposed_by, effects }))
        });
        match sealed.await {
            Ok(sealed) => sealed.ok_or(EngineError::Conflict),
            // Somebody else may have been faster, and that is then the answer.
            Err(error @ (EngineError::Conflict | EngineError::ProposalMoved { .. })) => {
                let view = self.proposal(tenant, id, at).await?;
                match view.standing {
                    ProposalStanding::Open => Err(error),
                    ProposalStanding::Ended { .. } => self.ended(tenant, by.actor, view).await,
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Answers whoever confirms what has ended: with the receipt, if they confirmed it themselves.
    async fn ended(
        &self,
        tenant: &TenantId,
        actor: &Actor,
        view: ProposalView,
    ) -> Result<GovernanceReceipt, EngineError> {
        let ProposalStanding::Ended { how, at, by, sealed } = view.standing else {
            return Err(EngineError::Conflict);
        };
        if let Some(sequence) = sealed.filter(|_| by.as_ref() == Some(&actor.id)) {
            let receipts = self.governance(tenant, sequence, 1).await?;
            let what = format!("governance artifact {sequence} is gone");
            return receipts.into_iter().next().ok_or(EngineError::Damaged { what });
        }
        Err(EngineError::ProposalEnded { how, at, by, sealed })
    }

    /// Takes a proposal back, as the person who made it; returns it as it stands then. Taking it back again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for anybody else; `ProposalEnded` when it ended otherwise; the store's.
    pub async fn withdraw_proposal(
        &self,
        tenant: &TenantId,
        by: &Actor,
        id: ProposalId,
        now: UnixMillis,
    ) -> Result<ProposalView, EngineError> {
        let view = self.proposal(tenant, id, now).await?;
        if view.proposal.proposer.actor.id != by.id {
            return Err(EngineError::Forbidden { why: "only who proposed it can take it back" });
        }
        self.0.store.withdraw_proposal(tenant, id, now, by.id.clone()).await?;
        let view = self.proposal(tenant, id, now).await?;
        match &view.standing {
            ProposalStanding::Ended { how: ProposalEnding::Withdrawn, .. } => Ok(view),
            ProposalStanding::Ended { how, at, by, sealed } => {
                Err(EngineError::ProposalEnded { how: *how, at: *at, by: by.clone(), sealed: *sealed })
            }
            ProposalStanding::Open => Err(EngineError::Conflict),
        }
    }
}

/// Refuses machines: only humans propose and confirm.
fn is_human(actor: &Actor) -> Result<(), EngineError> {
    match actor.kind {
        ActorKind::Human => Ok(()),
        ActorKind::Workload | ActorKind::Runner | ActorKind::System => {
            Err(EngineError::Forbidden { why: "only humans propose and confirm" })
        }
    }
}

/// Returns what proposals of the same change upon the same ground have in common, whoever makes them.
fn same(proposal: &Proposal) -> Digest {
    let follows = proposal.follows.map_or_else(Vec::new, |sequence| sequence.to_be_bytes().to_vec());
    Hasher::new("gantral/proposal/same/v1")
        .text(proposal.detail.kind().as_str())
        .bytes(&proposal.detail.to_canonical())
        .bytes(&follows)
        .finish()
}
