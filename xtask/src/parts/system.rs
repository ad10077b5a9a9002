//! Parts of the system: used as they are there, and installed from its packages only where there are none.

use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::succeed;

/// What Debian calls the browser of the tests.
const BROWSER: &str = "chromium";
/// Browsers that the tests of the page can drive, as they look for them.
const BROWSERS: &[&str] = &[BROWSER, "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
/// The engine of containers of the tests, and what it runs them by: it knows both versions of control groups.
const ENGINE: [&str; 2] = ["podman", "runc"];

/// Installs a browser, unless there is one.
///
/// # Errors
/// When the system has no such package, or this user may not install it.
pub(super) fn install_browser() -> Result<()> {
    if std::env::var_os("GANTRAL_BROWSER").is_some() || BROWSERS.iter().any(|name| is_on_path(name)) {
        return Ok(());
    }
    install(&[BROWSER]).context(
        "the page is tested in a browser, and there is none\n\
         hint: install Chromium or Chrome, or name one in `GANTRAL_BROWSER`",
    )
}

/// Installs an engine of containers, unless there is one.
///
/// # Errors
/// As `install_browser`.
pub(super) fn install_engine() -> Result<()> {
    if ENGINE.iter().all(|name| is_on_path(name)) {
        return Ok(());
    }
    install(&ENGINE).context(
        "attempts in containers are tested with Podman and runc, and one of them is not there\n\
         hint: install them; the tests run containers as the user who runs the tests",
    )
}

fn install(packages: &[&str]) -> Result<()> {
    println!("{}: from the packages of the system", packages.join(", "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        succeed(command.arg("--quiet=2").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update"])?;
    apt(&[&["install", "--no-install-recommends", "--yes"], packages].concat())
}

fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
