//! Every bundle and every window of the vectors, given to the page by a browser, gets the verdict and the codes that every verifier gives.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::page::{codes, findings, give, open, repository, verdict};

/// The folders with an answer, in their order.
fn folders(below: &Path, found: &mut Vec<PathBuf>) {
    if below.join("expect.json").exists() {
        found.push(below.to_owned());
        return;
    }
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    let mut inside: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    inside.sort();
    inside.iter().for_each(|path| folders(path, found));
}

#[test]
fn every_bundle_and_every_window_gets_its_verdict_and_its_codes_in_a_browser() {
    let mut found = Vec::new();
    folders(&repository().join("spec/vectors"), &mut found);
    let windows = found.iter().filter(|folder| folder.join("window").exists()).count();
    assert!(found.len() - windows > 200, "only {} bundles", found.len() - windows);
    assert!(windows > 80, "only {windows} windows");
    let (_turn, mut browser) = open();
    let mut wrong = Vec::new();
    for folder in &found {
        let expected: Value = serde_json::from_slice(&fs::read(folder.join("expect.json")).unwrap()).unwrap();
        // Shown when the page does not answer.
        println!("{}", folder.display());
        give(&mut browser, folder);
        let verdict = verdict(&mut browser);
        let (expected_codes, given) = if folder.join("window").exists() {
            (&expected["findings"], findings(&mut browser))
        } else {
            (&expected["codes"], json!(codes(&mut browser)))
        };
        if expected["verdict"] != verdict.as_str() || *expected_codes != given {
            wrong.push(format!("{}: {verdict} {given}, not {expected}", folder.display()));
        }
    }
    browser.assert_quiet();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
