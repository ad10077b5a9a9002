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

/// What they may reach, and what for. A list of what is allowed and not of what is banned: a new crate that opens a socket
/// or reads the environment has a name that nobody thought of.
const ALLOWED: &[(&str, &str)] = &[
    ("base16ct", "of `p256`"),
    ("base64", "envelopes"),
    ("block-buffer", "of `sha2`"),
    ("cfg-if", "of `sha2`"),
    ("cmov", "of `p256`"),
    ("const-oid", "of `p256`"),
    ("cpubits", "of `p256`"),
    ("cpufeatures", "of `sha2`: asks the processor and nothing else"),
    ("crypto-bigint", "of `p256`"),
    ("crypto-common", "of `sha2`"),
    ("ctutils", "of `p256`"),
    ("curve25519-dalek", "of `ed25519-dalek`"),
    ("curve25519-dalek-derive", "of `ed25519-dalek`, while compiling"),
    ("der", "of `p256`"),
    ("digest", "of `sha2`"),
    ("ecdsa", "of `p256`"),
    ("ed25519", "of `ed25519-dalek`"),
    ("ed25519-dalek", "signatures"),
    ("elliptic-curve", "of `p256`"),
    ("ff", "of `p256`"),
    ("fiat-crypto", "of `ed25519-dalek`"),
    ("gantral-core", "ours"),
    ("gantral-evidence", "ours"),
    ("gantral-verify", "ours"),
    ("group", "of `p256`"),
    ("hex", "digests as text"),
    ("hmac", "of `p256`, which could sign with it"),
    ("hybrid-array", "of `sha2`"),
    ("libc", "of `cpufeatures`, on other processors"),
    ("num-traits", "of `p256`"),
    ("p256", "signatures of passkeys"),
    ("primefield", "of `p256`"),
    ("primeorder", "of `p256`"),
    ("proc-macro2", "of `thiserror`, while compiling"),
    ("quote", "of `thiserror`, while compiling"),
    ("rand_core", "of `p256`: names what a source of randomness would be, and is none"),
    ("rfc6979", "of `p256`, which could sign with it"),
    ("sec1", "of `p256`"),
    ("sha2", "digests"),
    ("signature", "of `ed25519-dalek`"),
    ("subtle", "of `ed25519-dalek`"),
    ("syn", "of `thiserror`, while compiling"),
    ("thiserror", "error messages"),
    ("thiserror-impl", "of `thiserror`, while compiling"),
    ("tinyvec", "of `unicode-normalization`"),
    ("typenum", "of `sha2`"),
    ("unicode-ident", "of `thiserror`, while compiling"),
    ("unicode-normalization", "the normal form of signed text"),
    ("wnaf", "of `p256`"),
    ("zeroize", "of `ed25519-dalek`"),
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
    let strangers = closure.iter().filter(|found| !ALLOWED.iter().any(|(allowed, _)| allowed == found));
    let what = |found: &String| format!("reaches `{found}`, which the list of its crates does not have");
    strangers.map(|found| Finding::new(name, 0, what(found))).collect()
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
    fn crate_that_is_not_on_the_list_is_found() {
        assert_eq!(
            found(&["sha2", "socket2", "tokio"]),
            [
                "gantral-verify: reaches `socket2`, which the list of its crates does not have",
                "gantral-verify: reaches `tokio`, which the list of its crates does not have"
            ]
        );
    }

    #[test]
    fn list_has_nothing_that_is_not_reached() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let reached = closure(root, "gantral-verify").unwrap();
        let allowed: BTreeSet<String> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(allowed, reached);
    }

    #[test]
    fn closure_of_the_server_shows_that_the_list_bites() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let closure = closure(root, "gantral-server").unwrap();
        assert!(!check("gantral-server", &closure).is_empty());
    }
}
