//! Tasks of the repository: `cargo xtask help`.
//!
//! Everything that CI runs is here, so that a person runs the same with one command.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task runner talks to its terminal")]

mod page;
mod parts;
mod release;
mod site;
mod steps;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::parts::Parts;
use crate::steps::Run;

const HELP: &str = "\
Tasks of the repository

Usage: cargo xtask <task>

Tasks:
  test     install the test parts, then run every check and every test, as CI does
  check    format, tidy, clippy, floor 0 without std, licences and bans; no tests
  tidy     only what the repository asks of itself: arrows, sizes, marks, links
  page     build the page that verifies evidence in a browser: `target/page/gantral-verify.html`
  docs     build the site of the documentation: `target/docs/index.html`
  temporal build, check and test the orchestrator, which is a workspace of its own
  release  make what a release has in the folder OUT: static programs, what they are made of, digests, what an image is
           made of; with --key FILE the digests are signed by that Ed25519 key
  fuzz     feed every decoder with damaged seeds, each for GANTRAL_FUZZ_SECONDS (1 if it is not set)
  parts    only install the pinned test parts into `.parts/`; with --peers also what benchmarks measure against
  help     print this

Nothing is installed outside `.parts/` and `target/`, except two compile targets of the toolchain (`wasm32v1-none`,
on which floor 0 is checked, and `wasm32-unknown-unknown`, for the page), and a browser where there is none: on
Debian as root, `chromium`. Tests find the parts by the variable GANTRAL_PARTS, and the browser on the path or by
GANTRAL_BROWSER.
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<()> {
    let root = repository_root()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test"] => test(&root),
        ["check"] => check(&root),
        ["tidy"] => tidy(&root),
        ["page"] => build_page(&root),
        ["docs"] => {
            let parts = Parts::new(&root);
            parts.install_docs()?;
            site::build(&root, &parts).map(drop)
        }
        ["temporal"] => {
            let parts = Parts::new(&root);
            parts.install_temporal()?;
            let mut run = Run::new(&root, &parts);
            run.cargo("build gantral", &["build", "--package=gantral"])?;
            temporal_steps(&mut run)
        }
        ["release", out] => make_release(&root, out, None),
        ["release", out, "--key", key] => make_release(&root, out, Some(key)),
        ["fuzz"] => {
            Run::new(&root, &Parts::new(&root)).cargo("fuzz", &["run", "--quiet", "--package=gantral-fuzz"])
        }
        ["parts"] => Parts::new(&root).install_all(),
        ["parts", "--peers"] => Parts::new(&root).install_peers(),
        ["help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("no task `{}`\nhint: `cargo xtask help` lists them", words.join(" ")),
    }
}

fn test(root: &Path) -> Result<()> {
    let parts = Parts::new(root);
    let mut run = Run::new(root, &parts);
    run.step("parts", || parts.install_all())?;
    static_steps(&mut run, &parts, root)?;
    run.step("page", || page::build(root).map(drop))?;
    run.step("docs", || site::build(root, &parts).map(drop))?;
    run.cargo("test", &["test", "--workspace", "--no-fail-fast"])?;
    run.cargo_under("test upon PostgreSQL", ("GANTRAL_TEST_STORE", "postgres"), UPON_POSTGRES)?;
    temporal_steps(&mut run)?;
    run.cargo_under("test with Temporal", ("GANTRAL_TEST_ORCHESTRATOR", "temporal"), UPON_POSTGRES)?;
    run.print_summary();
    Ok(())
}

/// What is done for the orchestrator: everything that is done for the other crates, in the same folder of builds. The program of the servers is there
/// already, from whatever was done before.
fn temporal_steps(run: &mut Run<'_>) -> Result<()> {
    let under = ("CARGO_TARGET_DIR", "target");
    run.cargo("temporal: format", &["fmt", TEMPORAL, "--check"])?;
    run.cargo_under(
        "temporal: clippy",
        under,
        &["clippy", TEMPORAL, "--all-targets", "--", "-D", "warnings"],
    )?;
    run.cargo_under("temporal: test", under, &["test", TEMPORAL])
}

fn build_page(root: &Path) -> Result<()> {
    Parts::new(root).install_page_target()?;
    page::build(root).map(drop)
}

fn make_release(root: &Path, out: &str, key: Option<&str>) -> Result<()> {
    let parts = Parts::new(root);
    parts.install_release()?;
    release::make(root, &parts, Path::new(out), key.map(Path::new))
}

fn check(root: &Path) -> Result<()> {
    let parts = Parts::new(root);
    let mut run = Run::new(root, &parts);
    run.step("parts", || parts.install_tools())?;
    static_steps(&mut run, &parts, root)?;
    run.print_summary();
    Ok(())
}

/// What needs no test to run, cheapest first.
fn static_steps(run: &mut Run<'_>, parts: &Parts, root: &Path) -> Result<()> {
    run.cargo("format", &["fmt", "--all", "--check"])?;
    run.step("tidy", || tidy(root))?;
    run.command("licences and bans", &parts.cargo_deny(), DENY)?;
    run.command("temporal: licences", &parts.cargo_deny(), DENY_TEMPORAL)?;
    run.cargo("floor 0 without std", FLOOR_0)?;
    run.cargo("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// What of the end-to-end suite is run a second time, with every ledger in PostgreSQL, and a third time, where every attempt is released by
/// Temporal as well: one part of each kind of story.
const UPON_POSTGRES: &[&str] = &[
    "test",
    "--package=gantral",
    "--test=it",
    "--",
    "approvals::",
    "break_glass::",
    "delegations::",
    "freezes::",
    "notifications::",
    "policies::",
    "proposals::",
    "runner::",
    "secrets::",
    "serve::",
    "shadow::",
    "witness::",
];

/// The workspace of the orchestrator.
const TEMPORAL: &str = "--manifest-path=crates/gantral-temporal/Cargo.toml";

const DENY: &[&str] = &["--log-level", "error", "check", "licenses", "bans", "sources"];

const DENY_TEMPORAL: &[&str] = &[
    "--manifest-path",
    "crates/gantral-temporal/Cargo.toml",
    "--log-level",
    "error",
    "check",
    "licenses",
    "bans",
    "sources",
];

/// The target has no `std` at all, so a dependency that needs it cannot hide either.
const FLOOR_0: &[&str] = &[
    "clippy",
    "--package=gantral-core",
    "--package=gantral-evidence",
    "--target=wasm32v1-none",
    "--",
    "-D",
    "warnings",
    "-D",
    "clippy::float_arithmetic",
];

fn tidy(root: &Path) -> Result<()> {
    let findings = tidy::check_repository(root)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("one thing is not tidy"),
        count => bail!("{count} things are not tidy"),
    }
}

fn repository_root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .context("the folder of xtask has no parent")
}
