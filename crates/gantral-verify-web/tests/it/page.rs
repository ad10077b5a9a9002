//! The page that is tested: built from these sources, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::Browser;

/// One browser at a time: each takes more than one core.
static TURN: Mutex<()> = Mutex::new(());

/// The built page.
static PAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut build = Command::new(env!("CARGO"));
    build.args(["run", "--locked", "--quiet", "--package=xtask", "--", "page"]).current_dir(repository());
    assert!(build.status().unwrap().success(), "the page cannot be built");
    repository().join("target/page/gantral-verify.html")
});

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Opens the page in a browser of its own.
pub fn open() -> (MutexGuard<'static, ()>, Browser) {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    (turn, Browser::open(&PAGE))
}

/// The folder of a bundle of the vectors.
pub fn vector(name: &str) -> PathBuf {
    repository().join("spec/vectors/bundles").join(name)
}

/// Gives the page a vector, a bundle or a window, by its fields, and waits for the answer.
pub fn give(browser: &mut Browser, folder: &Path) {
    browser.value("document.querySelector('#again').click()");
    // One after the other, as a person does it: a browser forgets a folder that it is still listing when the next one comes.
    // The bundle is the last, because with it the page begins.
    for (field, input, name) in [
        ("trust", "files", "trust.json"),
        ("receipts", "files", "receipts.jsonl"),
        ("mirror", "folder", "mirror"),
        ("bundle", "folder", "bundle"),
        ("bundle", "folder", "window"),
    ] {
        let path = folder.join(name);
        if path.exists() {
            browser.choose(&format!("#{field} .{input}"), &[path]);
            browser.wait(&format!("!document.querySelector('#{field} .chosen').hidden"));
        }
    }
    answered(browser);
}

/// Waits for an answer.
pub fn answered(browser: &mut Browser) {
    browser.wait("document.querySelector('main').dataset.state === 'done'");
}

/// The verdict that is shown.
pub fn verdict(browser: &mut Browser) -> String {
    browser.text("document.querySelector('#verdict-word').textContent")
}

/// The codes that are shown, sorted, once each.
pub fn codes(browser: &mut Browser) -> Vec<String> {
    let shown = browser.value(
        "[...new Set([...document.querySelectorAll('#answer [data-code]')].map((each) => each.dataset.code))].sort()",
    );
    shown.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// What is shown of a window: each code, and the instance at which it was found, in the order of a report and once each.
pub fn findings(browser: &mut Browser) -> Value {
    let shown = browser.value(
        "[...document.querySelectorAll('#answer [data-code] [data-instance]')].map((each) =>
           [each.dataset.instance, each.closest('[data-code]').dataset.code])",
    );
    let mut found: Vec<(String, String)> = serde_json::from_value(shown).unwrap();
    found.sort();
    found.dedup();
    let told = |(instance, code): &(String, String)| {
        let instance = Some(instance).filter(|instance| !instance.is_empty());
        json!({ "code": code, "instance_id": instance })
    };
    found.iter().map(told).collect()
}

/// Saves the report, and returns it as JSON and as text.
pub fn saved(browser: &mut Browser) -> (Vec<u8>, Vec<u8>) {
    let downloads = tempfile::tempdir().unwrap();
    let allowed = json!({ "behavior": "allow", "downloadPath": downloads.path() });
    browser.call("Browser.setDownloadBehavior", allowed);
    browser.value("document.querySelector('#save-json').click()");
    browser.value("document.querySelector('#save-text').click()");
    let (json, text) = (downloads.path().join("report.json"), downloads.path().join("report.txt"));
    for path in [&json, &text] {
        let begun = Instant::now();
        while !path.exists() {
            assert!(begun.elapsed().as_secs() < 60, "{} was not saved", path.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    (fs::read(json).unwrap(), fs::read(text).unwrap())
}

/// Finds text whose contrast with what is behind it is below 4.5 to 1 (WCAG 2.2, 1.4.3).
const PALE: &str = r"(() => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((numbers(colour)[3] ?? 1) === 1) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const written = [...document.querySelectorAll('body *')].filter((element) =>
    element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return written.map((element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), element.textContent.trim().slice(0, 40)];
  }).filter(([contrast]) => contrast < 4.5);
})()";

/// Checks that the page as it is fits every screen and can be read, and takes pictures of it for whoever wants to look.
pub fn looks_well(browser: &mut Browser, name: &str) {
    for (width, scheme) in [(1100, "light"), (1100, "dark"), (360, "light"), (360, "dark")] {
        browser.screen(width, scheme);
        let wide = browser.value("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{name} is {wide} wide on {width}");
        assert_eq!(browser.value(PALE), json!([]), "{name}, {scheme}");
        let pictures = repository().join("target/page");
        browser.picture(&pictures.join(format!("{name}-{scheme}-{width}.png")));
    }
}
