//! Public keys, and the one way in which a signature is checked: Ed25519, strictly.
//!
//! Strict means that all verifiers agree on every signature: key, `R` and `S` in canonical encoding, neither key nor
//! `R` of small order, the equation without cofactor (RFC 8032 §5.1.7 with the rules of `spec/keys.md`). Which key is
//! trusted for what is decided elsewhere, from the relying party's pinned file.

use alloc::string::String;
use core::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use gantral_core::digest::{Digest, DigestError, Hasher, parse_hex};

/// The algorithm's name in trust files and key ids.
pub const ALGORITHM: &str = "ed25519";

/// The name of a public key: `SHA-256("gantral/key/v1" 00 "ed25519" 00 key)`, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Digest);

impl KeyId {
    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        Digest::parse(text).map(Self)
    }

    /// Returns the whole digest.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// Returns the first eight bytes, for places with a fixed width such as log leaves.
    pub const fn short(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = *self.0.as_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An Ed25519 public key that passed the checks of [`PublicKey::from_bytes`]. It holds the decompressed point, so
/// whoever verifies many signatures keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: KeyId,
    key: VerifyingKey,
}

/// Why bytes are not a public key. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("a public key is 64 lower-case hexadecimal digits")]
    Syntax,
    /// Not the canonical encoding of a point on the curve.
    #[error("not the canonical encoding of an Ed25519 public key")]
    Encoding,
    /// A point of small order: signatures under it prove nothing.
    #[error("public key has small order")]
    SmallOrder,
}

/// A signature does not verify under the key. No reason is given: none would change what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct SignatureError;

impl PublicKey {
    /// Checks and decompresses 32 bytes (RFC 8032 §5.1.3).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Encoding)?;
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::Encoding);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        let id = KeyId(Hasher::new("gantral/key/v1").text(ALGORITHM).bytes(bytes).finish());
        Ok(Self { id, key })
    }

    /// Parses the hexadecimal text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&parse_hex(text).ok_or(KeyError::Syntax)?)
    }

    /// Returns the key's name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Returns the hexadecimal text.
    pub fn to_hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// Checks a signature over a message, for artifacts the bytes of [`crate::dsse::pae`].
    pub fn verify_strict(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let signature = Signature::from_slice(signature).map_err(|_| SignatureError)?;
        self.key.verify_strict(message, &signature).map_err(|_| SignatureError)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

#[cfg(test)]
mod tests;
