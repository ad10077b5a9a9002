//! Sealing: a statement becomes signed bytes.
//!
//! In two steps, so that a signer may live in another process: [`Unsigned`] fixes the bytes and their hash, which is
//! all that the next artifact of the chain needs; the signature completes them. What a verifier would refuse for its
//! form is refused here, before anybody signs it.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::event::{Event, Launch};
use gantral_core::json::{ARTIFACT_BYTES_MAX, ARTIFACT_INTEGER_MAX};

use crate::dsse::{Envelope, EnvelopeSignature, PAYLOAD_TYPE, pae};
use crate::governance::{Detail, GovernanceStatement};
use crate::keys::KeyId;
use crate::mode_lease::ModeLease;
use crate::statement::{ISSUER_BYTES_MAX, LIST_MAX, Statement, artifact_hash};
use crate::window::WindowStatement;

/// The length of a signature, in bytes (Ed25519).
pub const SIGNATURE_BYTES: usize = 64;

/// Why a statement cannot be sealed. Whoever made the values is at fault; nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// An integer that not every JSON reader keeps exactly.
    #[error("member `{0}` is beyond 2^53 - 1")]
    Integer(&'static str),
    /// A text that an artifact may not carry.
    #[error("member `{0}` is not 1 to {ISSUER_BYTES_MAX} visible ASCII characters")]
    Text(&'static str),
    /// A list that is too long.
    #[error("member `{0}` has more than {LIST_MAX} elements")]
    List(&'static str),
    /// More bytes than an artifact may have.
    #[error("artifact is larger than {ARTIFACT_BYTES_MAX} bytes")]
    TooLarge,
}

/// The bytes of one artifact that waits for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    hash: Digest,
    payload: Vec<u8>,
}

/// One signed artifact, as it is stored and exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The identity of the artifact: what the next one names as its predecessor.
    pub hash: Digest,
    /// The canonical bytes of the statement.
    pub payload: Vec<u8>,
    /// The envelope with the payload and its signature.
    pub envelope: Vec<u8>,
}

impl Unsigned {
    /// Fixes the bytes of a statement.
    ///
    /// # Errors
    /// What a verifier would refuse; the same for the same statement.
    pub fn of(statement: &Statement) -> Result<Self, SealError> {
        check(statement)?;
        Self::of_payload(statement.encode())
    }

    /// Fixes the bytes of a governance statement.
    ///
    /// # Errors
    /// What a verifier would refuse; the same for the same statement.
    pub fn of_governance(statement: &GovernanceStatement) -> Result<Self, SealError> {
        integer("sequence", statement.sequence)?;
        integer("size", statement.anchor.map_or(0, |anchor| anchor.size))?;
        if let Some(issuer) = &statement.actor.issuer {
            text("issuer", issuer)?;
        }
        if let Some(issuer) = statement.proposed_by.as_ref().and_then(|by| by.actor.issuer.as_ref()) {
            text("issuer", issuer)?;
        }
        match &statement.detail {
            Detail::KeyCompromised { from_index, .. } => integer("from_index", *from_index)?,
            Detail::Frozen { epoch, .. } | Detail::Lifted { epoch, .. } => integer("epoch", *epoch)?,
            Detail::Delegated { roles, .. } => list("roles", roles.len())?,
            Detail::KeyAdded { .. }
            | Detail::KeyRetired { .. }
            | Detail::PolicyActivated { .. }
            | Detail::ModeChanged { .. }
            | Detail::DelegationRevoked { .. }
            | Detail::Enrolled { .. }
            | Detail::EnrolmentRevoked { .. }
            | Detail::Erased { .. } => {}
        }
        Self::of_payload(statement.encode())
    }

    /// Fixes the bytes of the statement of a window.
    ///
    /// # Errors
    /// What a verifier would refuse; the same for the same statement.
    pub fn of_window(statement: &WindowStatement) -> Result<Self, SealError> {
        integer("size", statement.anchor.map_or(0, |anchor| anchor.size))?;
        integer("count", statement.count)?;
        Self::of_payload(statement.encode())
    }

