//! An enrolment: the directory says that an authenticator is one person's.
//!
//! The key of the directory is never held by the server, so that whoever takes the server over makes nobody an approver. The payload is what
//! is named and recorded; the envelope around it carries the directory's signature. Source: `spec/human.md` §4.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

use gantral_core::digest::{Digest, Hasher, Salt, parse_hex};
use gantral_core::ids::{LogOrigin, PersonId, TenantId};
use gantral_core::json::{self, ParseError, Profile, Value, Writer};
use gantral_core::time::UnixMillis;

use super::key::{Algorithm, ApproverKey, ApproverKeyError};
use super::relying_party::RelyingPartyId;
use super::{from_base64url, to_base64url};
use crate::dsse::{Envelope, EnvelopeError, EnvelopeSignature, pae};
use crate::fields::{FieldError, Fields, Scalar};
use crate::keys::{KeyId, PublicKey};

/// The payload type of the envelope.
pub const ENROLMENT_PAYLOAD_TYPE: &str = "application/vnd.gantral.enrolment+json";
/// The format of the payload, and the label of its digest.
pub const ENROLMENT_FORMAT: &str = "gantral/enrolment/v1";
/// Where enrolments stand in a bundle.
pub const DIRECTORY_DIRECTORY: &str = "directory/";
/// The longest credential id, in bytes (WebAuthn Level 3 §4).
pub const CREDENTIAL_ID_BYTES_MAX: usize = 1_023;

/// The name that an authenticator gives a key: 1 to [`CREDENTIAL_ID_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// Wraps the bytes; `None` if there are none, or too many.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (1..=CREDENTIAL_ID_BYTES_MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// Parses base64url without padding.
    pub fn parse(text: &str) -> Option<Self> {
        from_base64url(text).and_then(Self::new)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text: base64url without padding.
    pub fn to_text(&self) -> String {
        to_base64url(&self.0)
    }
}

/// What a directory says of one authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The model of the authenticator, as it says; zeros where it does not.
    pub aaguid: [u8; 16],
    /// Whether the key may be copied to other devices of its owner: `false` is bound to one device, `true` is a synced passkey.
    pub backup_eligible: bool,
    /// When the directory enrolled it, by the directory's clock. Nothing rests on it: what counts is the place in the log.
    pub created_at: UnixMillis,
    /// The name of the key.
    pub credential_id: CredentialId,
    /// The key.
    pub key: ApproverKey,
    /// Commitment of how its owner calls the device ([`label_commitment`]); `None` where nobody said.
    pub label: Option<Digest>,
    /// The log of the tenant.
    pub origin: LogOrigin,
    /// Whose it is.
    pub person: PersonId,
    /// For whom it signs.
    pub relying_party: RelyingPartyId,
    /// The tenant.
    pub tenant: TenantId,
}

/// An enrolment in its envelope, with whatever signatures stand there: none of them checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEnrolment {
    envelope: Envelope,
}

