//! Parts of the system: used as they are there, and installed from its packages only where there are none.

use std::path::Path;
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

/// Installs what reads units of systemd, unless there is one.
///
/// # Errors
/// As `install_browser`.
pub(super) fn install_systemd() -> Result<()> {
    if is_on_path("systemd-analyze") {
        return Ok(());
    }
    install(&["systemd"])
        .context("the unit of the server is tested with `systemd-analyze`, and there is none")
}

/// Unpacks Prometheus into a folder, unless the system has it: installed, it would begin to serve.
///
/// # Errors
/// When the system has no such package.
pub(super) fn unpack_prometheus(into: &Path) -> Result<()> {
    std::fs::create_dir_all(into).context("cannot make the folder")?;
    if ["prometheus", "promtool"].iter().all(|name| is_on_path(name)) {
        return Ok(());
    }
    unpack("prometheus", into).context(
        "alert rules are tested with Prometheus, and there is none\nhint: have `prometheus` and `promtool` on the path",
    )
}

/// Unpacks the library that shows a program another time, and names it in the folder as `libfaketime.so.1`: for threads, as every server has them.
///
/// # Errors
/// When the system has no such package.
pub(super) fn unpack_faketime(into: &Path) -> Result<()> {
    std::fs::create_dir_all(into).context("cannot make the folder")?;
    unpack("libfaketime", into)
        .context("clocks that are wrong are tested with libfaketime, and there is none")?;
    let libraries = std::fs::read_dir(into.join("usr/lib")).context("the package has no libraries")?;
    let of = |folder: std::fs::DirEntry| folder.path().join("faketime/libfaketimeMT.so.1");
    let library = libraries.flatten().map(of).find(|library| library.is_file());
    let library = library.context("the package has no library for programs with threads")?;
    std::fs::rename(library, into.join("libfaketime.so.1")).context("cannot move the library")
}

/// Downloads a package of the system, and unpacks it into a folder instead of installing it.
fn unpack(package: &str, into: &Path) -> Result<()> {
    println!("{package}: from the packages of the system, into the parts");
    apt(&["update"])?;
    let mut download = Command::new("apt-get");
    // Whoever may not write into the folder of the parts need not.
    download.args(["--quiet=2", "--option=APT::Sandbox::User=root", "download", package]).current_dir(into);
    succeed(&mut download)?;
    let found = std::fs::read_dir(into).context("cannot read the folder")?.next();
    let package = found.context("nothing was downloaded")?.context("cannot read the folder")?.path();
    succeed(Command::new("dpkg").arg("--extract").arg(&package).arg(into))?;
    std::fs::remove_file(&package).context("cannot remove the package")
}

fn install(packages: &[&str]) -> Result<()> {
    println!("{}: from the packages of the system", packages.join(", "));
    apt(&["update"])?;
    apt(&[&["install", "--no-install-recommends", "--yes"], packages].concat())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    succeed(command.arg("--quiet=2").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
