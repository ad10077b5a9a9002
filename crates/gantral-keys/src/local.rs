//! A key in this process.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use gantral_evidence::keys::PublicKey;
use gantral_evidence::trust::KeyRole;

use crate::form::fits;
use crate::signer::{BoxFuture, SignError, Signature, Signer, SigningContext};

/// An Ed25519 key of one role in this process.
pub struct LocalSigner {
    role: KeyRole,
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// Why bytes are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key in PKCS#8")]
pub struct KeyFormatError;

/// The system's generator of randomness failed; the caller may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this system gives no randomness")]
pub struct GenerateError;

impl LocalSigner {
    /// Makes a new key; returns its PKCS#8 bytes, which the caller keeps secret.
    ///
    /// # Errors
    /// When the system's generator fails.
    pub fn generate() -> Result<Vec<u8>, GenerateError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| GenerateError)?;
        Ok(document.as_ref().to_vec())
    }

    /// Reads a key that `generate` made, for one role.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn from_pkcs8(role: KeyRole, bytes: &[u8]) -> Result<Self, KeyFormatError> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| KeyFormatError)?;
        let raw: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| KeyFormatError)?;
        let public = PublicKey::from_bytes(&raw).map_err(|_| KeyFormatError)?;
        Ok(Self { role, pair, public })
    }

    /// Returns what the key is for.
    pub const fn role(&self) -> KeyRole {
        self.role
    }

    pub(crate) fn sign_now(&self, context: SigningContext, message: &[u8]) -> Result<Signature, SignError> {
        if context.role() != self.role || !fits(context, message) {
            return Err(SignError::WrongContext);
        }
        let bytes = self.pair.sign(message).as_ref().try_into().map_err(|_| SignError::Unavailable)?;
        Ok(Signature { key_id: self.public.id(), bytes })
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
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(std::future::ready(self.sign_now(context, message)))
    }
}

#[cfg(test)]
mod tests;
