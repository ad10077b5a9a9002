//! What a program is made of, as CycloneDX 1.6: every crate that is compiled into it, with version, licence, digest and what it uses.
//!
//! It is read from what cargo resolves, and holds neither a time nor a number drawn at random: equal sources give equal bytes.
//! Source: <https://cyclonedx.org/docs/1.6/json/>.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::TARGET;
use crate::steps::cargo;

/// Returns the document of a program of the repository at `root`.
///
/// # Errors
/// When cargo cannot say what the program uses.
pub fn document(root: &Path, program: &str) -> Result<String> {
    let output = Command::new(cargo())
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", TARGET])
        .current_dir(root)
        .output()
        .context("cannot start `cargo`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo says no JSON")?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read `Cargo.lock`")?;
    let document = describe(&metadata, &digests(&lock), program)?;
    Ok(format!("{}\n", serde_json::to_string_pretty(&document).context("cannot write the document")?))
}

/// Makes the document of what cargo resolved.
fn describe(metadata: &Value, digests: &BTreeMap<(String, String), String>, program: &str) -> Result<Value> {
    let packages: BTreeMap<&str, &Value> = list(metadata, "/packages")
        .iter()
        .filter_map(|package| Some((text(package, "/id")?, package)))
        .collect();
    let uses: BTreeMap<&str, Vec<&str>> = list(metadata, "/resolve/nodes")
        .iter()
        .filter_map(|node| Some((text(node, "/id")?, compiled_in(node).collect())))
        .collect();
    let ours = packages.iter().find(|(_, package)| {
        text(package, "/name") == Some(program) && package.pointer("/source").is_none_or(Value::is_null)
    });
    let (own, package) = ours.with_context(|| format!("no package `{program}`"))?;
    let mut reached = BTreeSet::from([*own]);
    let mut next = vec![*own];
    while let Some(id) = next.pop() {
        let uses = uses.get(id).into_iter().flatten();
        next.extend(uses.filter(|used| reached.insert(used)));
    }
    let about = |id: &str| packages.get(id).map(|package| component("library", package, digests));
    let name = |id: &str| packages.get(id).map(|package| purl(package));
    let dependencies = reached.iter().filter_map(|id| {
        let mut used: Vec<String> = uses.get(id)?.iter().filter_map(|used| name(used)).collect();
        used.sort();
        Some(json!({ "ref": name(id)?, "dependsOn": used }))
    });
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component("application", package, digests) },
        "components": reached.iter().filter(|id| *id != own).filter_map(|id| about(id)).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    }))
}

/// Returns what a package has compiled into it: neither what its tests nor what its build uses.
fn compiled_in(node: &Value) -> impl Iterator<Item = &str> {
    let compiled = |used: &&Value| {
        list(used, "/dep_kinds").iter().any(|kind| kind.pointer("/kind").is_none_or(Value::is_null))
    };
    list(node, "/deps").iter().filter(compiled).filter_map(|used| text(used, "/pkg"))
}

fn component(kind: &str, package: &Value, digests: &BTreeMap<(String, String), String>) -> Value {
    let part = |path: &str| text(package, path).unwrap_or_default();
    // Before SPDX expressions a stroke stood for `or`.
    let licence = text(package, "/license").map(|licence| licence.replace('/', " OR ").replace("  ", " "));
    let digest = digests.get(&(part("/name").to_owned(), part("/version").to_owned()));
    json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": part("/name"),
        "version": part("/version"),
        "purl": purl(package),
        "licenses": licence.iter().map(|licence| json!({ "expression": licence })).collect::<Vec<_>>(),
        "hashes": digest.iter().map(|digest| json!({ "alg": "SHA-256", "content": digest })).collect::<Vec<_>>(),
    })
}

fn purl(package: &Value) -> String {
    let part = |path: &str| text(package, path).unwrap_or_default().replace('+', "%2B");
    format!("pkg:cargo/{}@{}", part("/name"), part("/version"))
}

/// Returns the digests of the lock file, by name and version.
fn digests(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, name: &str| {
        let line =
            block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'));
        line.map(str::to_owned)
    };
    let blocks = lock.split("[[package]]").skip(1);
    blocks
        .filter_map(|block| {
            Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?))
        })
        .collect()
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
