//! An assertion: the answer of a human's own authenticator to a decision, as a file of evidence.
//!
//! Source: `spec/human.md` §3; WebAuthn Level 3 §7.2.

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::json::{self, ParseError, Profile, Value, Writer};

use super::authenticator::{AUTHENTICATOR_DATA_BYTES_MAX, AuthenticatorData, AuthenticatorDataError};
use super::client_data::{CLIENT_DATA_BYTES_MAX, ClientData, ClientDataError, ClientDataFault};
use super::enrolment::{CredentialId, Enrolment};
use super::relying_party::RelyingParty;
use super::{from_base64url, to_base64url};
use crate::fields::{FieldError, Fields};

/// The format of the file.
pub const ASSERTION_FORMAT: &str = "gantral/assertion/v1";
/// The largest file, in bytes: its members at their limits, in base64.
pub const ASSERTION_BYTES_MAX: usize = 16 << 10;
/// The longest signature, in bytes: one of ECDSA in DER needs 72.
const SIGNATURE_BYTES_MAX: usize = 128;

const MEMBERS: [&str; 6] =
    ["authenticator_data", "client_data", "credential_id", "entry_digest", "format", "signature"];

/// What an authenticator answered, as the browser handed it over. Nothing of it is believed before [`Assertion::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The enrolment of the key that is to have signed.
    pub entry: Digest,
    /// The name of the key.
    pub credential_id: CredentialId,
    /// What the authenticator says of itself.
    pub authenticator_data: Vec<u8>,
    /// What the browser says of the page.
    pub client_data: Vec<u8>,
    /// The signature over both.
    pub signature: Vec<u8>,
}

/// Why bytes are not an assertion. The bytes are at fault; equal bytes give an equal error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not canonical JSON, or more than [`ASSERTION_BYTES_MAX`].
    #[error("assertion is not canonical JSON: {0}")]
    Json(#[from] ParseError),
    /// Another format than [`ASSERTION_FORMAT`].
    #[error("assertion has another format than `{ASSERTION_FORMAT}`")]
    Format,
    /// A member is missing, unknown, or not what it must be.
    #[error("assertion: {0}")]
    Field(#[from] FieldError),
    /// Not base64url without padding, or over the limit of the member.
    #[error("assertion member `{0}` is not base64url within its limit")]
    Bytes(&'static str),
}

/// Why an assertion does not show that its human agreed. Whoever presents it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionFault {
    /// It is by another key than that of the enrolment.
    #[error("the assertion names another enrolment or another key")]
    Entry,
    /// The key was enrolled for another relying party than the one that is pinned.
    #[error("the key was enrolled for another relying party")]
    RelyingParty,
    /// The client data cannot be read.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
    /// The client data is about something else.
    #[error(transparent)]
    Client(#[from] ClientDataFault),
    /// The authenticator data cannot be read.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// The authenticator signed for another relying party.
    #[error("the authenticator signed for another relying party")]
    SignedFor,
    /// Nobody was there, or it was not made sure who.
    #[error("the authenticator did not make sure that its owner was there")]
    Unverified,
    /// A key that was enrolled as bound to its device says that it is not, or the other way round.
    #[error("the key is not bound to its device as it was when it was enrolled")]
    Backup,
    /// The signature is not by the enrolled key.
    #[error("the signature of the authenticator does not verify")]
    Signature,
}

impl Assertion {
    /// Reads the file.
    ///
    /// # Errors
    /// What the bytes are not.
    pub fn parse(bytes: &[u8]) -> Result<Self, AssertionError> {
        let value = json::parse_canonical(bytes, &Profile::ARTIFACT.with_bytes_max(ASSERTION_BYTES_MAX))?;
        if value.get("format").and_then(Value::as_str).is_some_and(|format| format != ASSERTION_FORMAT) {
            return Err(AssertionError::Format);
        }
        let fields = Fields::open(&value, "assertion", MEMBERS.into_iter())?;
        let _: String = fields.get("format")?;
        let credential = read(&fields, "credential_id", usize::MAX)?;
        Ok(Self {
            entry: fields.get("entry_digest")?,
            credential_id: CredentialId::new(credential).ok_or(AssertionError::Bytes("credential_id"))?,
            authenticator_data: read(&fields, "authenticator_data", AUTHENTICATOR_DATA_BYTES_MAX)?,
            client_data: read(&fields, "client_data", CLIENT_DATA_BYTES_MAX)?,
            signature: read(&fields, "signature", SIGNATURE_BYTES_MAX)?,
        })
    }

    /// Returns the bytes of the file: canonical JSON.
    pub fn encode(&self) -> Vec<u8> {
        Writer::object(1_024, |out| {
            out.str("authenticator_data", &to_base64url(&self.authenticator_data))
                .str("client_data", &to_base64url(&self.client_data))
                .str("credential_id", &self.credential_id.to_text())
                .hex("entry_digest", self.entry.as_bytes())
                .str("format", ASSERTION_FORMAT)
                .str("signature", &to_base64url(&self.signature));
        })
    }

    /// Returns where the file stands in a bundle. A ballot names its digest, that of the bytes of the file.
    pub fn path(digest: &Digest) -> String {
        alloc::format!("human/{digest}.json")
    }

    /// Checks that the owner of an enrolled authenticator agreed to what has this digest, on a page of this relying party (H14). Who enrolled
    /// it, and when, is not looked at.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(
        &self,
        enrolment: &Enrolment,
        relying_party: &RelyingParty,
        decision: &Digest,
    ) -> Result<(), AssertionFault> {
        if self.entry != enrolment.digest() || self.credential_id != enrolment.credential_id {
            return Err(AssertionFault::Entry);
        }
        if enrolment.relying_party != relying_party.id {
            return Err(AssertionFault::RelyingParty);
        }
        ClientData::parse(&self.client_data)?.check(decision, relying_party)?;
        let authenticator = AuthenticatorData::parse(&self.authenticator_data)?;
        if authenticator.relying_party != relying_party.id.hash() {
            return Err(AssertionFault::SignedFor);
        }
        if !authenticator.user_present || !authenticator.user_verified {
            return Err(AssertionFault::Unverified);
        }
        if authenticator.backup_eligible != enrolment.backup_eligible {
            return Err(AssertionFault::Backup);
        }
        let message = signed_bytes(&self.authenticator_data, &self.client_data);
        enrolment.key.verify(&message, &self.signature).map_err(|_| AssertionFault::Signature)
    }
}

/// Returns what an authenticator signs: its data, and the SHA-256 of the client data.
fn signed_bytes(authenticator_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [authenticator_data, Digest::of(client_data).as_bytes()].concat()
}

fn read(fields: &Fields<'_>, member: &'static str, bytes_max: usize) -> Result<Vec<u8>, AssertionError> {
    let text: String = fields.get(member)?;
    let bytes = from_base64url(&text).filter(|bytes| bytes.len() <= bytes_max);
    bytes.ok_or(AssertionError::Bytes(member))
}
