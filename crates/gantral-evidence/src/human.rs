//! What a human's own authenticator says of a decision, and what vouches for the authenticator.
//!
//! A decision has a statement, which everybody makes from the chain ([`DecisionStatement`]). An [`Assertion`] is the answer of an
//! authenticator to the digest of that statement; an [`Enrolment`] is the directory's word that the authenticator is one person's. Whom a
//! relying party believes is pinned as a [`RelyingParty`] and as keys with the role `directory`; what a chain must show besides is for the
//! verifier. Not here: the ceremony by which an authenticator is registered. Source: `spec/human.md`, WebAuthn Level 3 §7.2.

mod assertion;
mod authenticator;
mod client_data;
mod decision;
mod enrolment;
mod key;
mod relying_party;

pub use assertion::{ASSERTION_BYTES_MAX, ASSERTION_FORMAT, Assertion, AssertionError, AssertionFault};
pub use authenticator::{AUTHENTICATOR_DATA_BYTES_MAX, AuthenticatorData, AuthenticatorDataError};
pub use client_data::{CLIENT_DATA_BYTES_MAX, ClientData, ClientDataError, ClientDataFault};
pub use decision::{DECISION_FORMAT, DecisionStatement, DecisionTerms, display_digest};
pub use enrolment::{
    CREDENTIAL_ID_BYTES_MAX, CredentialId, DIRECTORY_DIRECTORY, ENROLMENT_FORMAT, ENROLMENT_PAYLOAD_TYPE,
    Enrolment, EnrolmentError, SignedEnrolment, label_commitment,
};
pub use key::{Algorithm, ApproverKey, ApproverKeyError};
pub use relying_party::{
    ORIGIN_BYTES_MAX, ORIGINS_MAX, Origin, RelyingParty, RelyingPartyError, RelyingPartyId,
};

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Writes bytes as WebAuthn does: base64url without padding.
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding in its one canonical spelling; `None` if it is not.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;
