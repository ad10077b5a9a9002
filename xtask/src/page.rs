//! The page that verifies evidence in a browser: one HTML file, put together from `verifiers/web/` and the verifier as
//! WebAssembly.
//!
//! Equal sources and an equal compiler give equal bytes, wherever they lie: no path of the machine enters, nothing is dated, and
//! the flags of whoever builds do not count. The policy of the page names its script and its style by their digests.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::steps::{cargo, succeed};

/// What the verifier is compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// Where the page is, inside the build folder of its source.
const PAGE: &str = "target/page/gantral-verify.html";
const CRATE: &str = "gantral-verify-web";
const PROFILE: &str = "page";
const FOLDER: &str = "verifiers/web";

/// Variables with which somebody may steer a compiler elsewhere: here they would change the bytes.
pub const STEERING: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Builds the page from the sources at `source` and returns where it is.
///
/// # Errors
/// When the verifier does not compile, or a part of the page is not there.
pub fn build(source: &Path) -> Result<PathBuf> {
    let source = source.canonicalize().with_context(|| format!("no folder `{}`", source.display()))?;
    let read = |name: &str| {
        let path = source.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    let part = |name: &str| read(&format!("{FOLDER}/{name}"));
    let page = assemble(&Material {
        template: part("page.html")?,
        style: part("page.css")?,
        script: part("page.js")?,
        version: workspace_version(&read("Cargo.toml")?)?,
        module: compile(&source)?,
    })?;
    let path = source.join(PAGE);
    fs::create_dir_all(path.parent().unwrap_or(&source)).context("cannot make the folder of the page")?;
    fs::write(&path, &page).with_context(|| format!("cannot write `{}`", path.display()))?;
    println!("{} bytes, SHA-256 {}", page.len(), hex::encode(Sha256::digest(&page)));
    println!("{}", path.display());
    Ok(path)
}

/// Compiles the verifier, in a build folder of its own: its flags are not those of other builds.
fn compile(source: &Path) -> Result<Vec<u8>> {
    let target = source.join("target/page-build");
    let mut command = Command::new(cargo());
    command
        .args([
            "build",
            "--locked",
            "--quiet",
            "--lib",
            "--package",
            CRATE,
            "--profile",
            PROFILE,
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(source)
        .env("CARGO_INCREMENTAL", "0");
    STEERING.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.env("CARGO_ENCODED_RUSTFLAGS", remapped(source)?);
    succeed(&mut command)?;
    let module = target.join(TARGET).join(PROFILE).join("gantral_verify_web.wasm");
    fs::read(&module).with_context(|| format!("cannot read `{}`", module.display()))
}

/// Returns the flags that take the folders of this machine out of what is compiled.
pub fn remapped(source: &Path) -> Result<OsString> {
    let mut flags = Vec::new();
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    };
    // A later one counts before an earlier one, so the widest comes first.
    let registry = cargo_home()?;
    remap(&registry, "/cargo");
    let sources = registry.join("registry/src");
    let mut registries = match fs::read_dir(&sources) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?,
        Err(_) => Vec::new(),
    };
    registries.sort_unstable();
    registries.iter().for_each(|path| remap(path, "/registry"));
    remap(source, "/gantral");
    Ok(flags.join(&OsString::from("\u{1f}")))
}

fn cargo_home() -> Result<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    let path = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home);
    path.context("neither `CARGO_HOME` nor `HOME` says where cargo keeps its sources")
}

/// Returns the version that the crates of a workspace share.
fn workspace_version(manifest: &str) -> Result<String> {
    let package = manifest.split("[workspace.package]").nth(1).unwrap_or_default();
    let version = package.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.map(str::to_owned).context("no version in the manifest of the workspace")
}

/// What a page is made of.
struct Material {
    template: String,
    style: String,
    script: String,
    version: String,
    module: Vec<u8>,
}

/// Puts the page together.
fn assemble(material: &Material) -> Result<String> {
    let Material { template, style, script, version, module } = material;
    // Inside its element, a text must not end it.
    for (text, end) in [(style, "</style"), (script, "</script"), (script, "<!--")] {
        if text.to_ascii_lowercase().contains(end) {
            bail!("a part of the page contains `{end}`");
        }
    }
    let hash = |text: &str| format!("sha256-{}", STANDARD.encode(Sha256::digest(text)));
    let values = [
        ("style-hash", hash(style)),
        ("script-hash", hash(script)),
        ("version", version.clone()),
        ("wasm-digest", hex::encode(Sha256::digest(module))),
        ("wasm", STANDARD.encode(module)),
        ("style", style.clone()),
        ("script", script.clone()),
    ];
    let mut page = String::new();
    let mut rest = template.as_str();
    let mut used = 0_usize;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").context("a place of the template is not closed")?;
        let value = values.iter().find(|(known, _)| *known == name);
        let (_, value) = value.with_context(|| format!("the template has an unknown place `{name}`"))?;
        page.push_str(before);
        page.push_str(value);
        used = used.saturating_add(1);
        rest = after;
    }
    if used != values.len() {
        bail!("the template has {used} places, not {}", values.len());
    }
    page.push_str(rest);
    Ok(page)
}

#[cfg(test)]
mod tests;
