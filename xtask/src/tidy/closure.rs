//! Everything that a crate pulls in: what the pure floor and the auditor's verifier must never reach.
//!
//! The compiler proves that floor 0 has no `std`; this list adds what would still be impure or unreadable there, and covers the
//! verifier, which has `std` because it reads files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Finding;
use crate::steps::cargo;

/// Crates whose closure is guarded.
const GUARDED: &[&str] = &["gantral-core", "gantral-evidence", "gantral-verify"];

/// First words of crate names, up to a dash or underscore, and why they may not come near.
const BANNED: &[(&str, &str)] = &[
    ("tokio", "async runtime"),
    ("async", "async runtime"),
    ("smol", "async runtime"),
    ("futures", "async code"),
    ("mio", "network"),
    ("socket2", "network"),
    ("hyper", "network"),
    ("reqwest", "network"),
    ("ureq", "network"),
    ("curl", "network"),
    ("axum", "network"),
    ("rustls", "network"),
    ("openssl", "network"),
    ("native", "network, as `native-tls`"),
    ("hickory", "network"),
    ("getrandom", "randomness"),
    ("rand", "randomness"),
    ("fastrand", "randomness"),
    ("hashbrown", "an order of iteration that is not fixed"),
    ("indexmap", "an order of iteration that depends on history"),
    ("uuid", "randomness; ids are values of ours"),
    ("chrono", "clock"),
    ("time", "clock"),
    ("jiff", "clock"),
    ("serde", "serialisation is ours here, byte by byte"),
    ("rusqlite", "storage"),
    ("libsqlite3", "storage"),
    ("dotenvy", "environment"),
    ("directories", "environment"),
    ("dirs", "environment"),
    ("config", "environment"),
    ("log", "logging"),
    ("tracing", "logging"),
];

/// Checks every guarded crate of the workspace at `root`.
///
/// # Errors
/// When cargo does not answer.
pub fn check_repository(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for name in GUARDED {
        findings.extend(check(name, &closure(root, name)?));
    }
    Ok(findings)
}

fn check(name: &str, closure: &BTreeSet<String>) -> Vec<Finding> {
    let banned = |dependency: &String| {
        let first = dependency.split(['-', '_']).next().unwrap_or_default();
        let (_, why) = BANNED.iter().find(|(word, _)| *word == first)?;
        Some(Finding::new(name, 0, format!("reaches `{dependency}` ({why})")))
    };
    closure.iter().filter_map(banned).collect()
}

/// Returns the names of all packages that ship with one crate, on every platform.
///
/// `cargo tree` and not the metadata, which would show the features of the whole workspace as one.
fn closure(root: &Path, name: &str) -> Result<BTreeSet<String>> {
    let output = Command::new(cargo())
        .args(["tree", "--package", name, "--edges=normal", "--target=all", "--prefix=none", "--format={p}"])
        .current_dir(root)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names: BTreeSet<String> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    if !names.contains(name) {
        bail!("`cargo tree` does not know `{name}`");
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(closure: &[&str]) -> Vec<String> {
        let closure = closure.iter().map(|name| (*name).to_owned()).collect();
        check("gantral-verify", &closure).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn network_and_randomness_in_the_closure_are_found() {
        assert_eq!(
            found(&["sha2", "rand_core", "tokio-util"]),
            [
                "gantral-verify: reaches `rand_core` (randomness)",
                "gantral-verify: reaches `tokio-util` (async runtime)"
            ]
        );
    }

    #[test]
    fn crate_that_only_begins_alike_is_left_alone() {
        assert!(found(&["random-named", "timeless", "hex"]).is_empty());
    }

    #[test]
    fn closure_of_the_server_shows_that_the_list_bites() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let closure = closure(root, "gantral-server").unwrap();
        assert!(!check("gantral-server", &closure).is_empty());
    }
}
