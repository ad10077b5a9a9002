use alloc::string::{String, ToString as _};
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn envelope() -> Envelope {
    Envelope {
        payload: b"{\"a\":1}".to_vec(),
        signatures: vec![EnvelopeSignature { key_id: "k1".into(), signature: vec![0xff; 64] }],
    }
}

fn text_of(envelope: &Envelope) -> String {
    String::from_utf8(envelope.encode()).unwrap()
}

fn refusal(text: &str) -> EnvelopeError {
    Envelope::parse(text.as_bytes()).unwrap_err()
}

/// The test vector of DSSE `protocol.md`.
#[test]
fn the_signed_bytes_are_framed_as_the_standard_says() {
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    assert_eq!(envelope().signed_bytes(), b"DSSEv1 28 application/vnd.in-toto+json 7 {\"a\":1}");
}

#[test]
fn an_envelope_has_one_encoding_that_reads_back() {
    let text = text_of(&envelope());
    assert_eq!(
        text,
        alloc::format!(
            "{{\"payload\":\"eyJhIjoxfQ==\",\"payloadType\":\"application/vnd.in-toto+json\",\
             \"signatures\":[{{\"keyid\":\"k1\",\"sig\":\"{}w==\"}}]}}",
            "/".repeat(85)
        )
    );
    assert_eq!(Envelope::parse(text.as_bytes()), Ok(envelope()));
    let spaced = text.replace(':', " : ").replace('/', "\\/");
    assert_eq!(Envelope::parse(spaced.as_bytes()), Ok(envelope()), "spelling is not signed");
}

#[test]
fn what_is_not_exactly_an_envelope_is_refused() {
    use EnvelopeError::*;
    let text = text_of(&envelope());
    for (from, to, error) in [
        ("{\"payload\":", "{\"more\":1,\"payload\":", UnknownMember),
        ("{\"keyid\":", "{\"cert\":\"\",\"keyid\":", UnknownMember),
        ("\"payload\":\"eyJhIjoxfQ==\",", "", Member("payload")),
        ("\"keyid\":\"k1\",", "", Member("keyid")),
        ("\"k1\"", "1", Member("keyid")),
        ("application/vnd.in-toto+json", "application/json", PayloadType(PAYLOAD_TYPE)),
        ("eyJhIjoxfQ==", "eyJhIjoxfQ", Base64("payload")),
        ("eyJhIjoxfQ==", "eyJhIjoxfR==", Base64("payload")),
        ("eyJhIjoxfQ==", "eyJh IjoxfQ==", Base64("payload")),
        ("eyJhIjoxfQ==", "eyJhIjoxfQ==\\n", Base64("payload")),
        ("/w==", "_w==", Base64("sig")),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(refusal(&text.replace(from, to)), error, "{from} -> {to}");
    }
    assert_eq!(refusal("[]"), Member("envelope"));
    assert!(matches!(refusal(&text.replace("payloadType", "payload")), Json(_)), "duplicate member");
    let unsigned = Envelope { signatures: vec![], ..envelope() };
    assert_eq!(refusal(&text_of(&unsigned)), Member("signatures"));
    assert_eq!(Base64("sig").to_string(), "envelope member `sig` is not canonical base64");
}

#[test]
fn limits_hold_at_their_last_value() {
    let sized = |payload: usize, signatures: usize, signature: usize, key_id: usize| {
        let entry = EnvelopeSignature { key_id: "k".repeat(key_id), signature: vec![7; signature] };
        Envelope { payload: vec![b'x'; payload], signatures: vec![entry; signatures] }
    };
    let largest = sized(PAYLOAD_BYTES_MAX, SIGNATURES_MAX, SIGNATURE_BYTES_MAX, KEY_ID_BYTES_MAX);
    assert_eq!(Envelope::parse(&largest.encode()), Ok(largest));
    for (envelope, member) in [
        (sized(PAYLOAD_BYTES_MAX + 1, 1, 64, 1), "payload"),
        (sized(1, SIGNATURES_MAX + 1, 64, 1), "signatures"),
        (sized(1, 1, SIGNATURE_BYTES_MAX + 1, 1), "sig"),
        (sized(1, 1, 64, KEY_ID_BYTES_MAX + 1), "keyid"),
    ] {
        assert_eq!(Envelope::parse(&envelope.encode()), Err(EnvelopeError::Limit(member)));
    }
    let huge = " ".repeat(ENVELOPE_BYTES_MAX + 1);
    assert!(matches!(refusal(&huge), EnvelopeError::Json(_)));
}

proptest! {
    #[test]
    fn any_payload_survives(payload in proptest::collection::vec(any::<u8>(), 0..300), key_id in "\\PC{0,20}") {
        let entry = EnvelopeSignature { key_id, signature: payload.clone() };
        let envelope = Envelope { payload, signatures: vec![entry] };
        prop_assert_eq!(Envelope::parse(&envelope.encode()), Ok(envelope));
    }

    #[test]
    fn a_flipped_byte_is_refused_or_reads_as_something(index in 0_usize..1000, bit in 0_u8..8) {
        let mut bytes = envelope().encode();
        let index = index % bytes.len();
        bytes[index] ^= 1 << bit;
        if let Ok(read) = Envelope::parse(&bytes) {
            prop_assert_ne!(read, envelope());
        }
    }
}
