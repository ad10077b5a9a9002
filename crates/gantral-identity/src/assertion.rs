//! A machine's own key, by which it proves to its provider that it is the client that it says (`private_key_jwt`, RFC 7523).
//!
//! The key stays in its file and in this process: what travels is a token that is good for a minute, at one provider, once.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::json::{Object, Value};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::error::Fault;
use crate::keys::Algorithm;
use crate::signing::{from_pem, is_open_to_others};

/// The longest key file, in bytes; an RSA key of 8192 bits takes about 6.4 KiB.
const KEY_FILE_BYTES_MAX: u64 = 16_384;
/// How long an assertion is good: a request on its way, and clocks that differ a little.
const ASSERTION_TTL: DurationMs = DurationMs::from_secs(60);
/// How many random bytes make an assertion the only one of its kind.
const JTI_BYTES: usize = 16;

/// Why there is no key, or no assertion of it.
#[derive(Debug, thiserror::Error)]
pub enum ClientKeyError {
    /// The file could not be read.
    #[error("cannot read key file `{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Others may read the file, so the key may already be theirs.
    #[error("key file `{path}` is open to others than its owner: replace the key, with mode 0600")]
    Open {
        /// The file.
        path: String,
    },
    /// Not a private key of a kind that signs here.
    #[error(
        "key file `{path}` does not hold a PKCS#8 private key in PEM: P-256, Ed25519, or RSA of 2048 to 8192 bits"
    )]
    Malformed {
        /// The file.
        path: String,
    },
    /// The random source or the cryptographic library failed.
    #[error("the client's key does not sign")]
    Sign,
}

impl ClientKeyError {
    /// Returns who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } | Self::Sign => Fault::Environment,
            Self::Open { .. } | Self::Malformed { .. } => Fault::Us,
        }
    }
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

/// The private key of a client, of which its provider knows the public part.
pub struct ClientKey {
    pair: Pair,
    kid: Option<String>,
}

impl ClientKey {
    /// Reads the key of a file; `kid` is the name under which the provider knows it, if it goes by names.
    ///
    /// # Errors
    /// `ClientKeyError`. A file that others may read is refused, not repaired.
    pub fn read(path: &Path, kid: Option<String>) -> Result<Self, ClientKeyError> {
        let shown = || path.display().to_string();
        let failed = |source| ClientKeyError::Io { path: shown(), source };
        let file = File::open(path).map_err(failed)?;
        if is_open_to_others(&file).map_err(failed)? {
            return Err(ClientKeyError::Open { path: shown() });
        }
        let mut text = String::new();
        file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        let pair = from_pem(&text).and_then(|der| Pair::read(&der));
        Ok(Self { pair: pair.ok_or_else(|| ClientKeyError::Malformed { path: shown() })?, kid })
    }

    /// Returns the algorithm that it signs with: the one of its kind.
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
            Pair::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// Makes an assertion of a client for one audience (RFC 7523 section 3), good for a minute and never made again.
    ///
    /// # Errors
    /// `Sign`.
    pub fn assertion(&self, client: &str, audience: &str, now: UnixMillis) -> Result<String, ClientKeyError> {
        let mut jti = [0; JTI_BYTES];
        aws_lc_rs::rand::fill(&mut jti).map_err(|_| ClientKeyError::Sign)?;
        let header = Object::new().with("alg", self.algorithm().as_str()).with("typ", "JWT");
        let header = match &self.kid {
            Some(kid) => header.with("kid", kid.as_str()),
            None => header,
        };
        let claims = Object::new()
            .with("iss", client)
            .with("sub", client)
            .with("aud", audience)
            .with("jti", URL_SAFE_NO_PAD.encode(jti))
            .with("iat", now.get() / 1_000)
            .with("exp", now.plus(ASSERTION_TTL).get() / 1_000);
        let mut token = URL_SAFE_NO_PAD.encode(Value::Object(header).to_canonical());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(Value::Object(claims).to_canonical(), &mut token);
        let signature = self.pair.sign(token.as_bytes()).ok_or(ClientKeyError::Sign)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl Pair {
    /// The kind stands in the key itself, and each reader takes its own only.
    fn read(der: &[u8]) -> Option<Self> {
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::Es256);
        // Tools other than ours write Ed25519 keys without their public part (RFC 8410 section 7).
        let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::EdDsa);
        let rsa = || RsaKeyPair::from_pkcs8(der).map(|pair| Self::Rs256(Box::new(pair)));
        p256().or_else(|_| ed25519()).or_else(|_| rsa()).ok()
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::EdDsa(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

/// Shows which kind it is and nothing of it.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
