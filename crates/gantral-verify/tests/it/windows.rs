//! Every window of the vectors, answered as it says; and the verifier in Python says the same in the same members.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gantral_core::json::{self, Profile, Value};
use gantral_evidence::verify::Verdict;
use gantral_vectors::cases::windows;
use gantral_vectors::tree;
use gantral_verify::read_trust;
use gantral_verify::window::verify_window;

use crate::run;

/// A finding: at which instance, and its code.
type Finding = (Option<String>, String);

fn read(bytes: &[u8]) -> Value {
    json::parse(bytes, &Profile::DOCUMENT).unwrap()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The folders of the cases.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(tree::folder().join("windows")).unwrap();
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert_eq!(folders.len(), windows::all().len());
    folders
}

fn trust(folder: &Path) -> Option<PathBuf> {
    Some(folder.join("trust.json")).filter(|path| path.exists())
}

/// Verdict and findings as they are expected.
fn expected(folder: &Path) -> (String, Vec<Finding>) {
    let value = read(&fs::read(folder.join("expect.json")).unwrap());
    let findings = value.get("findings").and_then(Value::as_array).unwrap();
    let finding = |finding| (text(finding, "instance_id"), text(finding, "code").unwrap());
    (text(&value, "verdict").unwrap(), findings.iter().map(finding).collect())
}

/// Verdict and findings as they are given; a code once for each instance.
fn given(folder: &Path) -> (String, Vec<Finding>) {
    let trust = trust(folder).map(|path| read_trust(&path).unwrap());
    let threads = NonZeroUsize::new(2).unwrap();
    let report = verify_window(&folder.join("window"), trust.as_ref(), threads, &|_, _| {}).unwrap();
    let found = report.found.iter();
    let mut findings: Vec<Finding> = found
        .map(|found| (found.instance.map(|id| id.to_string()), found.finding.code.as_str().to_owned()))
        .collect();
    findings.sort();
    findings.dedup();
    (report.verdict.as_str().to_owned(), findings)
}

