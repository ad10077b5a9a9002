use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::ToString as _;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::ids::LogOrigin;

use super::super::note::{cosignature, cosigned, signature_line};
use super::super::tree::TreeHead;
use super::*;
use crate::keys::PublicKey;

const ORIGIN: &str = "acme/log.example";

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn key(seed: u8, name: &str, kind: NoteKeyKind) -> NoteKey {
    NoteKey::new(name, kind, PublicKey::from_bytes(secret(seed).verifying_key().as_bytes()).unwrap()).unwrap()
}

fn witness(seed: u8) -> NoteKey {
    key(seed, "witness.example", NoteKeyKind::Cosignature)
}

fn text() -> String {
    Checkpoint { origin: LogOrigin::parse(ORIGIN).unwrap(), tree: TreeHead::empty() }.text()
}

/// Returns a checkpoint signed by a log, and cosigned by some.
fn signed(log: u8, witnesses: &[u8]) -> String {
    let text = text();
    let log =
        signature_line(&key(log, ORIGIN, NoteKeyKind::Text), &secret(log).sign(text.as_bytes()).to_bytes());
    let cosigned = |seed: &u8| {
        let signature = secret(*seed).sign(cosigned(99, &text).as_bytes()).to_bytes();
        signature_line(&witness(*seed), &cosignature(99, &signature))
    };
    format!("{text}\n{log}{}", witnesses.iter().map(cosigned).collect::<String>())
}

/// Two of three X and any of two Y, as in the example of C2SP.
fn policy() -> String {
    let log = key(1, ORIGIN, NoteKeyKind::Text);
    let mut text = format!("# a comment\n\nlog {log} https://log.example/\n");
    for (name, seed) in [("X1", 11), ("X2", 12), ("X3", 13), ("Y1", 21), ("Y2", 22)] {
        text += &format!("\twitness  {name} {}\n", witness(seed));
    }
    text + "group X 2 X1 X2 X3\ngroup Y any Y1 Y2\ngroup both all X Y\nquorum both\n"
}

#[test]
fn a_quorum_counts_groups_of_groups() {
    let policy = LogPolicy::parse(policy().as_bytes()).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 5));
    assert_eq!(policy.logs()[0].url.as_deref(), Some("https://log.example/"));
    for (witnesses, enough) in [
        (&[11, 12, 21][..], true),
        (&[13, 22, 11], true),
        (&[11, 12, 13, 21, 22], true),
        (&[11, 12, 13], false),
        (&[11, 21, 22], false),
        (&[11, 11, 21], false),
        (&[11, 31, 21], false),
        (&[], false),
    ] {
        let note = signed(1, witnesses);
        let vouched = policy.vouched(note.as_bytes()).unwrap();
        assert_eq!(vouched.quorum, enough, "{witnesses:?}");
    }
    let note = signed(1, &[22, 12]);
    let vouched = policy.vouched(note.as_bytes()).unwrap();
    let names: Vec<_> =
        vouched.witnesses.iter().map(|(witness, time)| (witness.name.as_slice(), *time)).collect();
    assert_eq!(names, [(&b"X2"[..], 99), (b"Y2", 99)]);
}

#[test]
fn no_quorum_asks_for_the_log_alone() {
    let log = key(1, ORIGIN, NoteKeyKind::Text);
    let policy = LogPolicy::parse(format!("log {log}\nquorum none\n").as_bytes()).unwrap();
    let vouched = policy.vouched(signed(1, &[]).as_bytes()).map(|vouched| vouched.quorum);
    assert_eq!(vouched, Ok(true));
    assert_eq!(policy.vouched(signed(2, &[]).as_bytes()), Err(VouchError::Unknown));
}

