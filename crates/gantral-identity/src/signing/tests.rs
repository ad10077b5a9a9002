use super::*;

#[test]
fn the_name_of_a_key_is_its_rfc_7638_thumbprint() {
    // The key and thumbprint of RFC 8037 appendix A.
    let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    assert_eq!(thumbprint(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_key_file_gives_the_same_key_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    let made = TokenKey::load_or_generate(&path).unwrap();
    let loaded = TokenKey::load_or_generate(&path).unwrap();
    assert_eq!(made.kid(), loaded.kid());
    assert_eq!(made.sign("JWT", Object::new()), loaded.sign("JWT", Object::new()));
}

#[cfg(unix)]
#[test]
fn a_key_file_belongs_to_its_owner_only() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    TokenKey::load_or_generate(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(TokenKey::load_or_generate(&path), Err(KeyFileError::Open { .. })));
}

#[cfg(unix)]
#[test]
fn a_file_that_holds_no_key_is_refused_and_kept() {
    for text in ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        create_private(&path).unwrap().write_all(text.as_bytes()).unwrap();
        assert!(matches!(TokenKey::load_or_generate(&path), Err(KeyFileError::Malformed { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn an_existing_key_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    let first = TokenKey::load_or_generate(&path).unwrap();
    assert!(TokenKey::generate().unwrap().write_new(&path).is_err());
    assert_eq!(TokenKey::load_or_generate(&path).unwrap().kid(), first.kid());
}

#[test]
fn debug_of_a_key_shows_its_name_only() {
    let key = TokenKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), format!("TokenKey {{ kid: {:?}, .. }}", key.kid()));
}
