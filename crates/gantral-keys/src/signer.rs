//! The port to whatever holds a signing key.

use std::future::Future;
use std::pin::Pin;

use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::trust::KeyRole;

/// A future that is sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a signature is for. A signer refuses a context that its key is not for, and bytes that have not its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningContext {
    /// An artifact: the pre-authentication encoding of an in-toto statement (`spec/envelope.md` E4).
    Artifact,
    /// A delegation to another key (`spec/keys.md` §6).
    Delegation,
    /// An enrolment of an approver's authenticator (`spec/human.md` §4). No server signs in this context.
    Enrolment,
    /// A checkpoint of a log: the text of its note (`spec/log.md` §3).
    Checkpoint,
    /// A witness's cosignature of a checkpoint: time and text (`spec/log.md` §3).
    Cosignature,
}

impl SigningContext {
    /// Every context.
    pub const ALL: [Self; 5] =
        [Self::Artifact, Self::Delegation, Self::Enrolment, Self::Checkpoint, Self::Cosignature];

    /// Returns the only role whose keys sign this (`spec/keys.md` K8).
    pub const fn role(self) -> KeyRole {
        match self {
            Self::Artifact | Self::Delegation => KeyRole::Issuer,
            Self::Enrolment => KeyRole::Directory,
            Self::Checkpoint => KeyRole::Log,
            Self::Cosignature => KeyRole::Witness,
        }
    }
}

/// One signature, and the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The key that signed, which is that of [`Signer::public_key`] or one that it delegated to.
    pub key_id: KeyId,
    /// Ed25519 over the bytes.
    pub bytes: [u8; 64],
}

/// Why nothing was signed. Nothing may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not for this context, or the bytes have not its form: a defect of the caller. Trying again is pointless.
    #[error("the key is not for this use")]
    WrongContext,
    /// The backend cannot be reached, refuses, or answers with something else than a signature of the key. The caller may try
    /// again later.
    #[error("the signer is unavailable")]
    Unavailable,
}

/// Signs. May be called concurrently; a repeated call for the same bytes is harmless.
pub trait Signer: Send + Sync {
    /// Returns the public key that relying parties pin for what is signed here.
    fn public_key(&self) -> &PublicKey;

    /// Signs the bytes with Ed25519. An answer is a good signature over them under the key that it names.
    ///
    /// # Errors
    /// `SignError`; the variant says who may try again.
    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>>;
}
