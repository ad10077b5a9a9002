//! By which keys the servers upon one store sign, so that none of them begins a second identity.

/// The public keys of a server. All servers upon one store have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingKeys {
    /// The key that signs artifacts, or whose delegates do.
    pub issuer: [u8; 32],
    /// The key that signs checkpoints.
    pub log: [u8; 32],
    /// The name of the key that signs the tokens of attempts.
    pub attempts: String,
}
