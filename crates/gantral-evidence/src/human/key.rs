//! The public keys of authenticators, and how their signatures are checked: ECDSA over P-256, and Ed25519.
//!
//! Not [`crate::keys`]: those keys sign artifacts, and have one algorithm. Source: `spec/human.md` H15, H16; RFC 9053 §2.1 and §2.2;
//! WebAuthn Level 3 §6.5.5.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use gantral_core::digest::parse_hex;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::keys::{KeyError, PublicKey, SignatureError};

/// How an authenticator signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256; -7 in COSE.
    Es256,
    /// Ed25519; -8 in COSE.
    Ed25519,
}

impl Algorithm {
    /// Every algorithm, the one that most authenticators have first.
    pub const ALL: [Self; 2] = [Self::Es256, Self::Ed25519];

    /// Returns the word of enrolments.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "es256",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Finds an algorithm by its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == word)
    }

    /// Returns the number that WebAuthn asks authenticators with (IANA COSE Algorithms).
    pub const fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::Ed25519 => -8,
        }
    }
}

/// The public key of one authenticator, for one relying party.
#[derive(Clone, PartialEq, Eq)]
pub enum ApproverKey {
    /// A point of P-256.
    Es256(VerifyingKey),
    /// An Ed25519 key that passed the checks of [`PublicKey::from_bytes`].
    Ed25519(PublicKey),
}

/// Why bytes are not a public key of an authenticator. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApproverKeyError {
    /// Not the one spelling: a P-256 key is 130 lower-case hexadecimal digits that begin with 04, an Ed25519 key 64.
    #[error("a public key is 130 lower-case hexadecimal digits for `es256`, and 64 for `ed25519`")]
    Syntax,
    /// Not a point of the curve.
    #[error("public key is not a point of P-256")]
    Point,
    /// No Ed25519 key that anybody can believe.
    #[error(transparent)]
    Ed25519(#[from] KeyError),
}

impl ApproverKey {
    /// Reads the uncompressed point of SEC 1 §2.3.3: 04, and the coordinates as 32 bytes each.
    ///
    /// # Errors
    /// [`ApproverKeyError::Point`].
    pub fn es256(point: &[u8; 65]) -> Result<Self, ApproverKeyError> {
        let [4, ..] = point else { return Err(ApproverKeyError::Point) };
        VerifyingKey::from_sec1_bytes(point).map(Self::Es256).map_err(|_| ApproverKeyError::Point)
    }

    /// Parses the hexadecimal text.
    ///
    /// # Errors
    /// What the text is not.
    pub fn parse(algorithm: Algorithm, text: &str) -> Result<Self, ApproverKeyError> {
        match algorithm {
            Algorithm::Es256 => Self::es256(&parse_hex(text).ok_or(ApproverKeyError::Syntax)?),
            Algorithm::Ed25519 => Ok(Self::Ed25519(PublicKey::parse(text)?)),
        }
    }

    /// Returns how it signs.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Returns the bytes: 65 of an uncompressed point, or 32.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Es256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
            Self::Ed25519(key) => key.as_bytes().to_vec(),
        }
    }

    /// Returns the hexadecimal text.
    pub fn to_hex(&self) -> String {
        hex::encode(self.to_bytes())
    }

    /// Checks a signature over a message, in the form in which WebAuthn hands it over: ASN.1 DER for ECDSA, 64 bytes for Ed25519.
    ///
    /// # Errors
    /// It does not verify; no reason is given, because none would change what follows.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match self {
            Self::Es256(key) => {
                let signature = read_der(signature).ok_or(SignatureError)?;
                key.verify(message, &signature).map_err(|_| SignatureError)
            }
            Self::Ed25519(key) => key.verify_strict(message, signature),
        }
    }
}

impl fmt::Debug for ApproverKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApproverKey({} {})", self.algorithm().as_str(), self.to_hex())
    }
}

/// Reads `SEQUENCE { r INTEGER, s INTEGER }` in DER, with both integers from 1 to the order of the curve less one (RFC 3279 §2.2.3).
///
/// Its own reader and a strict one, so that every verifier accepts exactly the same bytes.
fn read_der(bytes: &[u8]) -> Option<Signature> {
    let (content, rest) = read_element(0x30, bytes)?;
    let (r, after) = read_integer(content)?;
    let (s, end) = read_integer(after)?;
    let whole = rest.is_empty() && end.is_empty();
    whole.then(|| Signature::from_scalars(r, s).ok()).flatten()
}

/// Reads one element with a length below 128, the longest that two integers of 32 bytes need; returns its content and what follows it.
fn read_element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [found, length @ 0..=0x7f, rest @ ..] = bytes else { return None };
    let fits = *found == tag && usize::from(*length) <= rest.len();
    fits.then(|| rest.split_at_checked(usize::from(*length))).flatten()
}

/// Reads a positive integer of at most 32 bytes in its shortest form.
fn read_integer(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (content, rest) = read_element(0x02, bytes)?;
    let digits = match content {
        [0, high, ..] if *high >= 0x80 => content.get(1..)?,
        [0 | 0x80.., ..] | [] => return None,
        _ => content,
    };
    let mut number = [0; 32];
    number.get_mut(32_usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some((number, rest))
}
