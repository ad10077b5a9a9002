//! What an authenticator says of itself beside its signature.
//!
//! Only the fixed head is read. Extensions follow it where their flag is set, and are covered by the signature without being looked at.
//! Source: WebAuthn Level 3 §6.1.

use gantral_core::digest::Digest;

/// The largest authenticator data of an assertion, in bytes.
pub const AUTHENTICATOR_DATA_BYTES_MAX: usize = 1_024;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

/// The head of the authenticator data of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatorData {
    /// The SHA-256 of the relying party id that it signed for.
    pub relying_party: Digest,
    /// Whether somebody was there.
    pub user_present: bool,
    /// Whether the authenticator made sure that it was its owner: by a PIN, a finger, a face.
    pub user_verified: bool,
    /// Whether the key may be copied to other devices of its owner.
    pub backup_eligible: bool,
    /// Whether it was.
    pub backed_up: bool,
    /// How often it says it has signed; 0 where it does not count. Nothing here compares it: an auditor sees no order of all signatures.
    pub sign_count: u32,
}

/// Why bytes are no authenticator data of an assertion. Whoever made them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorDataError {
    /// Shorter than the head, longer than [`AUTHENTICATOR_DATA_BYTES_MAX`], or with a tail that no flag announces.
    #[error("authenticator data is cut, too long, or has a tail that no flag announces")]
    Length,
    /// It brings a credential, which only a registration does.
    #[error("authenticator data is that of a registration")]
    Attested,
    /// It says that it was backed up and cannot be.
    #[error("authenticator data says that its key was backed up, and that it cannot be")]
    Backup,
}

impl AuthenticatorData {
    /// Reads the authenticator data of an assertion.
    ///
    /// # Errors
    /// What the bytes are not.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuthenticatorDataError> {
        if bytes.len() > AUTHENTICATOR_DATA_BYTES_MAX {
            return Err(AuthenticatorDataError::Length);
        }
        let (hash, rest) = bytes.split_first_chunk::<32>().ok_or(AuthenticatorDataError::Length)?;
        let [flags, a, b, c, d, tail @ ..] = rest else { return Err(AuthenticatorDataError::Length) };
        let has = |flag: u8| flags & flag != 0;
        if has(ATTESTED) {
            return Err(AuthenticatorDataError::Attested);
        }
        if tail.is_empty() == has(EXTENDED) {
            return Err(AuthenticatorDataError::Length);
        }
        if has(BACKED_UP) && !has(BACKUP_ELIGIBLE) {
            return Err(AuthenticatorDataError::Backup);
        }
        Ok(Self {
            relying_party: Digest::from_bytes(*hash),
            user_present: has(USER_PRESENT),
            user_verified: has(USER_VERIFIED),
            backup_eligible: has(BACKUP_ELIGIBLE),
            backed_up: has(BACKED_UP),
            sign_count: u32::from_be_bytes([*a, *b, *c, *d]),
        })
    }
}
