//! Four eyes: one person proposes a change of the rules, and another puts it in force. Source: `spec/governance.md` §8.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::Actor;
use gantral_core::ids::{ProposalId, TenantId};
use gantral_core::json::{ParseError, Profile, Writer, parse_canonical};
use gantral_core::state::ActorKind;
use gantral_core::time::UnixMillis;

use super::event::Detail;
use super::{GovernanceStatement, decode, encode};
use crate::fields::{FieldError, Fields};

/// Room for a typical proposal, so that writing one does not grow the buffer.
const TYPICAL_BYTES: usize = 1 << 10;
const MEMBERS: [&str; 7] =
    ["detail", "event", "expires_at", "follows", "proposal_id", "proposed_by", "tenant_id"];

/// Who proposed what somebody else put in force (G23).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposer {
    /// The human, with the role under which they proposed.
    pub actor: Actor,
    /// When.
    pub at: UnixMillis,
    /// Why: a commitment of label `justification`.
    pub justification: Option<Digest>,
}

/// How a governance artifact breaks the rule of four eyes (G24).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposerFault {
    /// One person on both sides.
    #[error("who proposed it put it in force, too")]
    SamePerson,
    /// No human put it in force.
    #[error("what a human proposed was put in force by no human")]
    NoHuman,
    /// In force before it was proposed.
    #[error("it was put in force before it was proposed")]
    Later,
}

impl GovernanceStatement {
    /// Checks that what was proposed was put in force by another human, and not before (G24).
    ///
    /// # Errors
    /// How it was not. Whoever sealed it is at fault.
    pub fn check_proposer(&self) -> Result<(), ProposerFault> {
        let Some(proposer) = &self.proposed_by else { return Ok(()) };
        if self.actor.kind != ActorKind::Human {
            return Err(ProposerFault::NoHuman);
        }
        // The identifier of a human is their `person_id`, whatever role or token they use.
        if self.actor.id == proposer.actor.id {
            return Err(ProposerFault::SamePerson);
        }
        if self.at < proposer.at { Err(ProposerFault::Later) } else { Ok(()) }
    }
}

/// A change of the rules that waits for a second person (G25). It is no artifact: nobody signs it, and nothing rests on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its name.
    pub id: ProposalId,
    /// The tenant.
    pub tenant: TenantId,
    /// What would be sealed.
    pub detail: Detail,
    /// The sequence of the newest governance artifact about the same thing when it was proposed; `None` where there was none.
    pub follows: Option<u64>,
    /// Who proposed it, when and why.
    pub proposer: Proposer,
    /// From when on it can no longer be put in force.
    pub expires_at: UnixMillis,
}

/// Why bytes are not a proposal. The bytes are at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// Not canonical JSON.
    #[error("the proposal is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// A member is missing, unknown, or not what it must be.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// An event that nobody proposes.
    #[error("`{event}` is no event that can be proposed")]
    Event {
        /// Its word.
        event: String,
    },
}

impl Proposal {
    /// Returns the canonical bytes: what a person reads who puts it in force.
    pub fn encode(&self) -> Vec<u8> {
        Writer::object(TYPICAL_BYTES, |out| {
            out.object("detail", |out| encode::detail(out, &self.detail));
            out.str("event", self.detail.kind().as_str());
            out.str("expires_at", &self.expires_at.to_text());
            match self.follows {
                Some(sequence) => _ = out.u64("follows", sequence),
                None => _ = out.opt_str("follows", None),
            }
            out.str("proposal_id", &self.id.to_string());
            out.object("proposed_by", |out| encode::proposer(out, &self.proposer));
            out.str("tenant_id", self.tenant.as_str());
        })
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProposalError> {
        let value = parse_canonical(bytes, &Profile::ARTIFACT)?;
        let fields = Fields::open(&value, "proposal", MEMBERS.into_iter())?;
        let kind: super::GovernanceKind = fields.get("event")?;
        if !kind.is_proposable() {
            return Err(ProposalError::Event { event: kind.as_str().to_string() });
        }
        Ok(Self {
            id: fields.get("proposal_id")?,
            tenant: fields.get("tenant_id")?,
            detail: decode::detail(kind, fields.value("detail")?)?,
            follows: fields.opt("follows")?,
            proposer: decode::proposer(fields.value("proposed_by")?)?,
            expires_at: fields.get("expires_at")?,
        })
    }

    /// Returns `SHA-256("gantral/proposal/v1" 00 bytes)`: what a confirmation names, so that what was read is what is confirmed.
    pub fn digest(&self) -> Digest {
        Hasher::new("gantral/proposal/v1").bytes(&self.encode()).finish()
    }
}
