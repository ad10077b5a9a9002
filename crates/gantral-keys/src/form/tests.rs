use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_evidence::dsse::pae;
use gantral_evidence::log::note::cosigned;
use gantral_evidence::log::tree::TreeHead;
use proptest::prelude::*;

use super::*;

fn checkpoint(origin: &str, size: u64, root: [u8; 32]) -> String {
    let root = Digest::from_bytes(root);
    Checkpoint { origin: LogOrigin::parse(origin).unwrap(), tree: TreeHead { size, root } }.text()
}

/// Bytes of each context, with everything in them that the other contexts look for.
fn message(context: SigningContext, number: u64, other: &[u8]) -> Vec<u8> {
    match context {
        SigningContext::Artifact => pae(PAYLOAD_TYPE, other),
        SigningContext::Delegation => pae(DELEGATION_PAYLOAD_TYPE, other),
        SigningContext::Enrolment => pae(ENROLMENT_PAYLOAD_TYPE, other),
        SigningContext::Checkpoint => checkpoint("cosignature/v1", number, [7; 32]).into_bytes(),
        SigningContext::Cosignature => cosigned(number, &checkpoint("a/log", number, [7; 32])).into_bytes(),
    }
}

fn contexts_of(message: &[u8]) -> Vec<SigningContext> {
    SigningContext::ALL.into_iter().filter(|context| fits(*context, message)).collect()
}

#[test]
fn what_one_context_signs_fits_no_other() {
    for context in SigningContext::ALL {
        for inner in SigningContext::ALL {
            let message = message(context, 7, &message(inner, 7, b"{}"));
            assert_eq!(contexts_of(&message), [context], "{context:?} with {inner:?} inside");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_fit_two_contexts(
        first in 0..SigningContext::ALL.len(),
        second in 0..SigningContext::ALL.len(),
        number in 0..1_u64 << 50,
        at in 0..200_usize,
        from in 0..200_usize,
    ) {
        let head = message(SigningContext::ALL[first], number, b"{}");
        let tail = message(SigningContext::ALL[second], number, b"{}");
        let mut spliced = head[..at.min(head.len())].to_vec();
        spliced.extend_from_slice(&tail[from.min(tail.len())..]);
        prop_assert!(contexts_of(&spliced).len() <= 1);
    }
}

#[test]
fn encoding_whose_length_is_wrong_fits_nothing() {
    let message = pae(PAYLOAD_TYPE, b"{\"a\":1}");
    assert_eq!(contexts_of(&message), [SigningContext::Artifact]);
    for wrong in [
        &message[..message.len() - 1],
        &[&message[..], b" "].concat(),
        b"DSSEv1 28 application/vnd.in-toto+json 02 {}",
        b"DSSEv1 28 application/vnd.in-toto+json 2",
        b"DSSEv1 28 application/vnd.in-toto+json ",
        b"DSSEv1 4 text 2 {}",
        b"",
    ] {
        assert_eq!(contexts_of(wrong), [], "{}", String::from_utf8_lossy(wrong));
    }
}

#[test]
fn cosigned_text_with_another_spelling_of_the_time_fits_nothing() {
    let text = checkpoint("a/log", 3, [1; 32]);
    assert_eq!(contexts_of(cosigned(9, &text).as_bytes()), [SigningContext::Cosignature]);
    for time in ["09", "+9", "", "9 ", "-9"] {
        assert_eq!(contexts_of(format!("cosignature/v1\ntime {time}\n{text}").as_bytes()), [], "{time}");
    }
}
