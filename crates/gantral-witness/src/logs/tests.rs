use gantral_evidence::keys::PublicKey;

use super::*;

fn key(seed: u8, name: &str, kind: NoteKeyKind) -> NoteKey {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    NoteKey::new(name, kind, PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap()).unwrap()
}

#[test]
fn logs_are_keys_on_lines_or_those_of_a_policy() {
    let (one, two) = (key(1, "acme/log", NoteKeyKind::Text), key(2, "emca/log", NoteKeyKind::Text));
    let lines = format!("# ours\n\n{one}\n  {two}\n");
    assert_eq!(parse_logs(lines.as_bytes()).unwrap(), [one.clone(), two.clone()]);
    let policy = format!("log {one}\nlog {two} https://log.example/\nquorum none\n");
    assert_eq!(parse_logs(policy.as_bytes()).unwrap(), [one, two]);
}

#[test]
fn what_names_no_log_is_refused() {
    let (log, witness) = (key(1, "acme/log", NoteKeyKind::Text), key(2, "w", NoteKeyKind::Cosignature));
    let check = |text: String, expected: &str| {
        assert_eq!(parse_logs(text.as_bytes()).unwrap_err().to_string(), expected);
    };
    check(String::new(), "the list has 0 logs, and may have 1 to 64");
    check(format!("{log}\n{witness}\n"), "line 2 of the list of logs: the key is not that of a log");
    check(
        format!("{log}x\n"),
        "line 1 of the list of logs: a key is written as its name, eight hexadecimal digits and base64, joined by `+`",
    );
    check(format!("log {log}\n"), "line 1 of the log policy: the policy has exactly one quorum");
    check("x".repeat(70_000), "the list of logs is no text of at most 65536 bytes");
}