#[test]
fn every_window_gets_the_verdict_and_the_codes_that_it_says() {
    let wrong = folders().into_iter().filter_map(|folder| {
        let (expected, given) = (expected(&folder), given(&folder));
        (expected != given).then(|| format!("{}: {given:?}, not {expected:?}", folder.display()))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Runs the verifier in Python.
fn python(arguments: &[&Path]) -> Output {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = repository.join(".parts/python/bin/python");
    assert!(python.exists(), "the parts are missing\nhint: `cargo xtask parts`");
    let mut command = Command::new(python);
    command.arg("-B").arg(repository.join("verifiers/python/gantral_verify.py")).args(arguments);
    command.output().unwrap()
}

/// What a report says but its sentences, which each verifier words by itself.
fn without_sentences(report: &Value) -> Vec<(String, Value)> {
    let members = ["artifacts", "bundles", "codes", "verdict", "window"];
    let mut said: Vec<(String, Value)> =
        members.iter().map(|name| ((*name).to_owned(), report.get(name).unwrap().clone())).collect();
    let facts = ["instance_id", "code", "at_fault", "weight"];
    let findings = report.get("findings").and_then(Value::as_array).unwrap();
    let mut findings: Vec<String> = findings
        .iter()
        .map(|finding| {
            assert!(text(finding, "message").is_some() && text(finding, "where").is_some());
            facts.map(|fact| text(finding, fact).unwrap_or_default()).join(" ")
        })
        .collect();
    findings.sort();
    findings.dedup();
    said.push(("findings".to_owned(), Value::Array(findings.into_iter().map(Value::from).collect())));
    // How many: the words are their own.
    let not_proved = report.get("not_proved").and_then(Value::as_array).unwrap().len() as u64;
    said.push(("not_proved".to_owned(), not_proved.into()));
    said
}

#[test]
fn both_programs_give_one_report_of_a_window_and_one_exit_status() {
    for name in ["001-whole", "021-filtered", "063-changed-payload", "125-listed-artifact-set-aside"] {
        let folder = tree::folder().join("windows").join(name);
        let (window, trust) = (folder.join("window"), trust(&folder).unwrap());
        let arguments = [&window, Path::new("--trust"), &trust, Path::new("--json")];
        let (ours, theirs) = (run(&arguments), python(&arguments));
        assert_eq!(ours.status.code(), theirs.status.code(), "{name}: {theirs:?}");
        let (ours, theirs) = (read(&ours.stdout), read(&theirs.stdout));
        assert_eq!(without_sentences(&ours), without_sentences(&theirs), "{name}");
        let names = |report: &Value| report.as_object().unwrap().iter().count();
        assert_eq!(names(&ours), names(&theirs), "{name}");
    }
}

#[test]
fn window_with_a_mirror_or_receipts_beside_it_gets_no_verdict() {
    let folder = tree::folder().join("windows/001-whole");
    let (window, trust) = (folder.join("window"), folder.join("trust.json"));
    for option in ["--mirror", "--receipts"] {
        let arguments = [&window, Path::new("--trust"), &trust, Path::new(option), &folder];
        for output in [run(&arguments), python(&arguments)] {
            assert_eq!(output.status.code(), Some(3), "{option}: {output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("monitor"), "{output:?}");
        }
    }
}

/// Copies a folder with what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What is said of a window whose bundle of the first instance was set aside, after something else was put in its place.
fn in_place_of_a_bundle(put: impl FnOnce(&Path, &Path)) -> Vec<(Option<String>, String)> {
    const FIRST: &str = "07070707-0707-4707-8707-070707070707";
    let folder = tree::folder().join("windows/001-whole");
    let desk = tempfile::tempdir().unwrap();
    let window = desk.path().join("window");
    copy(&folder.join("window"), &window);
    let aside = desk.path().join("aside");
    fs::rename(window.join(FIRST), &aside).unwrap();
    put(&window.join(FIRST), &aside);
    let arguments = [&window, Path::new("--trust"), &folder.join("trust.json"), Path::new("--json")];
    let said = [run(&arguments), python(&arguments)].map(|output| {
        let report = read(&output.stdout);
        let findings = report.get("findings").and_then(Value::as_array).unwrap();
        findings
            .iter()
            .map(|finding| (text(finding, "instance_id"), text(finding, "code").unwrap()))
            .collect::<Vec<_>>()
    });
    let [ours, theirs] = said;
    assert_eq!(ours, theirs);
    assert!(ours.iter().all(|(instance, _)| instance.as_deref() == Some(FIRST)), "{ours:?}");
    ours
}

#[test]
fn bundle_of_an_instance_is_a_file_or_else_a_folder_with_a_file_in_it() {
    let check = |expected: &[&str], put: fn(&Path, &Path)| {
        let said = in_place_of_a_bundle(put);
        let codes: Vec<&str> = said.iter().map(|(_, code)| code.as_str()).collect();
        assert_eq!(codes, expected);
    };
    let missing = ["E_COMPLETENESS_UNPROVED"];
    check(&missing, |_, _| {});
    check(&missing, |place, _| fs::create_dir(place).unwrap());
    check(&missing, |place, _| fs::create_dir_all(place.join("artifacts/more")).unwrap());
    check(&missing, |place, _| fs::write(place, "a file where a folder belongs").unwrap());
    check(&missing, |place, aside| fs::rename(aside, place.with_extension("gantral")).unwrap());
    check(&["E_CONTAINER"], |place, _| {
        fs::create_dir_all(place.join("artifacts")).unwrap();
        fs::write(place.join("artifacts/readme"), "").unwrap();
    });
    check(&[], |place, aside| {
        fs::create_dir(place.with_extension("gantral")).unwrap();
        fs::rename(aside, place).unwrap();
    });
}

#[test]
fn report_of_a_window_says_whose_word_it_is() {
    let folder = tree::folder().join("windows/001-whole");
    let arguments = [&folder.join("window"), Path::new("--trust"), &folder.join("trust.json")];
    for output in [run(&arguments), python(&arguments)] {
        let report = String::from_utf8(output.stdout).unwrap();
        assert_eq!(report.lines().next(), Some(Verdict::Valid.as_str()), "{report}");
        assert!(report.contains("the issuer says so"), "{report}");
        assert!(report.contains("leaves no artifact"), "{report}");
        assert!(!report.contains("fit the filter"), "{report}");
    }
    let folder = tree::folder().join("windows/021-filtered");
    let arguments = [&folder.join("window"), Path::new("--trust"), &folder.join("trust.json")];
    for output in [run(&arguments), python(&arguments)] {
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.contains("fit the filter: the issuer says so"), "{report}");
    }
}
