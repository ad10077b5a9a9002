//! Windows, as people give them to the page: chosen and dropped, with what is missing, and with files that mean no good.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gantral_vectors::case::FileMap;
use gantral_vectors::cast::trust;
use gantral_vectors::tales;
use gantral_vectors::window::{Window, instance, placed};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::page::{answered, codes, findings, give, looks_well, open, repository, saved, verdict};

fn window(name: &str) -> PathBuf {
    repository().join("spec/vectors/windows").join(name)
}

/// What `gantral-verify` prints of a window.
fn printed(folder: &Path, form: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO"));
    program
        .args(["run", "--locked", "--quiet", "--package=gantral-verify", "--"])
        .arg(folder.join("window"))
        .arg("--trust")
        .arg(folder.join("trust.json"))
        .args(form)
        .current_dir(repository());
    program.output().unwrap()
}

/// Writes a window and its trust file where a browser finds them.
fn lay(folder: &Path, files: &FileMap) {
    for (path, content) in files {
        let file = folder.join("window").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    fs::write(folder.join("trust.json"), trust().encode()).unwrap();
}

/// A window of 60 executions: of most there is no bundle, one is damaged, and one is that of another.
fn wanting() -> FileMap {
    let stories: Vec<_> = (1..=60).map(|number| placed(tales::expired(), number)).collect();
    let ids: Vec<_> = stories.iter().map(instance).collect();
    let mut window = Window::of(stories);
    ids[30..].iter().for_each(|id| window.take(*id));
    let mut files = window.whole();
    let damaged = format!("{}/artifacts/000001.dsse.json", ids[0]);
    files.get_mut(&damaged).unwrap().push(b' ');
    let (of, other) = (format!("{}/", ids[1]), format!("{}/", ids[2]));
    let exchanged: Vec<_> = files
        .iter()
        .filter_map(|(path, content)| Some((format!("{of}{}", path.strip_prefix(&other)?), content.clone())))
        .collect();
    files.retain(|path, _| !path.starts_with(&of));
    files.extend(exchanged);
    files
}

fn shown(browser: &mut Browser, selector: &str) -> String {
    browser.text(&format!("document.querySelector({selector:?}).innerText"))
}

#[test]
fn window_is_judged_whether_it_is_chosen_or_dropped() {
    let folder = window("001-whole");
    let (_turn, mut browser) = open();
    browser.choose("#trust .files", &[folder.join("trust.json")]);
    browser.wait("!document.querySelector('#trust .chosen').hidden");
    browser.choose("#bundle .folder", &[folder.join("window")]);
    answered(&mut browser);
    let chosen = shown(&mut browser, "#answer");
    assert_eq!(verdict(&mut browser), "VALID");
    for told in [
        "2 executions of acme, created from 2026-03-01 09:00 UTC to before 2026-03-02 09:00 UTC",
        "The issuer says that these are all of them",
        "2 of them, ",
        "That no other execution was left out",
    ] {
        assert!(chosen.contains(told), "`{told}` is not in {chosen}");
    }
    assert_eq!(browser.value("document.querySelector('#timeline').hidden"), true);
    assert!(shown(&mut browser, "#bundle .chosen").starts_with("window (a window, "));

    browser.value("document.querySelector('#again').click()");
    browser.drop_on("#trust", &[folder.join("trust.json")]);
    browser.wait("!document.querySelector('#trust .chosen').hidden");
    browser.drop_on("#bundle", &[folder.join("window")]);
    answered(&mut browser);
    assert_eq!(shown(&mut browser, "#answer"), chosen);

    // What is in the folder may be dropped as well, thing by thing.
    let inside =
        fs::read_dir(folder.join("window")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    browser.value("document.querySelector('#bundle .remove').click()");
    browser.wait("document.querySelector('main').dataset.state === 'idle'");
    browser.drop_on("#bundle", &inside);
    answered(&mut browser);
    assert_eq!(verdict(&mut browser), "VALID");
    browser.assert_quiet();
}

#[test]
fn window_says_of_each_execution_what_is_wrong_or_missing() {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path(), &wanting());
    let (_turn, mut browser) = open();
    give(&mut browser, folder.path());
    assert_eq!(verdict(&mut browser), "INVALID");
    assert_eq!(codes(&mut browser), ["E_COMPLETENESS_UNPROVED", "E_CONTAINER", "E_MIXED"]);
    looks_well(&mut browser, "window-wanting");
    let found = shown(&mut browser, "#findings");
    for told in ["E_MIXED at 1 execution", "at 30 executions · whom to ask:", "Show more: 10 places left"] {
        assert!(found.contains(told), "`{told}` is not in {found}");
    }
    browser.value("[...document.querySelectorAll('.findings .rest')].forEach((button) => button.click())");
    let report: Value = serde_json::from_slice(&printed(folder.path(), &["--json"]).stdout).unwrap();
    let expected = report["findings"].as_array().unwrap().iter();
    let expected: Vec<_> = expected
        .map(|finding| json!({ "code": finding["code"], "instance_id": finding["instance_id"] }))
        .collect();
    assert_eq!(expected.len(), 32);
    assert_eq!(findings(&mut browser), json!(expected));
    browser.assert_quiet();
}

#[test]
fn saved_report_of_a_window_is_what_the_verifier_prints() {
    let folder = window("130-missing-and-damaged");
    let (_turn, mut browser) = open();
    give(&mut browser, &folder);
    let (json, text) = saved(&mut browser);
    let program = printed(&folder, &[]);
    assert_eq!(program.status.code(), Some(1));
    assert_eq!(text, program.stdout);
    assert_eq!(json, printed(&folder, &["--json"]).stdout);
}

#[test]
fn mirror_or_receipts_beside_a_window_are_refused_and_it_is_said_why() {
    let folder = window("001-whole");
    let mirror = repository().join("spec/vectors/bundles/800-mirrored/mirror");
    let (_turn, mut browser) = open();
    for (selector, path) in [("#mirror .folder", mirror), ("#receipts .files", folder.join("expect.json"))] {
        give(&mut browser, &folder);
        assert_eq!(verdict(&mut browser), "VALID");
        browser.choose(selector, &[path]);
        browser.wait("document.querySelector('#verdict-word').textContent === 'No verdict'");
        let why = shown(&mut browser, "#meaning");
        assert!(why.contains("compared with a log by `gantral log monitor --bundles`"), "{why}");
    }
    browser.choose("#bundle .files", &[folder.join("window/window.dsse.json")]);
    browser.wait("document.querySelector('#bundle .problem').textContent.includes('Choose the folder')");
    browser.assert_quiet();
}

#[test]
fn names_in_a_window_stay_text_and_other_files_mean_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("<img src=x onerror=document.title='taken'>");
    let mut files = wanting();
    files.insert("<b>bold".to_owned(), b"<script>document.title='taken'</script>".to_vec());
    files.insert("__proto__/x".to_owned(), Vec::new());
    lay(folder.path(), &files);
    fs::rename(folder.path().join("window"), &named).unwrap();
    let (_turn, mut browser) = open();
    browser.choose("#bundle .folder", &[named]);
    answered(&mut browser);
    assert_eq!(
        (verdict(&mut browser).as_str(), codes(&mut browser)),
        ("INCONCLUSIVE", vec!["E_NO_TRUST".to_owned()])
    );
    assert!(shown(&mut browser, "#subject").contains("<img src=x onerror="));
    browser.choose("#trust .files", &[folder.path().join("trust.json")]);
    browser.wait("document.querySelector('#verdict-word').textContent === 'INVALID'");
    assert_eq!(browser.value("document.querySelectorAll('main img, main b, main script').length"), 0);
    assert!(!browser.text("document.title").contains("taken"));
    browser.assert_quiet();
}

#[test]
fn windows_fit_a_phone_and_are_legible_in_light_and_dark() {
    let (_turn, mut browser) = open();
    for name in ["021-filtered", "130-missing-and-damaged", "002-no-executions"] {
        give(&mut browser, &window(name));
        looks_well(&mut browser, &format!("window-{name}"));
    }
    browser.assert_quiet();
}
