use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::signer::Signer as _;

#[test]
fn key_is_made_once_and_read_by_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.pk8");
    let made = load_or_generate(KeyRole::Issuer, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let read = load_or_generate(KeyRole::Issuer, &path).unwrap();
    assert_eq!(read.public_key(), made.public_key());

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = load_or_generate(KeyRole::Issuer, &path).err().unwrap();
    assert!(matches!(&error, FileError::Mode { .. }), "{error}");
}

#[test]
fn secret_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    write_private(&path, b"first").unwrap();
    let error = write_private(&path, b"second").unwrap_err();
    assert!(matches!(&error, FileError::Write { source, .. } if source.kind() == ErrorKind::AlreadyExists));
    assert_eq!(read_private(&path).unwrap(), b"first");

    replace_private(&path, b"second").unwrap();
    assert_eq!(read_private(&path).unwrap(), b"second");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["key"]);
}

#[test]
fn file_that_holds_no_key_is_named_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.pk8");
    for content in [&b"secret text"[..], b"", &[0; 20 << 10]] {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = load_or_generate(KeyRole::Issuer, &path).err().unwrap();
        assert!(matches!(&error, FileError::Content { .. }), "{error}");
        assert!(!error.to_string().contains("secret text"));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}