/// Why bytes are not an enrolment. The bytes are at fault; equal bytes give an equal error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// The payload is not canonical JSON.
    #[error("enrolment is not canonical JSON: {0}")]
    Json(#[from] ParseError),
    /// Another format than [`ENROLMENT_FORMAT`].
    #[error("enrolment has another format than `{ENROLMENT_FORMAT}`")]
    Format,
    /// A member is missing, unknown, or not what it must be.
    #[error("enrolment: {0}")]
    Field(#[from] FieldError),
    /// A key that nobody can believe.
    #[error("enrolment: {0}")]
    Key(#[from] ApproverKeyError),
}

const MEMBERS: [&str; 12] = [
    "aaguid",
    "algorithm",
    "backup_eligible",
    "created_at",
    "credential_id",
    "format",
    "label_commitment",
    "log_origin",
    "person_id",
    "public_key",
    "relying_party_id",
    "tenant_id",
];

impl Enrolment {
    /// Returns the payload: canonical JSON.
    pub fn encode(&self) -> Vec<u8> {
        Writer::object(1_024, |out| {
            out.str("aaguid", &aaguid_text(&self.aaguid))
                .str("algorithm", self.key.algorithm().as_str())
                .bool("backup_eligible", self.backup_eligible)
                .str("created_at", &self.created_at.to_text())
                .str("credential_id", &self.credential_id.to_text())
                .str("format", ENROLMENT_FORMAT)
                .opt_hex("label_commitment", self.label.as_ref().map(|label| label.as_bytes().as_slice()))
                .str("log_origin", self.origin.as_str())
                .hex("person_id", self.person.0.as_bytes())
                .str("public_key", &self.key.to_hex())
                .str("relying_party_id", self.relying_party.as_str())
                .str("tenant_id", self.tenant.as_str());
        })
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// What the bytes are not.
    pub fn decode(payload: &[u8]) -> Result<Self, EnrolmentError> {
        let value = json::parse_canonical(payload, &Profile::ARTIFACT)?;
        if value.get("format").and_then(Value::as_str).is_some_and(|format| format != ENROLMENT_FORMAT) {
            return Err(EnrolmentError::Format);
        }
        let fields = Fields::open(&value, "enrolment", MEMBERS.into_iter())?;
        let _: String = fields.get("format")?;
        let Aaguid(aaguid) = fields.get("aaguid")?;
        let hex: String = fields.get("public_key")?;
        Ok(Self {
            aaguid,
            backup_eligible: fields.get("backup_eligible")?,
            created_at: fields.get("created_at")?,
            credential_id: fields.get("credential_id")?,
            key: ApproverKey::parse(fields.get("algorithm")?, &hex)?,
            label: fields.opt("label_commitment")?,
            origin: fields.get("log_origin")?,
            person: fields.get("person_id")?,
            relying_party: fields.get("relying_party_id")?,
            tenant: fields.get("tenant_id")?,
        })
    }

    /// Returns `entry_digest`: what ballots, assertions and the governance chain name.
    pub fn digest(&self) -> Digest {
        entry_digest(&self.encode())
    }

    /// Returns the bytes that the directory signs.
    pub fn message(&self) -> Vec<u8> {
        pae(ENROLMENT_PAYLOAD_TYPE, &self.encode())
    }

    /// Completes the enrolment with the directory's signature. That it is good is the signer's promise; a reader finds out.
    pub fn signed(&self, directory: &KeyId, signature: &[u8; 64]) -> Vec<u8> {
        let signatures =
            alloc::vec![EnvelopeSignature { key_id: directory.to_string(), signature: signature.to_vec() }];
        Envelope { payload: self.encode(), signatures }.encode_typed(ENROLMENT_PAYLOAD_TYPE)
    }

    /// Returns where the envelope of an entry stands in a bundle.
    pub fn path(entry: &Digest) -> String {
        alloc::format!("{DIRECTORY_DIRECTORY}{entry}.dsse.json")
    }
}

impl SignedEnrolment {
    /// Reads an envelope, and nothing of its payload.
    ///
    /// # Errors
    /// Not an envelope of an enrolment.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Envelope::parse_typed(bytes, ENROLMENT_PAYLOAD_TYPE).map(|envelope| Self { envelope })
    }

    /// Returns the entry digest of the payload, whatever it says.
    pub fn digest(&self) -> Digest {
        entry_digest(&self.envelope.payload)
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// What the payload is not.
    pub fn enrolment(&self) -> Result<Enrolment, EnrolmentError> {
        Enrolment::decode(&self.envelope.payload)
    }

    /// Returns the keys that signatures name, in their order: what strangers claim.
    pub fn claimed(&self) -> impl Iterator<Item = KeyId> {
        self.envelope.signatures.iter().filter_map(|entry| KeyId::parse(&entry.key_id).ok())
    }

    /// Tells whether a key signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let message = pae(ENROLMENT_PAYLOAD_TYPE, &self.envelope.payload);
        let name = key.id().to_string();
        let mut signatures = self.envelope.signatures.iter();
        signatures.any(|entry| entry.key_id == name && key.verify_strict(&message, &entry.signature).is_ok())
    }
}

/// Returns the commitment of how its owner calls a device, so that the directory tells nobody.
pub fn label_commitment(salt: &Salt, label: &str) -> Digest {
    Hasher::new("gantral/label/v1").bytes(salt.as_bytes()).bytes(label.as_bytes()).finish()
}

fn entry_digest(payload: &[u8]) -> Digest {
    Hasher::new(ENROLMENT_FORMAT).bytes(payload).finish()
}

/// The model of an authenticator, written as a UUID of any version.
struct Aaguid([u8; 16]);

impl Scalar for Aaguid {
    const EXPECTED: &'static str = "16 bytes written as a lower-case UUID";

    fn read(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        let digits: String = text.split('-').collect();
        let bytes = parse_hex(&digits)?;
        (aaguid_text(&bytes) == text).then_some(Self(bytes))
    }
}

impl Scalar for Algorithm {
    const EXPECTED: &'static str = "`es256` or `ed25519`";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::parse)
    }
}

impl Scalar for CredentialId {
    const EXPECTED: &'static str = "1 to 1023 bytes in base64url without padding";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::parse)
    }
}

impl Scalar for RelyingPartyId {
    const EXPECTED: &'static str = "the name of a host in lower case";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(|text| Self::parse(text).ok())
    }
}

fn aaguid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
