//! The client for Python: its own tests against this binary, its types, and its wheel in an environment that holds nothing else.

use std::path::Path;
use std::process::Command;

use crate::support::{part, repository};

/// Python with the packages of the tests, in the folder of the client, and nothing of whoever runs this but the path to programs.
fn python() -> Command {
    let python = part("agents/bin/python");
    clean(&python, &repository().join("clients/python"))
}

fn clean(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", std::env::temp_dir())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder);
    command
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Runs tests of the client, all of which must have run.
#[track_caller]
fn pytest(arguments: &[&str]) {
    let said = succeeds(
        python()
            .args(["-m", "pytest"])
            .args(arguments)
            .env("PYTHONPATH", "src")
            .env("GANTRAL_BIN", env!("CARGO_BIN_EXE_gantral"))
            .env("GANTRAL_PARTS", part("")),
    );
    assert!(said.contains(" passed") && !said.contains(" skipped"), "{said}");
}

const OF_FRAMEWORKS: &str = "tests/test_frameworks.py";

#[test]
fn python_client_passes_its_tests_against_this_binary() {
    pytest(&["--ignore", OF_FRAMEWORKS]);
}

#[test]
fn agents_of_five_frameworks_are_resumed_in_new_processes_and_act_once() {
    pytest(&[OF_FRAMEWORKS]);
}

#[test]
fn types_of_the_python_client_are_strict() {
    let cache = tempfile::tempdir().unwrap();
    succeeds(python().args(["-m", "mypy", "--cache-dir"]).arg(cache.path()));
}

#[test]
fn wheel_of_the_python_client_is_installed_and_imported_where_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    succeeds(
        python()
            .args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--no-build-isolation", "--no-index", "--wheel-dir"])
            .arg(path("built"))
            .arg("."),
    );
    succeeds(python().args(["-m", "venv"]).arg(path("venv")));
    let clean = || clean(&path("venv/bin/python"), folder.path());
    succeeds(
        clean()
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-index",
                "--find-links",
            ])
            .arg(part("").join("wheels"))
            .arg("--find-links")
            .arg(path("built"))
            .arg("gantral"),
    );
    succeeds(clean().args(["-m", "pip", "check", "--disable-pip-version-check"]));
    let said = succeeds(clean().args(["-c", IMPORTED]));
    assert_eq!(said.trim(), format!("{} True True", env!("CARGO_PKG_VERSION")));
}

/// Imported from the environment it is installed in, typed, and with its licence.
const IMPORTED: &str = "
import importlib.metadata, pathlib, gantral
files = [str(file) for file in importlib.metadata.files('gantral')]
inside = 'site-packages' in gantral.__file__ and any(name.endswith('py.typed') for name in files)
try:
    gantral.gate('refund', 'order/1')
except gantral.Unusable as unusable:
    print(gantral.__version__, inside, any(name.endswith('LICENSE') for name in files))
";
