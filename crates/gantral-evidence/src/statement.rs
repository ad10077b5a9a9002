//! The commitment artifact: what is signed about one authority event.
//!
//! An in-toto Statement v1 with a predicate of our own, in one spelling only. Its members are written by hand in
//! canonical order, never from a map, and read back strictly: `decode(encode(s)) == s`, and `encode(decode(b)) == b`
//! for everything that version 1.0 without extensions can say. Source: `spec/artifact.md`.

mod decode;
mod detail;
mod encode;
mod encode_detail;
mod matrix;

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::{Entry, Identity};
use gantral_core::ids::ArtifactId;
use gantral_core::json::ParseError;
use gantral_core::state::{EventKind, State};

use crate::log::tree::TreeHead;

pub use crate::fields::FieldError;
pub(crate) use decode::{Extended, read_actor, read_anchor, read_extended, read_extended_with, read_subject};
pub(crate) use encode::{
    actor as write_actor, anchor as write_anchor, opt_digest as write_opt_digest, uuid as write_uuid,
};
pub use matrix::{MATRIX, MatrixRow, Presence, members, published};

/// The type of the outer statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://gantral.dev/commitment/v1";
/// The version that this program writes, and the only one that it reads.
pub const ARTIFACT_VERSION: &str = "1.0";
/// What stands before the instance in the name of the subject.
pub const SUBJECT_PREFIX: &str = "urn:gantral:instance:";
/// The longest name of an issuer, in bytes.
pub const ISSUER_BYTES_MAX: usize = 256;
/// The most links of a requester chain, and the most references of one outcome.
pub const LIST_MAX: usize = 64;

/// One artifact, before it is signed and after it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Informational: the hash is the identity.
    pub artifact_id: ArtifactId,
    /// What never changes along the chain.
    pub identity: Identity,
    /// The place in the chain, from 0.
    pub sequence: u64,
    /// The hash of the artifact before; `None` only at 0.
    pub previous: Option<Digest>,
    /// The digest of the table and rules that the instance is pinned to.
    pub semantics: Digest,
    /// The state before; `None` only for `created`.
    pub from_state: Option<State>,
    /// The state after.
    pub state: State,
    /// What happened.
    pub entry: Entry,
    /// The newest published checkpoint that was known when sealing.
    pub anchor: Option<TreeHead>,
    /// 32 random bytes, so that the hash reveals nothing.
    pub blind: [u8; 32],
}

/// A statement as read, with what this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The statement.
    pub statement: Statement,
    /// The names in `ext`: extensions that may be ignored, and are.
    pub extensions: Vec<String>,
}

/// Why bytes are not a statement. The bytes are at fault; equal bytes give an equal error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Another version, statement type or predicate type: nothing is known about the content.
    #[error("member `{member}` has the unknown value `{found}`")]
    Unsupported {
        /// Which of them.
        member: &'static str,
        /// The value, cut to a length that can be shown.
        found: String,
    },
    /// Not in the artifact profile, or not in canonical form.
    #[error("payload is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// A member is missing, unknown, or not what it must be.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A member has a value, or none, against the matrix.
    #[error("event `{event}` {} `{member}`", if *.present { "must not have" } else { "must have" })]
    Matrix {
        /// The event.
        event: EventKind,
        /// The member of its detail.
        member: &'static str,
        /// Whether the member had a value.
        present: bool,
    },
    /// A member that repeats others disagrees with them.
    #[error("member `{0}` disagrees with the rest of the statement")]
    Disagrees(&'static str),
    /// An extension that must be understood, and is not.
    #[error("extension `{0}` must be understood and is unknown")]
    Critical(String),
}

impl Statement {
    /// Returns the canonical bytes: what is signed and hashed.
    pub fn encode(&self) -> Vec<u8> {
        encode::statement(self)
    }

    /// Reads a payload, ignoring extensions that may be ignored.
    ///
    /// # Errors
    /// The first thing that is wrong, versions first.
    pub fn decode(payload: &[u8]) -> Result<Self, StatementError> {
        Self::decode_extended(payload).map(|decoded| decoded.statement)
    }

    /// Reads a payload, and names the extensions that were ignored.
    ///
    /// # Errors
    /// The first thing that is wrong, versions first.
    pub fn decode_extended(payload: &[u8]) -> Result<Decoded, StatementError> {
        decode::statement(payload)
    }
}

/// Returns `SHA-256("gantral/artifact/v1" 00 payload)`: the identity of an artifact.
pub fn artifact_hash(payload: &[u8]) -> Digest {
    Hasher::new("gantral/artifact/v1").bytes(payload).finish()
}

#[cfg(test)]
mod tests;
