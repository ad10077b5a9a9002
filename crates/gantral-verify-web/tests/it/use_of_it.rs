//! The page as people use it: by drag and drop, by keyboard, on a phone, in the dark, and with files that mean no good.

use std::fs;
use std::path::Path;

use gantral_evidence::container::{Files, write_tar};
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::verify;
use serde_json::json;

use crate::page::{answered, codes, give, looks_well, open, saved, vector, verdict};

/// The files of a folder, by their paths in it.
fn within(folder: &Path, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(within(&entry.path(), &format!("{path}/")));
        } else {
            found.push((path, fs::read(entry.path()).unwrap()));
        }
    }
    found
}

/// Does something with a bundle of the vectors.
fn with_bundle<T>(name: &str, work: impl FnOnce(&Files<'_>) -> T) -> T {
    let found = within(&vector(name).join("bundle"), "");
    let list = found.iter().map(|(path, content)| (path.as_str(), content.as_slice()));
    work(&Files::from_list(list).unwrap())
}

/// Writes a bundle of the vectors as one file.
fn tar(name: &str, to: &Path) {
    fs::write(to, with_bundle(name, write_tar)).unwrap();
}

#[test]
fn dropped_file_and_dropped_folder_get_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.gantral");
    tar("048-snapshots-there", &file);
    let vector = vector("048-snapshots-there");
    let (_turn, mut browser) = open();
    let mut reports = Vec::new();
    for bundle in [file, vector.join("bundle")] {
        browser.value("document.querySelector('#again').click()");
        browser.drop_on("#trust", &[vector.join("trust.json")]);
        browser.wait("!document.querySelector('#trust .chosen').hidden");
        browser.drop_on("#bundle", &[bundle]);
        answered(&mut browser);
        assert_eq!(verdict(&mut browser), "VALID");
        let shown = "document.querySelector('#timeline ol').textContent + document.querySelector('#sections').textContent";
        reports.push(browser.text(shown));
    }
    for told in ["asked for {\"name\":\"refund\"", "Under policy 8", "not proved: asserted by the issuer"] {
        assert!(reports[0].contains(told), "`{told}` is not in {}", reports[0]);
    }
    assert_eq!(reports[0], reports[1]);
    browser.assert_quiet();
}

#[test]
fn without_a_trust_file_nothing_is_valid_and_with_it_the_answer_changes() {
    let (_turn, mut browser) = open();
    let folder = vector("001-allowed");
    browser.choose("#bundle .folder", &[folder.join("bundle")]);
    answered(&mut browser);
    assert_eq!(verdict(&mut browser), "INCONCLUSIVE");
    assert!(codes(&mut browser).contains(&"E_NO_TRUST".to_owned()));
    browser.choose("#trust .files", &[folder.join("trust.json")]);
    browser.wait("document.querySelector('#verdict-word').textContent === 'VALID'");
    // A trust file that cannot be read is no verdict at all, and takes the old one away.
    browser.choose("#trust .files", &[folder.join("expect.json")]);
    browser.wait("document.querySelector('#verdict-word').textContent === 'No verdict'");
    assert_eq!(browser.value("document.querySelector('#timeline').hidden"), true);
    // None is picked out of a folder: what lies beside the bundle is not pinned.
    browser.drop_on("#trust", &[folder]);
    browser.wait("document.querySelector('#trust .problem').textContent.includes('none is picked')");
    browser.assert_quiet();
}

#[test]
fn finding_says_what_where_and_whose_fault_it_is() {
    let (_turn, mut browser) = open();
    give(&mut browser, &vector("507-another-action-is-approved"));
    let shown = browser.text("document.querySelector('#findings').innerText");
    for told in
        ["What is wrong", "E_ACTION_BINDING in artifact 5", "at fault: the issuer", "is not one action"]
    {
        assert!(shown.contains(told), "`{told}` is not in {shown}");
    }
    give(&mut browser, &vector("310-no-trust-file"));
    let shown = browser.text("document.querySelector('#findings').innerText");
    assert!(shown.contains("whom to ask: yourself"), "{shown}");
    browser.assert_quiet();
}

