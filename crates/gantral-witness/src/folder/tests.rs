use std::os::unix::fs::MetadataExt as _;

use super::*;

const NAME: &str = "witness.example/w1";

#[test]
fn a_witness_keeps_its_key_and_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("w");
    let made = WitnessFolder::init(&root, NAME).unwrap();
    let line = made.policy_line();
    assert_eq!(std::fs::metadata(root.join(KEY)).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
    drop(made);
    let opened = WitnessFolder::open(&root).unwrap();
    assert_eq!(opened.policy_line(), line);
    assert!(line.starts_with("witness witness.example/w1 witness.example/w1+"), "{line}");
}

#[test]
fn a_folder_is_used_by_one_process_and_initialised_once() {
    let dir = tempfile::tempdir().unwrap();
    let made = WitnessFolder::init(dir.path(), NAME).unwrap();
    assert!(matches!(WitnessFolder::open(dir.path()), Err(FolderError::Locked(_))));
    drop(made);
    assert!(matches!(WitnessFolder::init(dir.path(), NAME), Err(FolderError::Exists(_))));
    assert!(WitnessFolder::open(dir.path()).is_ok());
}

#[test]
fn a_crash_between_key_and_name_is_completed_with_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = WitnessFolder::init(dir.path(), NAME).unwrap().key().clone();
    std::fs::remove_file(dir.path().join(VKEY)).unwrap();
    assert!(matches!(WitnessFolder::open(dir.path()), Err(FolderError::Missing(_))));
    assert_eq!(*WitnessFolder::init(dir.path(), NAME).unwrap().key(), key);
}

#[test]
fn a_name_that_no_key_can_have_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("w");
    for name in ["", "with space", "with+plus"] {
        assert!(matches!(WitnessFolder::init(&root, name), Err(FolderError::Name(_))), "{name}");
    }
    assert!(!root.exists());
}

#[test]
fn another_key_under_the_name_does_not_cosign() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = WitnessFolder::init(dir.path(), NAME).unwrap();
    assert!(folder.cosigner(runtime.handle().clone()).is_ok());
    std::fs::remove_file(dir.path().join(KEY)).unwrap();
    load_or_generate(KeyRole::Witness, &dir.path().join(KEY)).unwrap();
    assert!(matches!(folder.cosigner(runtime.handle().clone()), Err(FolderError::OtherKey(_))));
}