    /// Fixes the bytes of a mode lease.
    ///
    /// # Errors
    /// What a verifier would refuse; the same for the same lease.
    pub fn of_mode_lease(lease: &ModeLease) -> Result<Self, SealError> {
        integer("size", lease.anchor.map_or(0, |anchor| anchor.size))?;
        Self::of_payload(lease.encode())
    }

    fn of_payload(payload: Vec<u8>) -> Result<Self, SealError> {
        if payload.len() > ARTIFACT_BYTES_MAX {
            return Err(SealError::TooLarge);
        }
        Ok(Self { hash: artifact_hash(&payload), payload })
    }

    /// Returns the identity that the artifact will have.
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Returns the bytes to sign.
    pub fn message(&self) -> Vec<u8> {
        pae(PAYLOAD_TYPE, &self.payload)
    }

    /// Completes the artifact. That the signature is good is the signer's promise; a verifier finds out.
    pub fn signed(self, key_id: KeyId, signature: &[u8; SIGNATURE_BYTES]) -> Sealed {
        let signatures =
            alloc::vec![EnvelopeSignature { key_id: key_id.to_string(), signature: signature.to_vec() }];
        let envelope = Envelope { payload: self.payload, signatures };
        let bytes = envelope.encode();
        Sealed { hash: self.hash, payload: envelope.payload, envelope: bytes }
    }
}

/// Seals a statement with a signer that answers at once.
///
/// # Errors
/// As [`Unsigned::of`]; nothing was signed.
pub fn seal(
    statement: &Statement,
    key_id: KeyId,
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
) -> Result<Sealed, SealError> {
    let unsigned = Unsigned::of(statement)?;
    let signature = sign(&unsigned.message());
    Ok(unsigned.signed(key_id, &signature))
}

/// Checks what the types of the core do not rule out.
fn check(statement: &Statement) -> Result<(), SealError> {
    integer("sequence", statement.sequence)?;
    integer("size", statement.anchor.map_or(0, |anchor| anchor.size))?;
    if let Some(issuer) = &statement.entry.actor.issuer {
        text("issuer", issuer)?;
    }
    match &statement.entry.event {
        Event::Created(detail) => {
            list("requester", detail.requester.len())?;
            detail.requester.iter().try_for_each(|link| text("issuer", &link.issuer))
        }
        Event::Started(launch)
        | Event::Resumed(launch)
        | Event::Running(launch)
        | Event::AttemptAssigned(launch) => check_launch(launch),
        Event::HumanRequired(detail) => {
            detail.escalation.iter().try_for_each(|step| integer("duration_ms", step.duration.get()))
        }
        Event::Consumed(detail) => integer("freeze_epoch", detail.guard.freeze_epoch),
        Event::Outcome(detail) => {
            list("evidence", detail.evidence.len())?;
            integer("cost", detail.cost.unwrap_or(0))
        }
        Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Completed(_)
        | Event::Terminated(_)
        | Event::AttemptEnded(_)
        | Event::Allowed(_)
        | Event::Observed(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Reconciled(_)
        | Event::EvaluatorFailed(_) => Ok(()),
    }
}

fn check_launch(launch: &Launch) -> Result<(), SealError> {
    integer("lease_ms", launch.lease.map_or(0, |lease| lease.get()))
}

fn integer(member: &'static str, value: u64) -> Result<(), SealError> {
    if value <= ARTIFACT_INTEGER_MAX.unsigned_abs() { Ok(()) } else { Err(SealError::Integer(member)) }
}

fn text(member: &'static str, value: &str) -> Result<(), SealError> {
    let fits = (1..=ISSUER_BYTES_MAX).contains(&value.len());
    if fits && value.bytes().all(|b| b.is_ascii_graphic()) { Ok(()) } else { Err(SealError::Text(member)) }
}

fn list(member: &'static str, len: usize) -> Result<(), SealError> {
    if len <= LIST_MAX { Ok(()) } else { Err(SealError::List(member)) }
}
