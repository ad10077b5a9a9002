//! Keys as other tools write them, and assertions as other libraries read them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::*;

/// 2026-01-01T00:00:00Z.
const NOW: u64 = 1_767_225_600_000;

/// Makes a key with OpenSSL; returns the files of its private and its public part.
fn made(folder: &TempDir, arguments: &[&str]) -> (PathBuf, PathBuf) {
    let (private, public) = (folder.path().join("private.pem"), folder.path().join("public.der"));
    let openssl = |arguments: &[&str]| {
        let ended = Command::new("openssl").args(arguments).output().expect("this test needs openssl");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    let out = private.to_str().unwrap();
    openssl(&[&["genpkey", "-out", out], arguments].concat());
    openssl(&["pkey", "-in", out, "-pubout", "-outform", "DER", "-out", public.to_str().unwrap()]);
    std::fs::set_permissions(&private, PermissionsExt::from_mode(0o600)).unwrap();
    (private, public)
}

fn check(arguments: &[&str], algorithm: jsonwebtoken::Algorithm, read: fn(&[u8]) -> DecodingKey) {
    let folder = tempfile::tempdir().unwrap();
    let (private, public) = made(&folder, arguments);
    let key = ClientKey::read(&private, Some("2026-01".to_owned())).unwrap();
    let now = UnixMillis::new(NOW).unwrap();
    let assert = || key.assertion("payments-runner", "https://id.example.com", now).unwrap();
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["https://id.example.com"]);
    validation.validate_exp = false;
    let decoded =
        jsonwebtoken::decode::<Json>(assert(), &read(&std::fs::read(&public).unwrap()), &validation);
    let decoded = decoded.unwrap();
    assert_eq!(decoded.header.kid.as_deref(), Some("2026-01"));
    for name in ["iss", "sub"] {
        assert_eq!(decoded.claims[name], "payments-runner");
    }
    assert_eq!(decoded.claims["exp"], NOW / 1_000 + 60);
    assert_ne!(assert(), assert(), "each is the only one of its kind");
}

#[test]
fn assertions_of_every_kind_of_key_are_read_by_another_library() {
    use jsonwebtoken::Algorithm as Theirs;
    check(&["-algorithm", "ed25519"], Theirs::EdDSA, DecodingKey::from_ed_der);
    check(
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        Theirs::ES256,
        DecodingKey::from_ec_der,
    );
    check(
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        Theirs::RS256,
        DecodingKey::from_rsa_der,
    );
}

#[test]
fn keys_that_are_short_on_another_curve_or_open_to_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ] {
        let (private, _) = made(&folder, &arguments);
        let refused = ClientKey::read(&private, None).unwrap_err();
        assert!(matches!(refused, ClientKeyError::Malformed { .. }), "{refused}");
    }
    let (private, _) = made(&folder, &["-algorithm", "ed25519"]);
    std::fs::set_permissions(&private, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(matches!(ClientKey::read(&private, None), Err(ClientKeyError::Open { .. })));
}

#[test]
fn debug_of_a_client_key_shows_its_kind_only() {
    let folder = tempfile::tempdir().unwrap();
    let (private, _) = made(&folder, &["-algorithm", "ed25519"]);
    let key = ClientKey::read(&private, None).unwrap();
    assert_eq!(format!("{key:?}"), "ClientKey { algorithm: EdDsa, kid: None, .. }");
}