#[test]
fn keyboard_alone_leads_to_a_verdict() {
    let (_turn, mut browser) = open();
    let folder = vector("001-allowed");
    let bundle = tempfile::tempdir().unwrap();
    let file = bundle.path().join("case.gantral");
    tar("001-allowed", &file);
    browser.call("Page.setInterceptFileChooserDialog", json!({ "enabled": true }));
    for (field, path) in [("bundle", file), ("trust", folder.join("trust.json"))] {
        let reached = format!("document.activeElement.matches('#{field} .files')");
        for _ in 0..12 {
            if browser.value(&reached) == true {
                break;
            }
            browser.press("Tab", "");
        }
        assert_eq!(browser.value(&reached), true, "no Tab leads to `{field}`");
        let outline = "getComputedStyle(document.activeElement.closest('.button')).outlineStyle";
        assert_eq!(browser.text(outline), "solid", "the focus is not seen");
        browser.press("Enter", "\r");
        let opened = browser.event("Page.fileChooserOpened");
        let chosen = json!({ "files": [path], "backendNodeId": opened["backendNodeId"] });
        browser.call("DOM.setFileInputFiles", chosen);
        answered(&mut browser);
    }
    browser.wait("document.querySelector('#verdict-word').textContent === 'VALID'");
    assert_eq!(browser.text("document.querySelector('#status').textContent").get(..6), Some("VALID."));
    browser.assert_quiet();
}

#[test]
fn names_and_content_of_a_bundle_stay_text() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("<img src=x onerror=document.title='taken'>");
    fs::create_dir(&bundle).unwrap();
    fs::write(bundle.join("<b>bold"), "<script>document.title='taken'</script>").unwrap();
    fs::copy(vector("001-allowed").join("bundle/bundle.json"), bundle.join("bundle.json")).unwrap();
    let (_turn, mut browser) = open();
    browser.choose("#bundle .folder", &[bundle]);
    answered(&mut browser);
    assert_eq!(verdict(&mut browser), "INVALID");
    assert_eq!(codes(&mut browser), ["E_CONTAINER"]);
    let shown = browser.text("document.querySelector('main').innerText");
    assert!(shown.contains("<img src=x onerror=") && shown.contains("<b>bold"), "{shown}");
    assert_eq!(browser.value("document.querySelectorAll('main img, main b, main script').length"), 0);
    assert!(!browser.text("document.title").contains("taken"));
    // Even a script that reached the page could neither run other code nor write markup.
    for attempt in ["document.body.innerHTML = '<p>'", "fetch('https://example.com')"] {
        let refused = browser.value(&format!(
            "(async () => {{ try {{ await ({attempt}); return false }} catch {{ return true }} }})()"
        ));
        assert_eq!(refused, true, "{attempt}");
    }
}

#[test]
fn page_fits_a_phone_and_is_legible_in_light_and_dark() {
    let (_turn, mut browser) = open();
    looks_well(&mut browser, "empty");
    for name in ["048-snapshots-there", "800-mirrored", "507-another-action-is-approved", "604-not-ended"] {
        give(&mut browser, &vector(name));
        looks_well(&mut browser, name);
    }
    browser.assert_quiet();
}

#[test]
fn saved_report_is_what_the_verifier_prints() {
    let name = "002-overridden";
    let (_turn, mut browser) = open();
    give(&mut browser, &vector(name));
    let (json, text) = saved(&mut browser);
    let trust = Trust::parse(&fs::read(vector(name).join("trust.json")).unwrap()).unwrap();
    let expected = with_bundle(name, |files| verify(files, Some(&trust)));
    assert_eq!(json.trim_ascii_end(), to_json(&expected));
    assert_eq!(text, to_text(&expected).into_bytes());
}
