//! The governance chain of a tenant: what is recorded of the rules themselves, and what is in force at each place of it.
//!
//! The same envelope, hash and log as an instance's artifacts, with a statement of its own. Source: `spec/governance.md`.

mod decode;
mod encode;
mod event;
mod fold;
mod proposal;

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::event::Actor;
use gantral_core::ids::{ArtifactId, LogOrigin, TenantId};
use gantral_core::time::UnixMillis;

use crate::log::tree::TreeHead;
use crate::statement::StatementError;

pub use event::{Detail, GovernanceKind, Scope};
pub use fold::{DeclaredKey, Delegation, GovernanceFault, InForce};
pub use proposal::{Proposal, ProposalError, Proposer, ProposerFault};

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://gantral.dev/governance/v1";
/// What stands before the tenant in the name of the subject.
pub const SUBJECT_PREFIX: &str = "urn:gantral:tenant:";

/// One governance artifact, before it is signed and after it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovernanceStatement {
    /// Informational: the hash is the identity.
    pub artifact_id: ArtifactId,
    /// The tenant.
    pub tenant: TenantId,
    /// The log that the artifact belongs to.
    pub origin: LogOrigin,
    /// The place in the chain, from 0.
    pub sequence: u64,
    /// The hash of the artifact before; `None` only at 0.
    pub previous: Option<Digest>,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub detail: Detail,
    /// Why: a commitment of label `justification`.
    pub justification: Option<Digest>,
    /// Who proposed it, where two persons had to agree; `actor` is then who put it in force.
    pub proposed_by: Option<Proposer>,
    /// When.
    pub at: UnixMillis,
    /// The newest published checkpoint that was known when sealing.
    pub anchor: Option<TreeHead>,
    /// 32 random bytes, so that the hash reveals nothing.
    pub blind: [u8; 32],
}

impl GovernanceStatement {
    /// Returns the canonical bytes: what is signed and hashed.
    pub fn encode(&self) -> Vec<u8> {
        encode::statement(self)
    }

    /// Reads a payload, ignoring extensions that may be ignored.
    ///
    /// # Errors
    /// The first thing that is wrong, versions first.
    pub fn decode(payload: &[u8]) -> Result<Self, StatementError> {
        Self::decode_extended(payload).map(|(statement, _)| statement)
    }

    /// Reads a payload, and names the extensions that were ignored.
    ///
    /// # Errors
    /// The first thing that is wrong, versions first.
    pub fn decode_extended(payload: &[u8]) -> Result<(Self, Vec<String>), StatementError> {
        decode::statement(payload)
    }
}

#[cfg(test)]
mod tests;
