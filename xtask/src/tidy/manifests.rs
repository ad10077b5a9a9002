//! The manifests of our crates: one place for versions, lints and licence.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Finding;
use super::tree::Tree;
use crate::steps::cargo;

/// The one crate whose folder is a common word at the root.
const BENCH: &str = "gantral-bench";

/// The one crate with lints of its own: to export a function to JavaScript counts as unsafe code, and `forbid` cannot be lifted.
const EXPORTING: &str = "crates/gantral-verify-web/Cargo.toml";

/// What is outside the workspace: the one needs a nightly compiler, and the other brings more crates than all the rest. Nothing of ours uses
/// either.
const APART: &[&str] = &["fuzz/Cargo.toml", ORCHESTRATOR];

/// The crate of these that ships.
const ORCHESTRATOR: &str = "crates/gantral-temporal/Cargo.toml";

/// A crate of the workspace as cargo reads it.
#[derive(Default)]
pub struct Package {
    /// Name of the package.
    pub name: String,
    /// Folder that holds its manifest, without the folders above.
    pub folder: String,
    /// SPDX expression; empty when none is declared.
    pub license: String,
    /// One line; empty when none is declared.
    pub description: String,
    /// Says whether a registry would take it.
    pub publish: bool,
    /// What it depends on, ours and others'.
    pub dependencies: Vec<Dependency>,
}

/// One entry in a table of dependencies.
pub struct Dependency {
    /// Name of the package, also when it is renamed.
    pub name: String,
    /// Which table it stands in.
    pub kind: Kind,
    /// Features asked for by this entry.
    pub features: Vec<String>,
}

/// Which code sees a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The shipped code.
    Normal,
    /// Tests, benches and examples.
    Dev,
    /// The build script.
    Build,
}

/// Asks cargo for the crates of the workspace at `root`, and for the one that ships beside it.
///
/// # Errors
/// When cargo fails or answers with something else than its documented format.
pub fn packages(root: &Path) -> Result<Vec<Package>> {
    let mut packages = packages_of(root, "Cargo.toml")?;
    packages.extend(packages_of(root, ORCHESTRATOR)?);
    Ok(packages)
}

fn packages_of(root: &Path, manifest: &str) -> Result<Vec<Package>> {
    let output = Command::new(cargo())
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--manifest-path", manifest])
        .current_dir(root)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
    let packages =
        metadata.get("packages").and_then(Value::as_array).context("no packages in the metadata")?;
    packages.iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let manifest = Path::new(text(value, "manifest_path")?);
    let folder = manifest.parent().and_then(Path::file_name).unwrap_or_default();
    let dependencies = value.get("dependencies").and_then(Value::as_array).context("no dependencies")?;
    Ok(Package {
        name: text(value, "name")?.to_owned(),
        folder: folder.to_string_lossy().into_owned(),
        license: text(value, "license").unwrap_or_default().to_owned(),
        description: text(value, "description").unwrap_or_default().to_owned(),
        publish: value
            .get("publish")
            .and_then(Value::as_array)
            .is_none_or(|registries| !registries.is_empty()),
        dependencies: dependencies.iter().map(dependency).collect::<Result<_>>()?,
    })
}

fn dependency(value: &Value) -> Result<Dependency> {
    let kind = match value.get("kind").and_then(Value::as_str) {
        None => Kind::Normal,
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        Some(other) => bail!("unknown kind of dependency `{other}`"),
    };
    let features = value.get("features").and_then(Value::as_array).context("no features")?;
    let features = features.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Dependency { name: text(value, "name")?.to_owned(), kind, features })
}

fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str> {
    value.get(member).and_then(Value::as_str).with_context(|| format!("no member `{member}`"))
}

/// Checks what cargo knows of each crate.
pub fn check_packages(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                findings.push(Finding::new(&package.name, 0, what));
            }
        };
        let expected = if package.name == BENCH { "bench" } else { &package.name };
        expect(package.folder == expected, "folder and crate differ in name");
        expect(package.license == "Apache-2.0", "is not licensed as `Apache-2.0`");
        expect(!package.description.is_empty(), "has no description");
        expect(!package.publish, "can be published by accident: say `publish.workspace = true`");
    }
    findings
}

/// Checks what only the text of a manifest shows.
pub fn check_text(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, manifest) in tree.texts_ending(&["/Cargo.toml"]).filter(|(path, _)| !APART.contains(path)) {
        let mut pairs = manifest.lines().zip(manifest.lines().skip(1));
        let takes_lints = if path == EXPORTING {
            manifest.ends_with(&exporting_lints(tree.text("Cargo.toml").unwrap_or_default()))
        } else {
            pairs.any(|pair| pair == ("[lints]", "workspace = true"))
        };
        if !takes_lints {
            findings.push(Finding::new(path, 0, "does not take the lints of the workspace"));
        }
        findings.extend(check_versions(path, manifest));
    }
    findings
}

/// Returns the lints of the workspace as they stand in the one manifest that may lift `unsafe_code` for a module.
fn exporting_lints(root: &str) -> String {
    let lints = root.find("[workspace.lints").and_then(|at| root.get(at..)).unwrap_or_default();
    let end = lints.match_indices("\n[").map(|(at, _)| at).find(|at| {
        lints.get(at.saturating_add(1)..).is_some_and(|rest| !rest.starts_with("[workspace.lints"))
    });
    let lints = lints.get(..end.unwrap_or(lints.len())).unwrap_or_default();
    let lints = lints.replace("[workspace.lints", "[lints").replace("\"forbid\"", "\"deny\"");
    format!("{}\n", lints.trim_end())
}

