//! What may be signed in which context: the form of the bytes, so that no signature made for one purpose serves another.
//!
//! No bytes have the form of two contexts. An encoding of DSSE begins with `DSSEv1 `, which has a capital letter and no place in an
//! origin; it names its payload type, and each context has another. A cosigned text has `time …` in its second line, where a
//! checkpoint has a number. Source: `spec/keys.md` K15.

use gantral_evidence::delegation::DELEGATION_PAYLOAD_TYPE;
use gantral_evidence::dsse::PAYLOAD_TYPE;
use gantral_evidence::human::ENROLMENT_PAYLOAD_TYPE;
use gantral_evidence::log::checkpoint::Checkpoint;

use crate::signer::SigningContext;

/// Tells whether bytes have the form of what is signed in a context.
pub(crate) fn fits(context: SigningContext, message: &[u8]) -> bool {
    match context {
        SigningContext::Artifact => artifact_payload(message).is_some(),
        SigningContext::Delegation => pae_payload(DELEGATION_PAYLOAD_TYPE, message).is_some(),
        SigningContext::Enrolment => pae_payload(ENROLMENT_PAYLOAD_TYPE, message).is_some(),
        SigningContext::Checkpoint => text(message).is_some_and(is_checkpoint),
        SigningContext::Cosignature => text(message).is_some_and(is_cosigned),
    }
}

fn text(message: &[u8]) -> Option<&str> {
    std::str::from_utf8(message).ok()
}

/// Returns the payload of the bytes of an artifact.
pub(crate) fn artifact_payload(message: &[u8]) -> Option<&[u8]> {
    pae_payload(PAYLOAD_TYPE, message)
}

/// Returns the payload if bytes are the pre-authentication encoding of one of this type.
fn pae_payload<'a>(payload_type: &str, message: &'a [u8]) -> Option<&'a [u8]> {
    let head = format!("DSSEv1 {} {payload_type} ", payload_type.len());
    let rest = message.strip_prefix(head.as_bytes())?;
    let (length, payload) = rest.split_at(rest.iter().position(|byte| *byte == b' ')?);
    let payload = payload.strip_prefix(b" ")?;
    (length == payload.len().to_string().as_bytes()).then_some(payload)
}

fn is_checkpoint(text: &str) -> bool {
    Checkpoint::parse(text).is_ok()
}

fn is_cosigned(text: &str) -> bool {
    let Some((time, checkpoint)) =
        text.strip_prefix("cosignature/v1\ntime ").and_then(|rest| rest.split_once('\n'))
    else {
        return false;
    };
    time.parse::<u64>().is_ok_and(|number| number.to_string() == time) && is_checkpoint(checkpoint)
}

#[cfg(test)]
mod tests;
