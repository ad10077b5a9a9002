//! The signature envelope: DSSE v1, with the payload type that its reader expects and no other.
//!
//! What is signed is the raw payload, framed by [`pae`]. The envelope itself is not signed: it may be spelled in any
//! way that JSON allows, and an extra signature changes nothing about the others. Nothing here knows what a payload
//! means, or which keys are trusted. Source: DSSE v1.0.2 (`protocol.md`, `envelope.md`), `spec/envelope.md`.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::json::{self, ARTIFACT_BYTES_MAX, Object, ParseError, Profile, Value, Writer};

/// The payload type of artifacts: an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The largest payload, in bytes: that of an artifact.
pub const PAYLOAD_BYTES_MAX: usize = ARTIFACT_BYTES_MAX;
/// The most signatures of one envelope: the issuer's, and room for rotation and countersigning.
pub const SIGNATURES_MAX: usize = 8;
/// The longest key id of an envelope, in bytes; ours have 64.
pub const KEY_ID_BYTES_MAX: usize = 128;
/// The longest signature, in bytes: Ed25519 needs 64, the signatures of others may be longer.
pub const SIGNATURE_BYTES_MAX: usize = 4 << 10;
/// The largest envelope, in bytes: the above in base64, and some space for a human's formatting.
pub const ENVELOPE_BYTES_MAX: usize = 160 << 10;

/// A payload and its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The signatures, 1 to [`SIGNATURES_MAX`], in the order of the envelope.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope. Neither part is believed before the signature verifies under a trusted key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// The key that the signer claims to have used, as [`crate::keys::KeyId`] writes it; of a stranger, any text.
    pub key_id: String,
    /// The bytes of the signature.
    pub signature: Vec<u8>,
}

/// Why bytes are not an envelope. The bytes are at fault; equal bytes give an equal error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not strict JSON, or larger than [`ENVELOPE_BYTES_MAX`].
    #[error("envelope is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// A member is missing, empty or of the wrong type.
    #[error("envelope member `{0}` is missing or of the wrong type")]
    Member(&'static str),
    /// An object has a member that the format does not know.
    #[error("envelope has an unknown member")]
    UnknownMember,
    /// Another payload type than the reader expects.
    #[error("envelope has another payload type than `{0}`")]
    PayloadType(&'static str),
    /// Not canonical base64 with padding (RFC 4648 §4 and §3.5).
    #[error("envelope member `{0}` is not canonical base64")]
    Base64(&'static str),
    /// Longer, or more of them, than the limit for this member.
    #[error("envelope member `{0}` is over its limit")]
    Limit(&'static str),
}

impl Envelope {
    /// Reads the envelope of an artifact: closed members, canonical base64, all limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::parse_typed(bytes, PAYLOAD_TYPE)
    }

    /// Reads an envelope of another payload type.
    pub(crate) fn parse_typed(bytes: &[u8], payload_type: &'static str) -> Result<Self, EnvelopeError> {
        let value = json::parse(bytes, &Profile::DOCUMENT.with_bytes_max(ENVELOPE_BYTES_MAX))?;
        let members = closed(&value, "envelope", &["payload", "payloadType", "signatures"])?;
        if text(members, "payloadType")? != payload_type {
            return Err(EnvelopeError::PayloadType(payload_type));
        }
        let payload = decode(text(members, "payload")?, "payload", PAYLOAD_BYTES_MAX)?;
        let signatures = members.get("signatures").and_then(Value::as_array).unwrap_or_default();
        if signatures.is_empty() {
            return Err(EnvelopeError::Member("signatures"));
        }
        if signatures.len() > SIGNATURES_MAX {
            return Err(EnvelopeError::Limit("signatures"));
        }
        let signatures = signatures.iter().map(parse_signature).collect::<Result<_, _>>()?;
        Ok(Self { payload, signatures })
    }

    /// Returns the one encoding of an artifact's envelope that we write: canonical JSON. Equal envelopes give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_typed(PAYLOAD_TYPE)
    }

    /// Returns the one encoding of an envelope of another payload type.
    pub(crate) fn encode_typed(&self, payload_type: &str) -> Vec<u8> {
        let payload = STANDARD.encode(&self.payload);
        Writer::object(payload.len() + 256 * (1 + self.signatures.len()), |out| {
            out.str("payload", &payload).str("payloadType", payload_type).array("signatures", |out| {
                for entry in &self.signatures {
                    out.object(|out| {
                        out.str("keyid", &entry.key_id).str("sig", &STANDARD.encode(&entry.signature));
                    });
                }
            });
        })
    }

    /// Returns the bytes that each signature covers.
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(PAYLOAD_TYPE, &self.payload)
    }
}

/// Returns DSSE's pre-authentication encoding: `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = alloc::format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    let mut bytes = Vec::with_capacity(head.len() + payload.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn parse_signature(value: &Value) -> Result<EnvelopeSignature, EnvelopeError> {
    let members = closed(value, "signatures", &["keyid", "sig"])?;
    let key_id = text(members, "keyid")?;
    if key_id.len() > KEY_ID_BYTES_MAX {
        return Err(EnvelopeError::Limit("keyid"));
    }
    let signature = decode(text(members, "sig")?, "sig", SIGNATURE_BYTES_MAX)?;
    Ok(EnvelopeSignature { key_id: key_id.into(), signature })
}

/// Returns the members of an object that has no others than those named.
fn closed<'a>(value: &'a Value, what: &'static str, names: &[&str]) -> Result<&'a Object, EnvelopeError> {
    let members = value.as_object().ok_or(EnvelopeError::Member(what))?;
    if members.names().all(|name| names.contains(&name)) {
        Ok(members)
    } else {
        Err(EnvelopeError::UnknownMember)
    }
}

fn text<'a>(members: &'a Object, name: &'static str) -> Result<&'a str, EnvelopeError> {
    members.get(name).and_then(Value::as_str).ok_or(EnvelopeError::Member(name))
}

fn decode(encoded: &str, name: &'static str, bytes_max: usize) -> Result<Vec<u8>, EnvelopeError> {
    let bytes = STANDARD.decode(encoded).map_err(|_| EnvelopeError::Base64(name))?;
    if bytes.len() > bytes_max { Err(EnvelopeError::Limit(name)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;