/// Finds versions in the root manifest that no crate takes: they look like decisions and are leftovers.
pub fn check_workspace_dependencies(tree: &Tree) -> Vec<Finding> {
    let manifests: Vec<&str> = tree.texts_ending(&["/Cargo.toml"]).map(|(_, manifest)| manifest).collect();
    let taken = |name: &str| {
        let forms = [format!("{name}.workspace"), format!("{name} = {{ workspace")];
        manifests.iter().flat_map(|manifest| manifest.lines()).any(|line| {
            forms.iter().any(|form| line.starts_with(form))
                || line.ends_with(&format!("dependencies.{name}]"))
        })
    };
    let root = tree.text("Cargo.toml").unwrap_or_default();
    let lines = (1..).zip(root.lines()).skip_while(|(_, line)| *line != "[workspace.dependencies]").skip(1);
    let entries = lines.take_while(|(_, line)| !line.starts_with('['));
    entries
        .filter_map(|(number, line)| Some((number, line.split_once(" = ")?.0)))
        .filter(|(_, name)| !name.starts_with('#') && !taken(name))
        .map(|(number, name)| Finding::new("Cargo.toml", number, format!("`{name}` is used by no crate")))
        .collect()
}

/// Versions and sources stand in the root manifest only.
fn check_versions(path: &str, manifest: &str) -> Vec<Finding> {
    let mut section = "";
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(manifest.lines()) {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let own_version = line.contains("version =") || line.contains("git =") || line.contains("= \"");
        let is_entry = section.contains("dependencies") && !line.trim_start().starts_with('#');
        if is_entry && own_version && !line.contains("workspace = true") {
            findings.push(Finding::new(path, number, "takes its version elsewhere than from the workspace"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &str) -> Vec<String> {
        let tree = Tree::of(&[("crates/gantral-x/Cargo.toml", manifest)]);
        check_text(&tree).iter().map(|finding| finding.what.clone()).collect()
    }

    #[test]
    fn crate_without_the_common_lints_is_found() {
        assert_eq!(found("[package]\nname = \"gantral-x\"\n"), ["does not take the lints of the workspace"]);
        assert!(found("[lints]\nworkspace = true\n").is_empty());
    }

    #[test]
    fn exporting_crate_has_the_lints_of_the_workspace_but_for_one() {
        let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nx = \"warn\"\n\n[workspace.lints.clippy]\ny = \"warn\"\n\n[profile.dev]\n";
        let found = |manifest: &str| {
            let tree = Tree::of(&[("Cargo.toml", root), (EXPORTING, manifest)]);
            check_text(&tree).len()
        };
        let same = "[lints.rust]\nunsafe_code = \"deny\"\nx = \"warn\"\n\n[lints.clippy]\ny = \"warn\"\n";
        assert_eq!(found(same), 0);
        assert_eq!(found(&same.replace("x = \"warn\"\n", "")), 1);
        assert_eq!(found("[package]\nname = \"x\"\n"), 1);
    }

    #[test]
    fn only_the_crate_outside_the_workspace_has_versions_and_lints_of_its_own() {
        let manifest = "[dependencies]\nx = \"1\"\n";
        assert!(APART.iter().all(|apart| check_text(&Tree::of(&[(apart, manifest)])).is_empty()));
        assert_eq!(check_text(&Tree::of(&[("crates/fuzz/Cargo.toml", manifest)])).len(), 2);
    }

    #[test]
    fn version_outside_the_workspace_is_found() {
        let found =
            found("[dependencies]\nhex.workspace = true\nserde = \"1\"\n\n[lints]\nworkspace = true\n");
        assert_eq!(found, ["takes its version elsewhere than from the workspace"]);
    }

    #[test]
    fn version_that_no_crate_takes_is_found() {
        let root = "[workspace.dependencies]\n# Why.\na = \"1\"\nb = { version = \"1\" }\nb-c = \"1\"\nd = \"1\"\n\n[profile.dev]\nx = 1\n";
        let member = "[dependencies]\na.workspace = true\nb = { workspace = true }\n[target.'cfg(unix)'.dependencies.d]\n";
        let tree = Tree::of(&[("Cargo.toml", root), ("crates/x/Cargo.toml", member)]);
        let found: Vec<String> = check_workspace_dependencies(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(found, ["Cargo.toml:5: `b-c` is used by no crate"]);
    }

    #[test]
    fn crate_with_another_licence_name_or_a_way_out_is_found() {
        let good = Package {
            name: "gantral-x".to_owned(),
            folder: "gantral-x".to_owned(),
            license: "Apache-2.0".to_owned(),
            description: "does x".to_owned(),
            publish: false,
            dependencies: Vec::new(),
        };
        assert!(check_packages(std::slice::from_ref(&good)).is_empty());
        let bad = Package {
            folder: "y".to_owned(),
            license: "MIT".to_owned(),
            description: String::new(),
            publish: true,
            ..good
        };
        assert_eq!(check_packages(&[bad]).len(), 4);
    }

    #[test]
    fn cargo_tells_kind_and_features() {
        let value: Value = serde_json::from_str(
            r#"{"name": "gantral-x", "manifest_path": "a/gantral-x/Cargo.toml", "license": null, "publish": null,
                "dependencies": [{"name": "gantral-api", "kind": "dev", "features": ["client"]}]}"#,
        )
        .unwrap();
        let package = package(&value).unwrap();
        assert_eq!(
            (package.folder.as_str(), package.license.as_str(), package.publish),
            ("gantral-x", "", true)
        );
        let dependency = package.dependencies.first().unwrap();
        assert_eq!(
            (dependency.kind, dependency.features.as_slice()),
            (Kind::Dev, &["client".to_owned()][..])
        );
    }
}
