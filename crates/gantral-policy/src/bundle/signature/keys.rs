//! The public keys that bundles may be signed by.
//!
//! A key is bound to one algorithm when it is configured, so that a token cannot choose. Shared secrets do not exist here: who can check such
//! a signature can make one.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

/// The most keys: two teams that sign and a rotation of each are four.
pub const KEYS_MAX: usize = 64;
/// The longest name of a key, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 256;
/// The lengths of an RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The longest scope, in bytes.
const SCOPE_BYTES_MAX: usize = 256;

/// What a bundle may be signed with: every algorithm of OPA that has a public key (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::EdDsa,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// Returns the name that tokens and OPA's `--signing-alg` have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// Finds an algorithm by its exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }

    const fn is_rsa(self) -> bool {
        match self {
            Self::EdDsa | Self::Es256 | Self::Es384 | Self::Es512 => false,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => true,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EdDsa => &ED25519,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &ECDSA_P521_SHA512_FIXED,
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
        }
    }
}

/// Why a key is not accepted. Its author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or holds control characters.
    #[error("the name of the key is empty, longer than 256 bytes, or holds control characters")]
    Name,
    /// The scope is empty or too long.
    #[error("the scope is empty, or longer than 256 bytes")]
    Scope,
    /// More keys than anybody needs.
    #[error("there are more than {KEYS_MAX} keys")]
    TooMany,
    /// Two keys of one name.
    #[error("two keys have this name")]
    Twice,
    /// A shared secret.
    #[error(
        "`{algorithm}` signs with a shared secret: who can check such a signature can make one; sign with a private key"
    )]
    Secret {
        /// As it was written.
        algorithm: String,
    },
    /// Not an algorithm.
    #[error("`{algorithm}` is none of EdDSA, ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512")]
    Algorithm {
        /// As it was written.
        algorithm: String,
    },
    /// No public key in it.
    #[error("there is no `PUBLIC KEY` in it, as PEM")]
    Pem,
    /// The key is malformed, too short, or of another kind than the algorithm's.
    #[error("the key is not one for `{algorithm}`, or an RSA key outside 2048 to 8192 bits")]
    Kind {
        /// The algorithm.
        algorithm: &'static str,
    },
}

/// One key.
pub(super) struct VerificationKey {
    algorithm: Algorithm,
    scope: Option<String>,
    key: ParsedPublicKey,
}

impl VerificationKey {
    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

/// The keys that bundles may be signed by, by their names.
#[derive(Default)]
pub struct VerificationKeys(BTreeMap<String, VerificationKey>);

impl VerificationKeys {
    /// Adds a public key.
    ///
    /// A signature by it counts only for the scope that it is given, or without one only where the signature names none either.
    ///
    /// # Errors
    /// `KeyError`.
    pub fn add(
        &mut self,
        name: &str,
        algorithm: &str,
        pem: &[u8],
        scope: Option<&str>,
    ) -> Result<(), KeyError> {
        if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(KeyError::Name);
        }
        if scope.is_some_and(|scope| scope.is_empty() || scope.len() > SCOPE_BYTES_MAX) {
            return Err(KeyError::Scope);
        }
        if self.0.len() >= KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        if self.0.contains_key(name) {
            return Err(KeyError::Twice);
        }
        if algorithm.starts_with("HS") {
            return Err(KeyError::Secret { algorithm: algorithm.to_owned() });
        }
        let unknown = || KeyError::Algorithm { algorithm: algorithm.to_owned() };
        let algorithm = Algorithm::parse(algorithm).ok_or_else(unknown)?;
        let public = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)?;
        let kind = || KeyError::Kind { algorithm: algorithm.as_str() };
        if algorithm.is_rsa() {
            // Checked again with each signature; who configures such a key should not learn it only then. This type is the one of the
            // library that tells the size.
            let key = PublicEncryptingKey::from_der(public.as_ref()).map_err(|_| kind())?;
            if !RSA_BITS.contains(&key.key_size_bits()) {
                return Err(kind());
            }
        }
        let key = ParsedPublicKey::new(algorithm.verification(), public).map_err(|_| kind())?;
        let scope = scope.map(ToOwned::to_owned);
        self.0.insert(name.to_owned(), VerificationKey { algorithm, scope, key });
        Ok(())
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<(&str, &VerificationKey)> {
        self.0.get_key_value(name).map(|(name, key)| (name.as_str(), key))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &VerificationKey)> {
        self.0.iter().map(|(name, key)| (name.as_str(), key))
    }
}

/// Shows which keys, by name.
impl fmt::Debug for VerificationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
