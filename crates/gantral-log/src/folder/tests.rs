use super::*;
use crate::objects::READ_ONLY;

fn object(name: &str, bytes: &[u8]) -> Object {
    Object { name: name.to_owned(), bytes: bytes.to_vec() }
}

#[test]
fn objects_are_read_back_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(&dir.path().join("logs/acme"));
    assert_eq!(folder.read("tile/0/000").unwrap(), None);
    folder.write(&[object("tile/0/x001/000", b"full"), object("tile/0/x001/001.p/7", b"old")]).unwrap();
    folder.write(&[object("tile/0/x001/001.p/7", b"new")]).unwrap();
    assert_eq!(folder.read("tile/0/x001/000").unwrap().unwrap(), b"full");
    assert_eq!(folder.read("tile/0/x001/001.p/7").unwrap().unwrap(), b"new");
    assert_eq!(folder.read("tile/0/x001/000/below").unwrap(), None);
}

#[test]
fn what_was_left_half_written_is_no_object_and_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path());
    fs::write(dir.path().join("checkpoint~"), b"half").unwrap();
    assert_eq!(folder.read("checkpoint").unwrap(), None);
    assert_eq!(folder.read("checkpoint~").unwrap_err().kind(), ErrorKind::InvalidInput);
    folder.write(&[object("checkpoint", b"whole")]).unwrap();
    assert_eq!(folder.read("checkpoint").unwrap().unwrap(), b"whole");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn names_lead_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(&dir.path().join("log"));
    fs::write(dir.path().join("secret"), b"secret").unwrap();
    for name in [
        "",
        "/",
        "/etc/passwd",
        "../secret",
        "tile/../../secret",
        "./checkpoint",
        "tile//0",
        "a\\b",
        "a b",
        "a\0b",
    ] {
        assert_eq!(folder.read(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        assert_eq!(
            folder.write(&[object(name, b"x")]).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{name}"
        );
    }
}

#[test]
fn what_is_removed_is_one_folder_of_objects() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path());
    folder
        .write(&[object("tile/0/000.p/1", b"a"), object("tile/0/000.p/2", b"b"), object("tile/0/000", b"c")])
        .unwrap();
    for _ in 0..2 {
        folder.remove_under("tile/0/000.p").unwrap();
        assert_eq!(folder.read("tile/0/000.p/1").unwrap(), None);
        assert_eq!(folder.read("tile/0/000").unwrap().unwrap(), b"c");
    }
    assert_eq!(folder.remove_under("../tile").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn no_log_lies_within_another() {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::new(&dir.path().join("logs"));
    for origin in ["a/log", "a/log/checkpoint/log", "../log", "./log", "a/log/log"] {
        let log = folders.log(&LogOrigin::parse(origin).unwrap(), READ_ONLY);
        log.write(&[object("checkpoint", origin.as_bytes())]).unwrap();
    }
    assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 5);
    let log = folders.log(&LogOrigin::parse("a/log").unwrap(), READ_ONLY);
    assert_eq!(log.read("checkpoint").unwrap().unwrap(), b"a/log");
}
