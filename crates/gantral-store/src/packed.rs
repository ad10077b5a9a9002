//! How an envelope stands in its column: with the payload as bytes, and not in base64, which is a third more to write, to flush and to keep.
//!
//! What comes out is byte for byte what went in, whatever that is. An envelope that is not spelled as ours are, and every one that was written
//! before there was another form, stands as it is.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The first byte of a packed envelope, and of one behind it that would be taken for something else. No JSON text begins with either.
const PACKED: u8 = 1;
const PLAIN: u8 = 0;
/// What stands before the payload.
const BEGIN: &[u8] = b"{\"payload\":\"";
/// How many bytes say how long the payload is.
const LENGTH: usize = size_of::<u32>();

/// Returns the column for an envelope.
pub(crate) fn pack(envelope: &[u8]) -> Cow<'_, [u8]> {
    match (packed(envelope), envelope.first()) {
        (Some(packed), _) => Cow::Owned(packed),
        (None, Some(&(PACKED | PLAIN))) => Cow::Owned([&[PLAIN], envelope].concat()),
        (None, _) => Cow::Borrowed(envelope),
    }
}

fn packed(envelope: &[u8]) -> Option<Vec<u8>> {
    let text = envelope.strip_prefix(BEGIN)?;
    let (text, rest) = text.split_at(text.iter().position(|byte| *byte == b'"')?);
    // The engine takes one spelling of each payload, so that encoding it again gives this one.
    let payload = STANDARD.decode(text).ok()?;
    let length = u32::try_from(payload.len()).ok()?.to_be_bytes();
    Some([&[PACKED], length.as_slice(), &payload, rest].concat())
}

/// Returns the envelope of a column; `None` for a packed one that ends early.
pub(crate) fn unpack(column: &[u8]) -> Option<Cow<'_, [u8]>> {
    let rest = match column {
        [PACKED, rest @ ..] => rest,
        [PLAIN, rest @ ..] => return Some(Cow::Borrowed(rest)),
        _ => return Some(Cow::Borrowed(column)),
    };
    let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
    let (payload, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some(Cow::Owned([BEGIN, STANDARD.encode(payload).as_bytes(), rest].concat()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope(payload: &[u8]) -> Vec<u8> {
        let text = STANDARD.encode(payload);
        format!(r#"{{"payload":"{text}","payloadType":"t","signatures":[]}}"#).into_bytes()
    }

    #[test]
    fn an_envelope_takes_what_its_payload_takes() {
        let (small, large) = (envelope(&[0; 30]), envelope(&[0; 3_030]));
        assert_eq!(large.len() - small.len(), 4_000);
        assert_eq!(pack(&large).len() - pack(&small).len(), 3_000);
    }

    #[test]
    fn what_was_cut_off_is_no_envelope() {
        let column = pack(&envelope(b"payload")).into_owned();
        assert!(unpack(&column).is_some());
        for length in 1..1 + LENGTH + b"payload".len() {
            assert_eq!(unpack(&column[..length]), None, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn every_envelope_comes_out_as_it_went_in(payload in any::<Vec<u8>>()) {
            let envelope = envelope(&payload);
            let column = pack(&envelope);
            prop_assert_eq!(column[0], PACKED);
            prop_assert_eq!(unpack(&column).map(Cow::into_owned), Some(envelope.clone()));
        }

        #[test]
        fn and_so_do_bytes_that_are_none(begin in 0_u8..3, bytes in any::<Vec<u8>>()) {
            let bytes = [&[begin], bytes.as_slice()].concat();
            let column = pack(&bytes);
            prop_assert_eq!(unpack(&column).map(Cow::into_owned), Some(bytes.clone()));
        }

        #[test]
        fn and_so_does_what_is_spelled_in_another_way(text in r#"[\{\[ ](payload|"|:|[A-Za-z0-9+/=]|_-|\\|\}){0,40}"#, at in 0_usize..60) {
            let mut near = envelope(b"any payload at all");
            let at = at % near.len();
            near[at] = b'!';
            for envelope in [format!(r#"{{"payload":"{text}"#).into_bytes(), text.into_bytes(), near] {
                let column = pack(&envelope);
                prop_assert_eq!(unpack(&column).map(Cow::into_owned), Some(envelope.clone()));
            }
        }
    }
}
