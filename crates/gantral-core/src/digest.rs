//! SHA-256 digests with domain separation, and the salted commitments built from them.
//!
//! Every hash of the system is `SHA-256(label 00 part…)` with a label that names its purpose, so that bytes hashed for
//! one purpose never collide with bytes hashed for another. Source: `spec/commitments.md`.

use alloc::string::String;
use core::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest: 32 bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 lower-case hexadecimal digits")]
pub struct DigestError;

impl Digest {
    /// Wraps 32 bytes that are already a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Hashes bytes without a label, for formats of others (file digests, in-toto subjects).
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Parses 64 lower-case hexadecimal digits; upper case is refused, so that one digest has one spelling.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        parse_hex(text).map(Self).ok_or(DigestError)
    }

    /// Returns the hexadecimal text.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses exactly `N` bytes of lower-case hexadecimal.
pub fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0u8; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// A running hash whose first bytes are a purpose label and a zero byte.
pub struct Hasher(Sha256);

impl Hasher {
    /// Starts a hash for one purpose, for example `gantral/artifact/v1`.
    pub fn new(label: &str) -> Self {
        let mut inner = Sha256::new();
        inner.update(label.as_bytes());
        inner.update([0]);
        Self(inner)
    }

    /// Adds bytes whose length is fixed or that stand last.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    /// Adds a text that cannot contain a zero byte, and the zero byte that ends it.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.update(text.as_bytes());
        self.0.update([0]);
        self
    }

    /// Ends the hash.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The salt of one commitment: 32 random bytes that make guessing the plaintext useless.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Wraps 32 random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        parse_hex(text).map(Self).ok_or(DigestError)
    }

    /// Returns the hexadecimal text.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// What a commitment commits to. The label is part of the hash, so one value committed as two things differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommitmentLabel {
    /// The canonical action: name, target, parameters.
    Action,
    /// The context snapshot that policy evaluated and the approver saw.
    Context,
    /// The exact input bytes given to the policy engine.
    Input,
    /// The decision document that the policy engine returned.
    Decision,
    /// What a human wrote to justify a decision.
    Justification,
    /// What an executor claims came of an action.
    Outcome,
    /// Issuer and subject of one human.
    Person,
}

impl CommitmentLabel {
    /// Every label, in the order of `spec/commitments.md`.
    pub const ALL: [Self; 7] = [
        Self::Action,
        Self::Context,
        Self::Input,
        Self::Decision,
        Self::Justification,
        Self::Outcome,
        Self::Person,
    ];

    /// Returns the label's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Context => "context",
            Self::Input => "input",
            Self::Decision => "decision",
            Self::Justification => "justification",
            Self::Outcome => "outcome",
            Self::Person => "person",
        }
    }

    /// Finds a label by its text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str() == text)
    }
}

/// Returns `SHA-256("gantral/commit/v1" 00 label 00 salt plaintext)`.
pub fn commit(label: CommitmentLabel, salt: &Salt, plaintext: &[u8]) -> Digest {
    Hasher::new("gantral/commit/v1").text(label.as_str()).bytes(salt.as_bytes()).bytes(plaintext).finish()
}

#[cfg(test)]
mod tests;
