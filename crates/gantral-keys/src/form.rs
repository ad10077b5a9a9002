//! What may be signed in which context: the form of the bytes, so that no signature made for one purpose serves another.
//!
//! No bytes have the form of two contexts. An encoding of DSSE begins with `DSSEv1 `, which has a capital letter and no place in an
//! origin; it names its payload type, and each context has another. A cosigned text has `time …` in its second line, where a
//! checkpoint has a number. Source: `spec/keys.md` §5.

use gantral_evidence::dsse::PAYLOAD_TYPE;
use gantral_evidence::log::checkpoint::Checkpoint;

use crate::signer::SigningContext;

/// Tells whether bytes have the form of what is signed in a context.
pub(crate) fn fits(context: SigningContext, message: &[u8]) -> bool {
    match context {
        SigningContext::Artifact => is_pae(PAYLOAD_TYPE, message),
        SigningContext::Checkpoint => text(message).is_some_and(is_checkpoint),
        SigningContext::Cosignature => text(message).is_some_and(is_cosigned),
    }
}

fn text(message: &[u8]) -> Option<&str> {
    std::str::from_utf8(message).ok()
}

/// Tells whether bytes are the pre-authentication encoding of a payload of this type.
fn is_pae(payload_type: &str, message: &[u8]) -> bool {
    let head = format!("DSSEv1 {} {payload_type} ", payload_type.len());
    let Some(rest) = message.strip_prefix(head.as_bytes()) else { return false };
    let Some(at) = rest.iter().position(|byte| *byte == b' ') else { return false };
    let (length, payload) = rest.split_at(at);
    // The payload still has the blank before it.
    payload.len().checked_sub(1).is_some_and(|bytes| length == bytes.to_string().as_bytes())
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
