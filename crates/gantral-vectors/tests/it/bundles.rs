//! Every bundle, as it lies in the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use gantral_core::json::{self, Profile, Value};
use gantral_evidence::container::{Files, Scope};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{
    Beside, Mirror, MirrorReader, Questions, Report, parse_receipts, refuse, verify_beside,
};
use gantral_vectors::case::FileMap;
use gantral_vectors::tree;

/// What `expect.json` says.
struct Expected {
    verdict: String,
    scope: Option<String>,
    codes: Vec<String>,
    twin: Option<String>,
}

impl Expected {
    fn read(folder: &FileMap) -> Self {
        let value = json::parse(&folder["expect.json"], &Profile::DOCUMENT).unwrap();
        let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let codes = value.get("codes").and_then(Value::as_array).unwrap();
        let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        Self { verdict: text("verdict").unwrap(), scope: text("scope"), codes, twin: text("twin") }
    }
}

/// The folders of the bundles, each with its files.
fn folders() -> BTreeMap<String, FileMap> {
    let mut folders = BTreeMap::<String, FileMap>::new();
    for (path, content) in tree::read(&tree::folder()).unwrap() {
        if path.starts_with("windows/") {
            continue;
        }
        // `bundles/<case>/…`, and `cross/<pair>/<one of the three>/…`.
        let depth = if path.starts_with("cross/") { 3 } else { 2 };
        let parts: Vec<&str> = path.splitn(depth + 1, '/').collect();
        if let [name @ .., file] = parts.as_slice()
            && name.len() == depth
        {
            let name = name.join("/").replace("bundles/", "");
            folders.entry(name).or_default().insert((*file).to_owned(), content);
        }
    }
    assert!(folders.len() > 200, "the vectors are there");
    folders
}

/// Reads the mirror of a case as it lies there.
fn mirror(folder: &FileMap, trust: Option<&Trust>, files: &Files<'_>) -> Option<Mirror> {
    let checkpoint = folder.get("mirror/checkpoint")?;
    let mut reader = MirrorReader::new(checkpoint, trust?.log()?, Questions::of(files)).unwrap();
    while let Some(objects) = reader.next_objects() {
        let bundle = objects.iter().find_map(|object| folder.get(&format!("mirror/{object}"))).unwrap();
        reader.entries(bundle).unwrap();
    }
    Some(reader.finish().unwrap())
}

fn judged(folder: &FileMap) -> Report {
    let trust = folder.get("trust.json").map(|bytes| Trust::parse(bytes).unwrap());
    let receipts =
        folder.get("receipts.jsonl").map(|bytes| parse_receipts(bytes).unwrap()).unwrap_or_default();
    let files =
        folder.iter().filter_map(|(path, content)| Some((path.strip_prefix("bundle/")?, content.as_slice())));
    match Files::from_list(files) {
        Ok(files) => {
            let mirror = mirror(folder, trust.as_ref(), &files);
            verify_beside(&files, trust.as_ref(), Beside { mirror: mirror.as_ref(), receipts: &receipts })
        }
        Err(error) => refuse(&error),
    }
}

#[test]
fn committed_files_are_what_the_generator_makes() {
    let (committed, made) = (tree::read(&tree::folder()).unwrap(), tree::generated());
    let differs = |path: &&String| committed.get(*path) != made.get(*path);
    let paths: BTreeSet<&String> = committed.keys().chain(made.keys()).collect();
    let wrong: Vec<_> = paths.into_iter().filter(differs).collect();
    assert!(wrong.is_empty(), "run `cargo run -p gantral-vectors`: {wrong:#?}");
}

#[test]
fn every_bundle_gets_the_verdict_and_the_codes_that_it_says() {
    let mut wrong = Vec::new();
    for (name, folder) in folders() {
        let (expected, report) = (Expected::read(&folder), judged(&folder));
        let answer = (report.verdict.as_str(), report.scope.map(Scope::as_str), report.codes());
        if answer
            != (
                expected.verdict.as_str(),
                expected.scope.as_deref(),
                expected.codes.iter().map(String::as_str).collect(),
            )
        {
            wrong.push(format!("{name}: {answer:?}, not {} {:?}", expected.verdict, expected.codes));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_invalid_bundle_has_a_valid_twin() {
    let folders = folders();
    for (name, folder) in &folders {
        let expected = Expected::read(folder);
        let is_invalid = expected.verdict == "INVALID" && !name.ends_with("/together");
        assert_eq!(is_invalid, expected.twin.is_some(), "{name}");
        if let Some(twin) = expected.twin {
            assert_eq!(Expected::read(&folders[&twin]).verdict, "VALID", "{name}");
        }
    }
}

/// The codes of the table of `spec/verification.md` §11, with their verdicts.
fn codes_of_the_specification() -> BTreeMap<String, String> {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/verification.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `E_") || line.starts_with("| `N_"));
    let cells = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())).collect()
}

/// What evaluating a policy again shows, which a verifier without its engine is not asked (`spec/verification.md` §18).
const OF_ENGINES: [&str; 2] = ["E_REPLAY_MISMATCH", "E_REPLAY_UNAVAILABLE"];

#[test]
fn every_code_of_the_specification_has_a_bundle() {
    let folders = folders();
    let mut missing: BTreeSet<String> = codes_of_the_specification().into_keys().collect();
    missing.retain(|code| !OF_ENGINES.contains(&code.as_str()));
    for folder in folders.values() {
        Expected::read(folder).codes.iter().for_each(|code| _ = missing.remove(code));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
