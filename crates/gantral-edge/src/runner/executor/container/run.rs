//! The words of `run`, and what a container sees of the runner's files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{getgid, getuid};

use super::{ContainerConfig, EngineKind, Pull};
use crate::runner::RunnerConfig;
use crate::runner::executor::Paths;

/// Where a container finds what the runner tells it.
const FOLDER: &str = "/run/gantral";

/// Returns the files as a command in a container sees them.
pub(super) fn inside(paths: &Paths) -> Paths {
    let folder = Path::new(FOLDER);
    let below = |part: &str, file: &Path| folder.join(part).join(file.file_name().unwrap_or_default());
    Paths {
        private: folder.to_owned(),
        told: folder.join("attempt"),
        token: below("attempt", &paths.token),
        context: below("attempt", &paths.context),
        journal: folder.join("journal.jsonl"),
        trust: folder.join("trust.json"),
        mode_lease: below("mode-leases", &paths.mode_lease),
        socket: paths.socket.as_ref().map(|_| folder.join("secrets")),
    }
}

/// Returns the options of `run` that the configuration stands for.
pub(super) fn words(
    config: &ContainerConfig,
    runner: &RunnerConfig,
    paths: &Paths,
    environment: &Path,
) -> Vec<String> {
    let pull = match config.pull {
        Pull::Missing => "missing",
        Pull::Never => "never",
        Pull::Always => "always",
    };
    let mut words: Vec<String> = [
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        // What it writes is kept by the runner alone, and masked.
        "--log-driver=none",
    ]
    .map(str::to_owned)
    .to_vec();
    words.push(format!("--pull={pull}"));
    words.push(format!("--tmpfs=/tmp:rw,nosuid,nodev,size={}", config.tmp_bytes));
    words.push(format!("--env-file={}", environment.display()));
    words.extend((!config.writable).then(|| "--read-only".to_owned()));
    words.extend(config.network.as_ref().map(|network| format!("--network={network}")));
    words.extend(user(config.engine));
    words.extend(limits(config, runner));
    words.extend(mounts(paths));
    words
}

/// The files are for the runner's user alone, and so the command runs as that user.
fn user(engine: EngineKind) -> Vec<String> {
    let (uid, gid) = (getuid(), getgid());
    let own = format!("--user={}:{}", uid.as_raw(), gid.as_raw());
    match engine {
        // Or it would pass on the proxies of the runner, which may hold a password.
        EngineKind::Podman if uid.is_root() => vec![own, "--http-proxy=false".to_owned()],
        EngineKind::Podman => vec![own, "--userns=keep-id".to_owned(), "--http-proxy=false".to_owned()],
        EngineKind::Docker => vec![own],
        // Without root, the runner's user is root in the container.
        EngineKind::Nerdctl => vec!["--user=0:0".to_owned()],
    }
}

fn limits(config: &ContainerConfig, runner: &RunnerConfig) -> Vec<String> {
    let mut words = vec!["--ulimit=core=0:0".to_owned()];
    let (each, group) = (&runner.limits, &runner.group_limits);
    for (name, limit) in [("cpu", each.cpu_seconds), ("nofile", each.open_files), ("fsize", each.file_bytes)]
    {
        words.extend(limit.map(|limit| format!("--ulimit={name}={limit}:{limit}")));
    }
    // Equal to the memory: no swap.
    words.extend(
        group
            .memory_bytes
            .into_iter()
            .flat_map(|memory| [format!("--memory={memory}b"), format!("--memory-swap={memory}b")]),
    );
    words.extend(group.processes.map(|count| format!("--pids-limit={count}")));
    words.extend(config.milli_cpus.map(|milli| format!("--cpus={}.{:03}", milli / 1_000, milli % 1_000)));
    words
}

fn mounts(paths: &Paths) -> Vec<String> {
    let inside = inside(paths);
    let leases = |path: &PathBuf| path.parent().map(Path::to_owned).unwrap_or_default();
    let mount =
        |from: &Path, to: &Path, mode: &str| format!("--volume={}:{}:{mode}", from.display(), to.display());
    let mut words = vec![
        // The folder and not the files: a renewed token takes the place of the old one.
        mount(&paths.told, &inside.told, "ro"),
        mount(&paths.trust, &inside.trust, "ro"),
        mount(&paths.journal, &inside.journal, "rw"),
        mount(&leases(&paths.mode_lease), &leases(&inside.mode_lease), "rw"),
    ];
    if let (Some(from), Some(to)) = (&paths.socket, &inside.socket) {
        words.push(mount(from, to, "rw"));
    }
    words
}

/// Returns the variables as engines read them from a file, or the name of one that such a file cannot hold.
pub(super) fn environment_file(variables: &BTreeMap<OsString, OsString>) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    for (name, value) in variables {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        let odd = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
        if value.iter().any(odd) || core::str::from_utf8(value).is_err() {
            return Err(String::from_utf8_lossy(name).into_owned());
        }
        file.extend_from_slice(name);
        file.push(b'=');
        file.extend_from_slice(value);
        file.push(b'\n');
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
