#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const GOOD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn of(value: &str) -> Result<Secret, SecretError> {
    resolve("env:HOOK", |name| (name == "HOOK").then(|| value.into()))
}

#[test]
fn a_secret_comes_from_the_environment_or_from_a_file_of_its_owner() {
    assert!(of(GOOD).is_ok());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook");
    std::fs::write(&path, format!("{GOOD}\n")).unwrap();
    let reference = format!("file:{}", path.display());
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    assert!(resolve(&reference, |_| None).is_ok());
    mode(0o640);
    assert!(matches!(resolve(&reference, |_| None), Err(SecretError::File { .. })));
}

#[test]
fn what_is_no_secret_is_refused_and_not_shown() {
    let short = format!("whsec_{}", STANDARD.encode([7; 23]));
    let long = format!("whsec_{}", STANDARD.encode([7; 65]));
    for value in ["", "whsec_", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_!", &short, &long] {
        let error = of(value).unwrap_err();
        assert!(matches!(error, SecretError::Form { .. }), "{error}");
        assert!(value.len() < 10 || !error.to_string().contains(value), "{error}");
    }
    for reference in [GOOD, "file:relative", "vault:x", ""] {
        let error = resolve(reference, |_| None).unwrap_err();
        assert!(matches!(error, SecretError::Reference), "{error}");
        assert!(!error.to_string().contains("AAEC"), "{error}");
    }
    assert!(matches!(resolve("env:NONE", |_| None), Err(SecretError::Missing { .. })));
}

#[test]
fn an_address_or_a_password_is_one_line() {
    let of = |value: &str| {
        let value = value.to_owned();
        resolve_line("env:LINE", move |_| Some(value.clone().into()))
    };
    assert_eq!(of(" https://hooks.example.org/T0/B0/x\n").unwrap(), "https://hooks.example.org/T0/B0/x");
    for bad in ["", " \n", "one\ntwo", "a\0b"] {
        let error = of(bad).unwrap_err();
        assert!(matches!(error, SecretError::Line { .. }) && !error.to_string().contains("two"), "{error}");
    }
    assert!(matches!(resolve_line("https://hooks.example.org/", |_| None), Err(SecretError::Reference)));
}
