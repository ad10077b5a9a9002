//! The page that is tested: built from these sources, once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

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

/// Gives the page a vector by its fields, and waits for the answer.
pub fn give(browser: &mut Browser, folder: &Path) {
    browser.value("document.querySelector('#again').click()");
    // One after the other, as a person does it: a browser forgets a folder that it is still listing when the next one comes.
    // The bundle is the last, because with it the page begins.
    for (field, input, name) in [
        ("trust", "files", "trust.json"),
        ("receipts", "files", "receipts.jsonl"),
        ("mirror", "folder", "mirror"),
        ("bundle", "folder", "bundle"),
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
