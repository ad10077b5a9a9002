//! A mirror of the log and receipts beside a bundle, as files.

use std::fs;
use std::path::Path;
use std::process::Output;

use gantral_evidence::container::{Scope, write_tar};
use gantral_evidence::trust::Require;
use gantral_vectors::log::{Log, Logged, logged, receipt_line, trust_logged};
use gantral_vectors::story::Story;
use tempfile::TempDir;

use crate::run;

/// A folder with a bundle, a trust file that asks for completeness, and a mirror.
fn desk(told: &Logged, scope: Scope) -> TempDir {
    let desk = TempDir::new().unwrap();
    let bundle = told.story.bundle(scope, told.files());
    fs::write(desk.path().join("b.gantral"), write_tar(&bundle.as_files().unwrap())).unwrap();
    let trust = trust_logged(Require { complete: scope == Scope::Complete, ..logged() });
    fs::write(desk.path().join("trust.json"), trust.encode()).unwrap();
    let mirror = desk.path().join("mirror");
    fs::create_dir_all(mirror.join("tile/entries/000.p")).unwrap();
    fs::write(mirror.join("checkpoint"), &told.newest).unwrap();
    fs::write(mirror.join(format!("tile/entries/000.p/{}", told.log.size())), entries(&told.log)).unwrap();
    desk
}

/// All leaves as a bundle of `tlog-tiles`.
fn entries(log: &Log) -> Vec<u8> {
    let entry = |leaf: &Vec<u8>| {
        let length = u16::try_from(leaf.len()).unwrap().to_be_bytes();
        [&length[..], leaf].concat()
    };
    log.leaves.iter().flat_map(entry).collect()
}

fn verify(desk: &TempDir, beside: &[&str]) -> Output {
    let path = |name: &str| desk.path().join(name);
    let (bundle, trust) = (path("b.gantral"), path("trust.json"));
    let mut arguments = vec![bundle.as_path(), Path::new("--trust"), trust.as_path()];
    let paths: Vec<_> =
        beside.iter().map(|word| if word.starts_with("--") { word.into() } else { path(word) }).collect();
    arguments.extend(paths.iter().map(std::path::PathBuf::as_path));
    run(&arguments)
}

#[track_caller]
fn assert_says(output: &Output, status: i32, line: &str) {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(text.contains(line), "`{line}` is not in:\n{text}");
}

#[test]
fn a_mirror_beside_the_bundle_proves_that_it_is_complete() {
    let told = Logged::of(Story::refund());
    let desk = desk(&told, Scope::Complete);
    assert_says(&verify(&desk, &[]), 2, "E_COMPLETENESS_UNPROVED");
    assert_says(&verify(&desk, &["--mirror", "mirror"]), 0, "the only chain of the execution");
    // The full bundle of a log that has grown stands for the partial one.
    let entries = desk.path().join("mirror/tile/entries");
    let partial = entries.join(format!("000.p/{}", told.log.size()));
    let full = fs::read(&partial).unwrap();
    fs::write(entries.join("000"), [full, vec![0; 9]].concat()).unwrap();
    fs::remove_dir_all(entries.join("000.p")).unwrap();
    assert_says(&verify(&desk, &["--mirror", "mirror"]), 0, "the only chain of the execution");
}

#[test]
fn a_mirror_that_is_damaged_or_not_there_gives_no_verdict() {
    let told = Logged::of(Story::refund());
    let desk = desk(&told, Scope::Complete);
    assert_says(&verify(&desk, &["--mirror", "nowhere"]), 3, "cannot read");
    let partial = desk.path().join(format!("mirror/tile/entries/000.p/{}", told.log.size()));
    let whole = fs::read(&partial).unwrap();
    let mut changed = whole.clone();
    changed.reverse();
    fs::write(&partial, changed).unwrap();
    assert_eq!(verify(&desk, &["--mirror", "mirror"]).status.code(), Some(3));
    fs::write(&partial, whole.split_last().unwrap().1).unwrap();
    assert_says(&verify(&desk, &["--mirror", "mirror"]), 3, "leaves of the mirror are cut");
    fs::remove_file(&partial).unwrap();
    assert_says(&verify(&desk, &["--mirror", "mirror"]), 3, "cannot read");
    let output = run(&[&desk.path().join("b.gantral"), Path::new("--mirror"), &desk.path().join("mirror")]);
    assert_says(&output, 3, "`--mirror` needs a trust file with a `log`");
}

#[test]
fn a_receipt_of_what_was_cut_off_shows_it() {
    let mut told = Logged::of(Story::refund());
    let last = told.story.statements.pop().unwrap();
    told.places.pop();
    let desk = desk(&told, Scope::Prefix);
    assert_says(&verify(&desk, &[]), 0, "VALID");
    fs::write(desk.path().join("receipts.jsonl"), receipt_line(&last)).unwrap();
    let output = verify(&desk, &["--receipts", "receipts.jsonl"]);
    assert_says(&output, 0, "N_MORE_EXISTS");
    fs::write(desk.path().join("receipts.jsonl"), "no receipt\n").unwrap();
    assert_says(&verify(&desk, &["--receipts", "receipts.jsonl"]), 3, "line 1 of the receipts");
}
