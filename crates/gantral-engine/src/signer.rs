//! The port to whatever holds the signing key, and the backend that holds it in memory.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use gantral_evidence::keys::PublicKey;

use crate::policy_point::BoxFuture;

/// What a signature is for. A backend refuses a context that its key is not for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningContext {
    /// An artifact of an instance's chain.
    Artifact,
}

/// Why nothing was signed. Nothing may be written; the caller may try again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not for this context.
    #[error("the key is not for this use")]
    WrongContext,
    /// The backend cannot be reached or refuses.
    #[error("the signer is unavailable")]
    Unavailable,
}

/// Signs. May be called concurrently; a repeated call for the same bytes is harmless.
pub trait Signer: Send + Sync {
    /// Returns the public key of the signatures.
    fn public_key(&self) -> &PublicKey;

    /// Signs the bytes with Ed25519.
    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<[u8; 64], SignError>>;
}

/// An Ed25519 key in this process, for one machine and for trying out.
pub struct LocalSigner {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// Why bytes are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key in PKCS#8")]
pub struct KeyFormatError;

impl LocalSigner {
    /// Makes a new key; returns its PKCS#8 bytes, which the caller keeps secret.
    ///
    /// # Errors
    /// When the system's generator fails.
    pub fn generate() -> Result<Vec<u8>, SignError> {
        let document =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| SignError::Unavailable)?;
        Ok(document.as_ref().to_vec())
    }

    /// Reads a key that `generate` made.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyFormatError> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| KeyFormatError)?;
        let raw: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| KeyFormatError)?;
        let public = PublicKey::from_bytes(&raw).map_err(|_| KeyFormatError)?;
        Ok(Self { pair, public })
    }
}

impl Signer for LocalSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<[u8; 64], SignError>> {
        let signed = match context {
            SigningContext::Artifact => {
                self.pair.sign(message).as_ref().try_into().map_err(|_| SignError::Unavailable)
            }
        };
        Box::pin(std::future::ready(signed))
    }
}
