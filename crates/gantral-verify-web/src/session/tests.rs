//! What arrives in pieces is judged as what arrives whole.

mod windows;

use std::path::{Path, PathBuf};

use gantral_core::json::DOCUMENT_BYTES_MAX;
use gantral_evidence::container::{Files, TAR_BYTES_MAX};
use gantral_evidence::report::{to_json, to_text};

use super::*;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors")
}

fn vector(name: &str) -> PathBuf {
    vectors().join("bundles").join(name)
}

/// The files of a folder, by their paths in it.
fn within(folder: &Path, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(within(&entry.path(), &format!("{name}/")));
        } else {
            found.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    found
}

fn give(session: &mut Session, kind: Kind, value: &[u8]) -> bool {
    assert!(session.begin(kind, value.len()));
    // As JavaScript does: whole words, the last ones filled with what does not belong to the value.
    for piece in value.chunks(32) {
        let mut words = [0xff; 32];
        words.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        session.push(&words);
    }
    session.give()
}

fn give_folder(session: &mut Session, folder: &Path) {
    for (path, content) in within(folder, "") {
        assert!(give(session, Kind::Path, path.as_bytes()));
        assert!(give(session, Kind::Content, &content));
    }
}

fn told(session: &mut Session, form: Form) -> String {
    let length = session.tell(form);
    let mut bytes: Vec<u8> = (0..length).step_by(4).flat_map(|at| session.word(at).to_le_bytes()).collect();
    bytes.truncate(length);
    String::from_utf8(bytes).unwrap()
}

fn trust(name: &str) -> Vec<u8> {
    std::fs::read(vector(name).join("trust.json")).unwrap()
}

#[test]
fn a_folder_and_its_tar_get_the_report_of_the_verifier() {
    let name = "002-overridden";
    let list = within(&vector(name).join("bundle"), "");
    let files =
        Files::from_list(list.iter().map(|(path, content)| (path.as_str(), content.as_slice()))).unwrap();
    let expected = verify_beside(&files, Some(&Trust::parse(&trust(name)).unwrap()), Beside::default());

    let mut by_folder = Session::new();
    give_folder(&mut by_folder, &vector(name).join("bundle"));
    let mut by_tar = Session::new();
    give(&mut by_tar, Kind::Tar, &gantral_evidence::container::write_tar(&files));
    for mut session in [by_folder, by_tar] {
        assert!(give(&mut session, Kind::Trust, &trust(name)));
        assert_eq!(session.verify(), 0);
        assert_eq!(told(&mut session, Form::Json).into_bytes(), to_json(&expected));
        assert_eq!(told(&mut session, Form::Text), to_text(&expected));
        assert!(
            told(&mut session, Form::Sentences).contains("\"title\":\"How far this can be relied upon\"")
        );
    }
}

#[test]
fn a_mirror_is_read_object_by_object() {
    let folder = vector("800-mirrored");
    let mut session = Session::new();
    give_folder(&mut session, &folder.join("bundle"));
    give(&mut session, Kind::Trust, &trust("800-mirrored"));
    give(&mut session, Kind::Checkpoint, &std::fs::read(folder.join("mirror/checkpoint")).unwrap());
    while session.next_object() {
        let names = told(&mut session, Form::Wanted);
        let object = names.lines().find_map(|name| std::fs::read(folder.join("mirror").join(name)).ok());
        give(&mut session, Kind::Entries, &object.unwrap());
    }
    assert_eq!(session.verify(), 0);
    assert!(told(&mut session, Form::Json).contains("\"complete\":\"mirror\""));
}

#[test]
fn what_cannot_be_used_is_no_verdict_and_says_why() {
    let bundle = vector("001-allowed").join("bundle");
    let check = |kind: Kind, value: &[u8], why: &str| {
        let mut session = Session::new();
        give_folder(&mut session, &bundle);
        assert!(!give(&mut session, kind, value));
        // The right one afterwards does not make up for it.
        give(&mut session, Kind::Trust, &trust("001-allowed"));
        assert_eq!(session.verify(), NO_VERDICT);
        let told = told(&mut session, Form::Failure);
        assert!(told.contains(why), "{told}");
    };
    check(Kind::Trust, b"{}", "trust file");
    check(Kind::Receipts, b"{\n", "receipt");
    check(Kind::Checkpoint, b"", "a mirror needs a trust file with a `log`");

    let mut nothing = Session::new();
    assert_eq!(nothing.verify(), NO_VERDICT);
    assert_eq!(told(&mut nothing, Form::Failure), "there is no bundle");

    let mut shortened = Session::new();
    assert!(shortened.begin(Kind::Tar, 64));
    shortened.push(&[0; 32]);
    assert!(!shortened.give());
    assert_eq!(shortened.verify(), NO_VERDICT);
}

#[test]
fn what_is_too_large_is_not_even_begun() {
    let mut session = Session::new();
    assert!(!session.begin(Kind::Tar, TAR_BYTES_MAX + 1));
    assert_eq!(session.verify(), 2, "a limit is not a contradiction");
    assert!(told(&mut session, Form::Json).contains("\"E_LIMIT\""));

    let mut session = Session::new();
    assert!(!session.begin(Kind::Trust, DOCUMENT_BYTES_MAX + 2));
    assert_eq!(session.verify(), NO_VERDICT);
}

#[test]
fn a_path_that_no_bundle_has_is_a_finding() {
    let mut session = Session::new();
    give(&mut session, Kind::Path, "../climbs".as_bytes());
    give(&mut session, Kind::Content, b"");
    give_folder(&mut session, &vector("001-allowed").join("bundle"));
    assert_eq!(session.verify(), 1);
    assert!(told(&mut session, Form::Json).contains("\"E_CONTAINER\""));
}
