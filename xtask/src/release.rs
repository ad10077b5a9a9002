//! What a release consists of: static programs, what they are made of, their digests, a signature of these, and what an image is made of.
//!
//! Equal sources and an equal compiler are to give equal bytes: no path of the machine enters and nothing is dated. The C parts are compiled by
//! a pinned compiler, so that neither the machine's C compiler nor its C library counts.

pub mod sbom;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::page::{STEERING, remapped};
use crate::parts::Parts;
use crate::steps::{cargo, succeed};

/// What programs are compiled for: no C library of the machine is needed.
pub const TARGET: &str = "x86_64-unknown-linux-musl";
/// The programs of a release.
const PROGRAMS: [&str; 2] = ["gantral", "gantral-verify"];
/// What an image takes along, so that its clients believe the authorities that a system believes.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const DIGESTS: &str = "SHA256SUMS";

/// Makes a release of the repository at `root` in the folder `out`; `key` is an Ed25519 key in PEM, with which the digests are signed.
///
/// # Errors
/// When something does not compile, or `out` has something already.
pub fn make(root: &Path, parts: &Parts, out: &Path, key: Option<&Path>) -> Result<()> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("`{}` is not empty", out.display());
    }
    fs::create_dir_all(out.join("image/data")).context("cannot make the folder of the release")?;
    for (program, built) in PROGRAMS.iter().zip(compile(root, parts)?) {
        let path = out.join(program);
        fs::copy(&built, &path).with_context(|| format!("cannot copy `{}`", built.display()))?;
        check_static(&path)?;
    }
    for program in PROGRAMS {
        let document = sbom::document(root, program)?;
        fs::write(out.join(format!("{program}.cdx.json")), document)
            .context("cannot write what it is made of")?;
    }
    fs::hard_link(out.join("gantral"), out.join("image/gantral"))
        .context("cannot put the program into the image")?;
    fs::copy(AUTHORITIES, out.join("image/ca-certificates.crt")).with_context(|| {
        format!("cannot copy `{AUTHORITIES}`\nhint: on Debian, `apt-get install ca-certificates`")
    })?;
    fs::copy(root.join("deploy/docker/Dockerfile"), out.join("image/Dockerfile")).context("no Dockerfile")?;
    digest(out)?;
    if let Some(key) = key {
        sign(out, key)?;
    }
    println!("{}", out.display());
    Ok(())
}

/// Compiles the programs, in a build folder of their own, and returns where they are.
fn compile(root: &Path, parts: &Parts) -> Result<Vec<PathBuf>> {
    let target = root.join("target/release-build");
    let programs = parts.dir().join("zig/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = vec![programs.clone()];
    paths.extend(std::env::split_paths(&path));
    let mut command = Command::new(programs.join("cargo-zigbuild"));
    command.args(["zigbuild", "--release", "--locked", "--target", TARGET, "--target-dir"]).arg(&target);
    command.args(PROGRAMS.iter().flat_map(|program| ["--package", program, "--bin", program]));
    command.current_dir(root).env("CARGO", cargo()).env("CARGO_INCREMENTAL", "0");
    STEERING.iter().for_each(|name| _ = command.env_remove(name));
    // Without lines a backtrace has no paths, and the programs are a third as large.
    command.env("CARGO_PROFILE_RELEASE_STRIP", "symbols").env("CARGO_ENCODED_RUSTFLAGS", remapped(root)?);
    command.env("PATH", std::env::join_paths(paths).unwrap_or_else(|_| OsString::from(&path)));
    succeed(&mut command)?;
    Ok(PROGRAMS.iter().map(|program| target.join(TARGET).join("release").join(program)).collect())
}

/// Refuses a program that asks for a loader or a library: an image has neither.
fn check_static(program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read `{}`", program.display()))?;
    match needs_loader(&bytes) {
        Some(false) => Ok(()),
        Some(true) => bail!("`{}` is not static: it names a loader", program.display()),
        None => bail!("`{}` is no program", program.display()),
    }
}

/// Says whether a 64-bit ELF program names a loader (a program header of type `PT_INTERP`); `None` when it is none.
fn needs_loader(bytes: &[u8]) -> Option<bool> {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    // 64 bits, the smaller end first.
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (first, length, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut named = false;
    for index in 0..count {
        let at = usize::try_from(first.checked_add(index.checked_mul(length)?)?).ok()?;
        named |= number(at, 4)? == u64::from(INTERPRETER);
    }
    Some(named)
}

/// Writes the digests of everything that is handed out, as `sha256sum` checks them.
fn digest(out: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(out).context("cannot read the release")? {
        let path = entry.context("cannot read the release")?.path();
        if path.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            lines.push(format!("{}  {name}\n", hex::encode(Sha256::digest(&bytes))));
        }
    }
    lines.sort_by(|one, other| one.split_once("  ").map(|l| l.1).cmp(&other.split_once("  ").map(|l| l.1)));
    let digests = lines.concat();
    print!("{digests}");
    fs::write(out.join(DIGESTS), digests).context("cannot write the digests")
}

/// Signs the digests with a key of whoever releases: `SHA256SUMS.sig`, an Ed25519 signature of the file as it is.
fn sign(out: &Path, key: &Path) -> Result<()> {
    let mode = fs::metadata(key).with_context(|| format!("no key `{}`", key.display()))?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("`{}` can be read by others: set its mode to 0600", key.display());
    }
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(key).arg("-in").arg(out.join(DIGESTS));
    succeed(openssl.arg("-out").arg(out.join(format!("{DIGESTS}.sig"))))
}

#[cfg(test)]
mod tests;
