//! A window is judged bundle by bundle, in the order in which it asks for them and in no other.

use std::fs;

use gantral_evidence::window::{INSTANCES_BYTES_MAX, LIST_PATH, STATEMENT_BYTES_MAX, STATEMENT_PATH};
use serde_json::{Value, json};

use super::*;

fn window(name: &str) -> PathBuf {
    vectors().join("windows").join(name)
}

/// Gives everything of a window but its bundles, in the order of the page.
fn begun(folder: &Path) -> Session {
    let mut session = Session::new();
    if let Ok(trust) = fs::read(folder.join("trust.json")) {
        assert!(give(&mut session, Kind::Trust, &trust));
    }
    let window = folder.join("window");
    for (kind, name) in [(Kind::Statement, STATEMENT_PATH), (Kind::List, LIST_PATH)] {
        if let Ok(content) = fs::read(window.join(name)) {
            assert!(give(&mut session, kind, &content));
        }
    }
    if window.join("keys").is_dir() {
        for (path, content) in within(&window.join("keys"), "keys/") {
            assert!(give(&mut session, Kind::Path, path.as_bytes()));
            assert!(give(&mut session, Kind::Content, &content));
        }
    }
    session
}

/// Gives the bundles that a window asks for, as far as they are there.
fn give_bundles(session: &mut Session, folder: &Path) {
    while session.next_bundle() {
        let names = told(session, Form::Wanted);
        let (file, directory) = names.split_once('\n').unwrap();
        let (file, directory) = (folder.join(file), folder.join(directory));
        if file.is_file() {
            assert!(give(session, Kind::Tar, &fs::read(file).unwrap()));
        } else if directory.is_dir() {
            give_folder(session, &directory);
        }
    }
}

fn judged(folder: &Path) -> Session {
    let mut session = begun(folder);
    give_bundles(&mut session, &folder.join("window"));
    session
}

fn report(session: &mut Session) -> Value {
    serde_json::from_str(&told(session, Form::Json)).unwrap()
}

#[test]
fn every_window_of_the_vectors_gets_its_verdict_and_its_findings() {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(vectors().join("windows")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() > 80, "only {} windows", folders.len());
    for folder in folders {
        let expected: Value = serde_json::from_slice(&fs::read(folder.join("expect.json")).unwrap()).unwrap();
        let mut session = judged(&folder);
        assert_ne!(
            session.verify(),
            NO_VERDICT,
            "{}: {}",
            folder.display(),
            told(&mut session, Form::Failure)
        );
        let given = report(&mut session);
        let findings = given["findings"].as_array().unwrap().iter();
        let mut findings: Vec<Value> = findings
            .map(|finding| json!({ "code": finding["code"], "instance_id": finding["instance_id"] }))
            .collect();
        findings.dedup();
        assert_eq!(given["verdict"], expected["verdict"], "{}", folder.display());
        assert_eq!(json!(findings), expected["findings"], "{}", folder.display());
    }
}

