//! Public keys of issuers (RFC 7517) and the four algorithms that we accept.
//!
//! A key is bound to what it may verify when it is read, so that a token cannot choose: an Ed25519 key answers to
//! `EdDSA` only, a P-256 key to `ES256` only, an RSA key to `RS256` and `PS256` unless its `alg` says which. Symmetric
//! keys do not exist here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::TokenError;

/// The most keys of one issuer; real ones publish fewer than ten.
const KEYS_MAX: usize = 64;
/// The longest `kid`, in bytes.
pub(crate) const KEY_ID_BYTES_MAX: usize = 256;
/// The shortest RSA modulus, in bytes: 2048 bits.
const RSA_MODULUS_BYTES_MIN: usize = 256;
/// The longest RSA modulus, in bytes: 8192 bits, so that one check stays cheap.
const RSA_MODULUS_BYTES_MAX: usize = 1024;

/// A signature algorithm that an issuer may be pinned to (RFC 7518, RFC 8037). There is no other, and no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Rs256, Self::Ps256];

    /// Returns the `alg` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    /// Finds an algorithm by its exact `alg` value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// A set of public keys (RFC 7517 section 5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517 section 4). Members that we do not know are ignored, as the RFC asks.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The kind of key: `OKP`, `EC` or `RSA`; others are skipped.
    pub kty: String,
    /// The name that tokens call it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// What it is for; only `sig`, or nothing, is used.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// The one algorithm that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// The curve: `Ed25519` or `P-256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The public key of `OKP`, the first coordinate of `EC`; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The second coordinate of `EC`; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The modulus of `RSA`; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The exponent of `RSA`; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// A private part, which must not be here; read only to refuse it.
    #[serde(default, skip_serializing)]
    pub d: Option<String>,
    /// A symmetric key, which must not be here; read only to refuse it.
    #[serde(default, skip_serializing)]
    pub k: Option<String>,
}

/// Shows which key, and never a part that should not have been here.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk").field("kty", &self.kty).field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Why a set of keys is not accepted. All of it is for whoever configured the issuer to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key that could verify anything.
    #[error("the key set holds no usable signature key")]
    None,
    /// More keys than anybody publishes.
    #[error("the key set holds more than 64 keys")]
    TooMany,
    /// A key without a `kid`, or with one that is empty or longer than 256 bytes.
    #[error("a key has no usable `kid`")]
    KeyId,
    /// Two usable keys with one `kid`.
    #[error("two keys are called `{kid}`")]
    Twice {
        /// The name.
        kid: String,
    },
    /// A secret where only public keys belong. It has to be considered known to others.
    #[error("key `{kid}` holds a secret part: replace it, and publish public keys only")]
    Secret {
        /// The name.
        kid: String,
    },
    /// The public numbers are missing, malformed, too short or not on the curve.
    #[error("key `{kid}` is malformed, or shorter than 2048 bits")]
    Malformed {
        /// The name.
        kid: String,
    },
}

/// The keys of one issuer, by `kid`.
pub(crate) struct KeyRing(BTreeMap<String, Vec<(Algorithm, ParsedPublicKey)>>);

impl KeyRing {
    /// Reads a set that was written down. Keys of a kind, curve, use or algorithm that we do not know are skipped (RFC 7517
    /// section 5); a broken or secret one fails the whole set, because whoever wrote it meant something else.
    pub(crate) fn new(set: &JwkSet) -> Result<Self, KeyError> {
        let (ring, mut wrong) = Self::published(set)?;
        wrong.pop().map_or(Ok(ring), Err)
    }

    /// Reads a set that an issuer publishes, and says what is wrong with it beside. A broken or secret key is left out, and of
    /// two keys with one name both are: the others must not fall with them.
    pub(crate) fn published(set: &JwkSet) -> Result<(Self, Vec<KeyError>), KeyError> {
        if set.keys.len() > KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        let (mut ring, mut twice, mut wrong) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for jwk in &set.keys {
            match read(jwk) {
                Ok(None) => {}
                Ok(Some((kid, keys))) => {
                    if ring.insert(kid.clone(), keys).is_some() {
                        twice.insert(kid);
                    }
                }
                Err(error) => wrong.push(error),
            }
        }
        for kid in twice {
            ring.remove(&kid);
            wrong.push(KeyError::Twice { kid });
        }
        match wrong.pop() {
            Some(error) if ring.is_empty() => Err(error),
            None if ring.is_empty() => Err(KeyError::None),
            last => {
                wrong.extend(last);
                Ok((Self(ring), wrong))
            }
        }
    }

    /// Verifies a signature by the named key, which must be for exactly this algorithm.
    pub(crate) fn verify(
        &self,
        kid: &str,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        let keys = self.0.get(kid).ok_or(TokenError::UnknownKey)?;
        let (_, key) = keys.iter().find(|(its, _)| *its == algorithm).ok_or(TokenError::Algorithm)?;
        key.verify_sig(message, signature).map_err(|_| TokenError::Signature)
    }
}

/// What one key verifies, by its name.
type Named = (String, Vec<(Algorithm, ParsedPublicKey)>);

/// Reads one key; `None` if it is not for us.
fn read(jwk: &Jwk) -> Result<Option<Named>, KeyError> {
    let name = || jwk.kid.clone().unwrap_or_default();
    if jwk.d.is_some() || jwk.k.is_some() {
        return Err(KeyError::Secret { kid: name() });
    }
    let algorithms = algorithms_of(jwk);
    if algorithms.is_empty() {
        return Ok(None);
    }
    let kid = jwk.kid.clone().filter(|kid| (1..=KEY_ID_BYTES_MAX).contains(&kid.len()));
    let kid = kid.ok_or(KeyError::KeyId)?;
    let keys: Option<Vec<_>> = algorithms.into_iter().map(|a| Some((a, parse(jwk, a)?))).collect();
    let keys = keys.ok_or_else(|| KeyError::Malformed { kid: name() })?;
    Ok(Some((kid, keys)))
}

/// Returns what a key may verify; nothing if it is not for us.
fn algorithms_of(jwk: &Jwk) -> Vec<Algorithm> {
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Vec::new();
    }
    let mut algorithms = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => vec![Algorithm::EdDsa],
        ("EC", Some("P-256")) => vec![Algorithm::Es256],
        ("RSA", None) => vec![Algorithm::Rs256, Algorithm::Ps256],
        _ => Vec::new(),
    };
    if let Some(only) = jwk.alg.as_deref() {
        algorithms.retain(|algorithm| algorithm.as_str() == only);
    }
    algorithms
}

fn parse(jwk: &Jwk, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    match algorithm {
        Algorithm::EdDsa => {
            let x = decode(jwk.x.as_deref())?;
            if x.len() == 32 { ParsedPublicKey::new(&ED25519, &x).ok() } else { None }
        }
        Algorithm::Es256 => {
            let (x, y) = (decode(jwk.x.as_deref())?, decode(jwk.y.as_deref())?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            // The uncompressed point of SEC 1 section 2.3.3.
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()
        }
        Algorithm::Rs256 => parse_rsa(jwk, &RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Ps256 => parse_rsa(jwk, &RSA_PSS_2048_8192_SHA256),
    }
}

fn parse_rsa(jwk: &Jwk, parameters: &'static RsaParameters) -> Option<ParsedPublicKey> {
    let (n, e) = (decode(jwk.n.as_deref())?, decode(jwk.e.as_deref())?);
    if !(RSA_MODULUS_BYTES_MIN..=RSA_MODULUS_BYTES_MAX).contains(&n.len()) {
        return None;
    }
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

#[cfg(test)]
mod tests;
