//! What a trusted issuer signed, whichever chain it is a link of.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::json::ParseClass;
use gantral_core::time::UnixMillis;

use super::authenticate::{code_of, judge};
use super::code::Code;
use super::finding::{Findings, Place};
use super::keyring::{Keyring, Signer};
use super::places::Placed;
use crate::dsse::{Envelope, EnvelopeError};
use crate::governance::GovernanceStatement;
use crate::keyring::KnownKey;
use crate::keys::KeyId;
use crate::log::leaf::Leaf;
use crate::statement::{Statement, StatementError, artifact_hash};

/// What an artifact says, as far as its signature and its place in the log go.
pub(super) trait Body: Sized {
    /// Reads a payload, and names the extensions that were ignored.
    fn read(payload: &[u8]) -> Result<(Self, Vec<String>), StatementError>;
    /// Returns the place in the chain.
    fn sequence(&self) -> u64;
    /// Returns whose it is, and in which log.
    fn scope(&self) -> (&TenantId, &LogOrigin);
    /// Returns when it was issued.
    fn at(&self) -> UnixMillis;
    /// Returns the leaf that follows from it.
    fn leaf(&self, hash: Digest, issuer: KeyId) -> Leaf;
    /// Returns how a finding names the artifact with a sequence.
    fn place(sequence: u64) -> Place;
}

impl Body for Statement {
    fn read(payload: &[u8]) -> Result<(Self, Vec<String>), StatementError> {
        Self::decode_extended(payload).map(|decoded| (decoded.statement, decoded.extensions))
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn scope(&self) -> (&TenantId, &LogOrigin) {
        (&self.identity.tenant, &self.identity.origin)
    }

    fn at(&self) -> UnixMillis {
        self.entry.at
    }

    fn leaf(&self, hash: Digest, issuer: KeyId) -> Leaf {
        Leaf::of_artifact(self, hash, issuer)
    }

    fn place(sequence: u64) -> Place {
        Place::Artifact(sequence)
    }
}

impl Body for GovernanceStatement {
    fn read(payload: &[u8]) -> Result<(Self, Vec<String>), StatementError> {
        Self::decode_extended(payload)
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn scope(&self) -> (&TenantId, &LogOrigin) {
        (&self.tenant, &self.origin)
    }

    fn at(&self) -> UnixMillis {
        self.at
    }

    fn leaf(&self, hash: Digest, issuer: KeyId) -> Leaf {
        Leaf::of_governance(self, hash, issuer)
    }

    fn place(sequence: u64) -> Place {
        Place::Governance(sequence)
    }
}

/// An artifact that a trusted issuer signed.
#[derive(Debug, Clone)]
pub(super) struct Artifact<S = Statement> {
    pub(super) hash: Digest,
    pub(super) statement: S,
    /// Who it counts as signed by.
    pub(super) signer: Signer,
    /// Who else signed it, with a key that could stand in its leaf.
    pub(super) cosigners: Vec<Signer>,
    /// Where it is in the log, once that is known.
    pub(super) placed: Option<Placed>,
}

impl<S: Body> Artifact<S> {
    /// Returns what these keys signed.
    pub(super) fn signed(payload: &[u8], statement: S, key: &KnownKey<'_>, others: &[KnownKey<'_>]) -> Self {
        let (tenant, origin) = statement.scope();
        let signer_of = |key: &KnownKey<'_>| key.signer_of(tenant, origin, statement.at());
        let (signer, cosigners) = (signer_of(key), others.iter().map(signer_of).collect());
        Self { hash: artifact_hash(payload), statement, signer, cosigners, placed: None }
    }

    /// Reads a file that is named by its place in a chain; returns the row of the verdict table if it does not count.
    pub(super) fn open(
        path: &str,
        content: &[u8],
        keys: &Keyring<'_>,
        findings: &mut Findings,
    ) -> Result<(Self, Vec<String>), (Code, String)> {
        let envelope =
            Envelope::parse(content).map_err(|error| (code_of_envelope(&error), error.to_string()))?;
        let signed = judge(Some(path), &envelope, keys, findings).by_issuer();
        let (key, others) = signed.map_err(|code| (code, code.meaning().to_string()))?;
        let (statement, extensions) =
            S::read(&envelope.payload).map_err(|error| (code_of(&error), error.to_string()))?;
        Ok((Self::signed(&envelope.payload, statement, &key, &others), extensions))
    }

    /// Returns how a finding names it.
    pub(super) fn place(&self) -> Place {
        S::place(self.statement.sequence())
    }

    /// Returns the leaves that it may have: one for each key that signed it.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (KeyId, Leaf)> {
        let signers = core::iter::once(&self.signer).chain(&self.cosigners);
        signers.map(|signer| (signer.id, self.statement.leaf(self.hash, signer.id)))
    }

    /// Returns its leaf by the key that it counts as signed by; the tag is the same by any.
    pub(super) fn leaf(&self) -> Leaf {
        self.statement.leaf(self.hash, self.signer.id)
    }

    /// Returns its index in the log, if that is known.
    pub(super) fn index(&self) -> Option<u64> {
        self.placed.map(|placed| placed.index)
    }

    /// Tells whether nothing but a key that a thief has vouches for the artifact.
    pub(super) const fn may_be_a_thiefs(&self) -> bool {
        self.signer.window.compromised_from.is_some() && self.placed.is_none()
    }

    /// Takes as the signer whoever has this key.
    pub(super) fn attribute(&mut self, id: KeyId) {
        if let Some(other) = self.cosigners.iter_mut().find(|other| other.id == id) {
            core::mem::swap(&mut self.signer, other);
        }
    }
}

/// Returns the row of the verdict table for a file that is no envelope of ours.
pub(crate) const fn code_of_envelope(error: &EnvelopeError) -> Code {
    match error {
        EnvelopeError::PayloadType(_) => Code::Unsupported,
        EnvelopeError::Limit(_) => Code::Limit,
        EnvelopeError::Json(error) => match error.kind.class() {
            ParseClass::Limit => Code::Limit,
            ParseClass::Unicode | ParseClass::Noncanonical | ParseClass::Malformed => Code::Container,
        },
        EnvelopeError::Member(_) | EnvelopeError::UnknownMember | EnvelopeError::Base64(_) => Code::Container,
    }
}
