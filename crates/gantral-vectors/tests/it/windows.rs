//! The windows of the vectors: each rule has one, and each that is not valid has a valid twin. `gantral-verify` answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use gantral_core::json::{self, Profile, Value};
use gantral_vectors::tree;

/// What each case expects.
fn expected() -> BTreeMap<String, Value> {
    let files = tree::read(&tree::folder()).unwrap();
    let expected = files.iter().filter_map(|(path, content)| {
        let name = path.strip_prefix("windows/")?.strip_suffix("/expect.json")?;
        Some((name.to_owned(), json::parse(content, &Profile::DOCUMENT).unwrap()))
    });
    let expected: BTreeMap<_, _> = expected.collect();
    assert!(expected.len() > 60, "the windows are there");
    expected
}

fn verdict(case: &Value) -> &str {
    case.get("verdict").and_then(Value::as_str).unwrap()
}

#[test]
fn every_window_that_is_not_valid_has_a_valid_twin() {
    let cases = expected();
    for (name, case) in &cases {
        let twin = case.get("twin").and_then(Value::as_str);
        assert_eq!(twin.is_some(), verdict(case) != "VALID", "{name}");
        if let Some(twin) = twin {
            assert_eq!(verdict(&cases[twin]), "VALID", "{name}");
        }
    }
}

#[test]
fn every_rule_of_windows_has_a_case() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/window.md");
    let page = fs::read_to_string(page).unwrap();
    let rules = page.lines().filter_map(|line| line.strip_prefix("- **X")?.split_once('.'));
    let rules: BTreeSet<String> = rules.map(|(number, _)| format!("X{number}")).collect();
    assert!(rules.len() >= 9, "{rules:?}");
    let cases = expected();
    let named = cases.values().flat_map(|case| case.get("rules").and_then(Value::as_array).unwrap());
    let named: BTreeSet<String> = named.map(|rule| rule.as_str().unwrap().to_owned()).collect();
    assert_eq!(named, rules);
}
