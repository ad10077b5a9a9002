use alloc::string::ToString as _;
use alloc::vec;

use ed25519_dalek::{Signer as _, SigningKey};

use super::*;

/// The example of Go's `golang.org/x/mod/sumdb/note`, from which the format comes.
const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, kind: NoteKeyKind) -> (SigningKey, NoteKey) {
    let secret = SigningKey::from_bytes(&[7; 32]);
    let key = PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap();
    (secret, NoteKey::new(name, kind, key).unwrap())
}

#[test]
fn the_published_example_verifies() {
    let key = NoteKey::parse(KEY).unwrap();
    assert_eq!((key.name(), key.kind(), key.to_string().as_str()), ("PeterNeumann", NoteKeyKind::Text, KEY));
    assert_eq!(key.check(&Note::parse(NOTE.as_bytes()).unwrap()), Signed::Good { time: None });
    let other = NOTE.replace("problem is", "problem was");
    assert_eq!(key.check(&Note::parse(other.as_bytes()).unwrap()), Signed::Bad);
}

#[test]
fn a_text_may_have_empty_lines_of_its_own() {
    let (secret, key) = signer("a.example", NoteKeyKind::Text);
    let text = "one\n\ntwo\n";
    let note = format!("{text}\n{}", signature_line(&key, &secret.sign(text.as_bytes()).to_bytes()));
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!((note.text, key.check(&note)), (text, Signed::Good { time: None }));
}

#[test]
fn a_cosignature_covers_its_time() {
    let (secret, key) = signer("witness.example/w1", NoteKeyKind::Cosignature);
    let text = "log.example/acme\n7\nroot\n";
    let signature = secret.sign(cosigned(1_700_000_000, text).as_bytes()).to_bytes();
    let note = |time| {
        let line = signature_line(&key, &cosignature(time, &signature));
        key.check(&Note::parse(format!("{text}\n{line}").as_bytes()).unwrap())
    };
    assert_eq!(note(1_700_000_000), Signed::Good { time: Some(1_700_000_000) });
    assert_eq!(note(1_700_000_001), Signed::Bad);
}

#[test]
fn signatures_of_others_are_left_alone() {
    let (_, witness) = signer("a.example", NoteKeyKind::Cosignature);
    let (secret, log) = signer("a.example", NoteKeyKind::Text);
    let signature = secret.sign(b"text\n").to_bytes();
    let note = format!("text\n\n{}", signature_line(&log, &signature));
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(witness.check(&note), Signed::No);
    assert_eq!(NoteKey::parse(KEY).unwrap().check(&note), Signed::No);
}

#[test]
fn a_line_that_anybody_can_add_takes_nothing_away() {
    let (secret, key) = signer("a.example", NoteKeyKind::Text);
    let good = signature_line(&key, &secret.sign(b"text\n").to_bytes());
    let bad = signature_line(&key, &[0; 64]);
    for lines in [format!("{good}{bad}"), format!("{bad}{good}")] {
        let note = format!("text\n\n{lines}");
        assert_eq!(key.check(&Note::parse(note.as_bytes()).unwrap()), Signed::Good { time: None });
    }
}

#[test]
fn what_is_no_note_is_refused() {
    let line = "\u{2014} a AAAAAAA=\n";
    let cases = [
        ("text\n".to_owned(), NoteError::Shape),
        ("text\n\n".to_owned(), NoteError::Shape),
        (format!("text\n\n{}", line.trim_end()), NoteError::Shape),
        (format!("text\n\n- a AAAAAAA=\n{line}"), NoteError::Signature),
        ("text\n\n\u{2014} a b AAAAAAA=\n".to_owned(), NoteError::Signature),
        ("text\n\n\u{2014} a+b AAAAAAA=\n".to_owned(), NoteError::Signature),
        ("text\n\n\u{2014} a AAAAAAA\n".to_owned(), NoteError::Signature),
        ("text\n\n\u{2014} a AAAAAA==\n".to_owned(), NoteError::Signature),
        (format!("te\txt\n\n{line}"), NoteError::Text),
        (format!("text\r\n\n{line}"), NoteError::Text),
        (format!("text\n\n{}", line.repeat(SIGNATURES_MAX + 1)), NoteError::Limit),
        (format!("{}\n\n{line}", "x".repeat(NOTE_BYTES_MAX)), NoteError::Limit),
    ];
    assert!(Note::parse(format!("text\n\n{line}").as_bytes()).is_ok());
    for (note, error) in cases {
        assert_eq!(Note::parse(note.as_bytes()), Err(error), "{note:.80}");
    }
    assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::Text));
}

#[test]
fn what_is_no_key_is_refused() {
    let (_, key) = signer("a.example", NoteKeyKind::Text);
    let encoded = |bytes: &[u8]| format!("a.example+00000000+{}", STANDARD.encode(bytes));
    let mut other_kind = vec![2];
    other_kind.extend_from_slice(key.key().as_bytes());
    let cases = [
        ("a.example".to_owned(), NoteKeyError::Syntax),
        ("a.example+00000000".to_owned(), NoteKeyError::Syntax),
        (encoded(&[]), NoteKeyError::Syntax),
        (encoded(&[1; 32]), NoteKeyError::Syntax),
        (encoded(&other_kind), NoteKeyError::Kind(2)),
        (encoded(&[[1].as_slice(), &[0; 32]].concat()), NoteKeyError::Key(KeyError::SmallOrder)),
        (format!("+{}", KEY.split_once('+').unwrap().1), NoteKeyError::Name),
        (format!("Peter Neumann+{}", KEY.split_once('+').unwrap().1), NoteKeyError::Name),
        (KEY.replace("PeterNeumann", "PaulNeumann"), NoteKeyError::Id),
        (KEY.to_uppercase(), NoteKeyError::Syntax),
    ];
    for (text, error) in cases {
        assert_eq!(NoteKey::parse(&text), Err(error), "{text}");
    }
    assert_eq!(NoteKey::new("", NoteKeyKind::Text, key.key().clone()), Err(NoteKeyError::Name));
}