#[test]
fn a_forged_signature_of_a_log_is_told_from_an_unknown_log() {
    let policy = LogPolicy::parse(policy().as_bytes()).unwrap();
    let forged = signed(1, &[]).replace(&text(), &text().replace("\n0\n", "\n1\n"));
    assert_eq!(policy.vouched(forged.as_bytes()), Err(VouchError::Signature));
    let elsewhere = signed(1, &[]).replace("acme/", "emca/");
    assert_eq!(policy.vouched(elsewhere.as_bytes()), Err(VouchError::Unknown));
}

#[test]
fn a_forged_cosignature_counts_as_none() {
    let policy = LogPolicy::parse(policy().as_bytes()).unwrap();
    let forged = signature_line(&witness(11), &[0; 72]);
    let note = signed(1, &[12, 21]) + &forged;
    assert!(!policy.vouched(note.as_bytes()).unwrap().quorum);
}

#[test]
fn faults_name_their_line() {
    let (log, one) = (key(1, ORIGIN, NoteKeyKind::Text), witness(11));
    let witness_of_the_logs_key = key(1, "w", NoteKeyKind::Cosignature);
    let cases = [
        ("".to_owned(), 1, PolicyFault::Text),
        ("quorum none".to_owned(), 1, PolicyFault::Text),
        ("\u{1}\nquorum none\n".to_owned(), 1, PolicyFault::Text),
        (format!("log {log}\n"), 1, PolicyFault::Quorum),
        ("quorum none\nquorum none\n".to_owned(), 2, PolicyFault::Quorum),
        (format!("\nlog {log} url more\nquorum none\n"), 2, PolicyFault::Syntax),
        ("quorum\n".to_owned(), 1, PolicyFault::Syntax),
        (format!("log {one}\nquorum none\n"), 1, PolicyFault::KeyKind),
        (format!("witness w {log}\nquorum none\n"), 1, PolicyFault::KeyKind),
        ("log nothing\nquorum none\n".to_owned(), 1, PolicyFault::Key(NoteKeyError::Syntax)),
        (format!("log {log}\nlog {log}\nquorum none\n"), 2, PolicyFault::Twice),
        (format!("witness a {one}\nwitness b {one}\nquorum none\n"), 2, PolicyFault::Twice),
        (format!("witness a {one}\nwitness a {}\nquorum a\n", witness(12)), 2, PolicyFault::Twice),
        (format!("log {log}\nwitness w {witness_of_the_logs_key}\nquorum w\n"), 2, PolicyFault::Twice),
        (format!("witness none {one}\nquorum none\n"), 1, PolicyFault::Twice),
        ("quorum a\n".to_owned(), 1, PolicyFault::Name),
        (format!("witness a {one}\ngroup g all a a\nquorum g\n"), 2, PolicyFault::Name),
        (format!("witness a {one}\ngroup g all a\ngroup h all a g\nquorum h\n"), 3, PolicyFault::Name),
        (format!("witness a {one}\ngroup g all g\nquorum g\n"), 2, PolicyFault::Name),
        (format!("witness a {one}\ngroup g none a\nquorum g\n"), 2, PolicyFault::Threshold),
        (format!("witness a {one}\ngroup g 0 a\nquorum g\n"), 2, PolicyFault::Threshold),
        (format!("witness a {one}\ngroup g 2 a\nquorum g\n"), 2, PolicyFault::Threshold),
        (format!("witness a {one}\ngroup g any\nquorum g\n"), 2, PolicyFault::Threshold),
    ];
    for (text, line, fault) in cases {
        assert_eq!(LogPolicy::parse(text.as_bytes()), Err(PolicyError { line, fault }), "{text}");
    }
    let crowd: String = (0..=ENTRIES_MAX)
        .map(|at| format!("witness w{at} {}\n", witness(u8::try_from(at).unwrap() + 1)))
        .collect();
    let error = PolicyError { line: ENTRIES_MAX + 1, fault: PolicyFault::Limit };
    assert_eq!(LogPolicy::parse((crowd + "quorum none\n").as_bytes()), Err(error));
    assert_eq!(error.to_string(), "line 65 of the log policy: the policy is over its limit");
}
