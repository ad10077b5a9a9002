//! Every bundle of the vectors, given to the page by a browser, gets the verdict and the codes that every verifier gives.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::page::{codes, give, open, repository, verdict};

/// The folders with a bundle and an answer, in their order. Windows are for the programs.
fn folders(below: &Path, found: &mut Vec<PathBuf>) {
    if below.join("window").exists() {
        return;
    }
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
fn every_bundle_gets_its_verdict_and_its_codes_in_a_browser() {
    let mut found = Vec::new();
    folders(&repository().join("spec/vectors"), &mut found);
    assert!(found.len() > 200, "only {} vectors", found.len());
    let (_turn, mut browser) = open();
    let mut wrong = Vec::new();
    for folder in &found {
        let expected: Value = serde_json::from_slice(&fs::read(folder.join("expect.json")).unwrap()).unwrap();
        // Shown when the page does not answer.
        println!("{}", folder.display());
        give(&mut browser, folder);
        let (verdict, codes) = (verdict(&mut browser), codes(&mut browser));
        if expected["verdict"] != verdict.as_str() || expected["codes"] != json!(codes) {
            wrong.push(format!("{}: {verdict} {codes:?}, not {expected}", folder.display()));
        }
    }
    browser.assert_quiet();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
