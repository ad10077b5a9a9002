use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn only_a_file_of_its_owner_alone_is_read_and_not_beyond_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "0123456789").unwrap();
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(read_secret(&path, 4).ok(), good.then(|| b"0123".to_vec()), "{mode:o}");
    }
    assert_eq!(read_secret(folder.path(), 4).unwrap_err().to_string(), "not a file");
}
