//! What the issuer signs beside the chains: words about them that stand by themselves.

use gantral_evidence::seal::Unsigned;
use gantral_keys::SigningContext;

use crate::engine::Engine;
use crate::error::EngineError;

/// A signed statement, and what shows that its key may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBeside {
    /// The envelope with the statement.
    pub envelope: Vec<u8>,
    /// The delegation of the key that signed it, if that speaks for another, as an envelope.
    pub delegation: Option<Vec<u8>>,
}

impl Engine {
    /// Signs a statement that belongs to no chain.
    pub(crate) async fn sign_beside(&self, unsigned: Unsigned) -> Result<SignedBeside, EngineError> {
        let signature = self.0.signer.sign(SigningContext::Artifact, &unsigned.message()).await?;
        let envelope = unsigned.signed(signature.key_id, &signature.bytes).envelope;
        let delegations = self.kept_delegations([envelope.as_slice()].into_iter())?;
        let delegation = delegations.first().map(|kept| kept.envelope.clone());
        Ok(SignedBeside { envelope, delegation })
    }
}