#[test]
fn window_tells_how_many_of_its_bundles_were_judged() {
    let folder = window("001-whole");
    let mut session = begun(&folder);
    assert_eq!(told(&mut session, Form::Progress), "0\n0");
    for progress in ["0\n2", "1\n2"] {
        assert!(session.next_bundle());
        assert_eq!(told(&mut session, Form::Progress), progress);
    }
    assert!(!session.next_bundle());
    assert_eq!(told(&mut session, Form::Progress), "2\n2");
    assert_eq!(session.verify(), 2, "its bundles were not given");
    assert!(told(&mut session, Form::Sentences).contains(r#""E_COMPLETENESS_UNPROVED":""#));
}

#[test]
fn bundle_of_one_instance_is_not_taken_for_that_of_the_next() {
    let folder = window("001-whole").join("window");
    let mut session = begun(&window("001-whole"));
    assert!(session.next_bundle());
    let wanted = told(&mut session, Form::Wanted);
    give_folder(&mut session, &folder.join(wanted.lines().nth(1).unwrap()));
    assert!(session.next_bundle());
    assert!(!session.next_bundle(), "nothing was given for the second");
    assert_eq!(session.verify(), 2);
    assert_eq!(report(&mut session)["codes"], json!(["E_COMPLETENESS_UNPROVED"]));
    assert_eq!(report(&mut session)["bundles"], 1);
}

/// Expects that there is no verdict, and why.
fn refused(session: &mut Session, why: &str) {
    assert_eq!(session.verify(), NO_VERDICT);
    assert_eq!(told(session, Form::Failure), why);
    for form in [Form::Json, Form::Text, Form::Sentences] {
        assert_eq!(told(session, form), "");
    }
}

#[test]
fn calls_in_another_order_give_no_verdict() {
    let folder = window("001-whole");

    let mut without = Session::new();
    assert!(!without.next_bundle());
    refused(&mut without, "there is no window");

    let mut unread = begun(&folder);
    refused(&mut unread, "the window was not read to its end");

    let mut halfway = begun(&folder);
    assert!(halfway.next_bundle());
    refused(&mut halfway, "the window was not read to its end");
    assert!(!halfway.next_bundle(), "a failure stays");

    let mut early = begun(&folder);
    give(&mut early, Kind::Tar, b"");
    assert!(!early.next_bundle());
    refused(&mut early, "a bundle came before the window was opened");

    let mut late = begun(&folder);
    assert!(late.next_bundle());
    assert!(!give(&mut late, Kind::List, b"{}"));
    refused(&mut late, "a file of the window came after it was opened");

    let mut again = judged(&folder);
    assert_eq!(again.verify(), 0);
    assert!(!again.next_bundle());
    refused(&mut again, "the window was read to its end already");

    let mut both = Session::new();
    give(&mut both, Kind::Trust, &trust("001-allowed"));
    give_folder(&mut both, &vector("001-allowed").join("bundle"));
    assert_eq!(both.verify(), 0);
    give(&mut both, Kind::Statement, &fs::read(folder.join("window").join(STATEMENT_PATH)).unwrap());
    refused(&mut both, "the window was not read to its end");
}

#[test]
fn mirror_or_receipts_beside_a_window_give_no_verdict() {
    let folder = window("001-whole");
    for kind in [Kind::Receipts, Kind::Checkpoint] {
        let mut after = begun(&folder);
        assert!(!after.begin(kind, 0));
        assert!(!after.next_bundle());
        refused(&mut after, NOTHING_BESIDE);
    }
    let mut before = Session::new();
    assert!(give(&mut before, Kind::Receipts, b""));
    give(&mut before, Kind::Statement, b"{}");
    assert!(!before.next_bundle());
    refused(&mut before, NOTHING_BESIDE);
}

#[test]
fn statement_or_list_that_is_too_large_is_a_finding() {
    let folder = window("001-whole");
    let check = |kind: Kind, bytes_max: usize, verdict: u8, code: &str| {
        let mut session = begun(&folder);
        assert!(!session.begin(kind, bytes_max + 1));
        session.push(&[0; 32]);
        assert!(!session.next_bundle());
        assert_eq!(session.verify(), verdict);
        assert_eq!(report(&mut session)["codes"], json!([code]));
        // The very words of the program, which reads one byte more than there may be.
        let mut cut = begun(&folder);
        give(&mut cut, kind, &vec![b'x'; bytes_max]);
        assert!(!cut.next_bundle());
        assert_eq!(told(&mut cut, Form::Text), told(&mut session, Form::Text));
    };
    check(Kind::Statement, STATEMENT_BYTES_MAX + 1, 2, "E_LIMIT");
    check(Kind::List, INSTANCES_BYTES_MAX + 1, 1, "E_CONTAINER");
}

#[test]
fn window_without_anybody_who_vouches_for_it_asks_for_no_bundle() {
    let folder = window("060-no-trust-file");
    let mut session = begun(&folder);
    assert!(!session.next_bundle());
    assert_eq!(session.verify(), 2);
    assert_eq!(report(&mut session)["window"], Value::Null);
    assert!(told(&mut session, Form::Text).contains("Nobody whom you trust says what was in this window."));
}
