//! The suite with every attempt released by Temporal, where it is told so (`GANTRAL_TEST_ORCHESTRATOR=temporal`): one Temporal server for all
//! tests of this process, and beside each development server what asks it.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::support::{Killed, part, wait_until};

/// Ends the server when this process has ended, however it did: the pipe is closed then.
const WATCHED: &str = "\"$@\" & cat >/dev/null; kill $!";

/// Tells whether the suite runs with Temporal.
pub fn is_told() -> bool {
    match std::env::var("GANTRAL_TEST_ORCHESTRATOR").as_deref() {
        Err(_) => false,
        Ok("temporal") => true,
        Ok(other) => panic!("GANTRAL_TEST_ORCHESTRATOR is `{other}`, and not `temporal`"),
    }
}

/// Returns the address of the Temporal server, if the suite runs with one.
pub fn address() -> Option<String> {
    static SERVER: OnceLock<(String, Child, TempDir)> = OnceLock::new();
    is_told().then(|| SERVER.get_or_init(start).0.clone())
}

fn start() -> (String, Child, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    // Let go of at once, and taken again by the server.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (address, program) = (format!("127.0.0.1:{port}"), part("temporal/bin/temporal"));
    let mut command = Command::new("sh");
    command
        .args(["-c", WATCHED, "sh"])
        .arg(&program)
        .args(["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error", "--port"])
        .arg(port.to_string())
        .env("HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let child = command.stderr(File::create(folder.path().join("temporal.log")).unwrap()).spawn().unwrap();
    let healthy = || {
        let mut asked = Command::new(&program);
        asked.args(["operator", "cluster", "health", "--address", &address]).env("HOME", folder.path());
        asked.output().unwrap().status.success()
    };
    assert!(wait_until(healthy), "Temporal does not start");
    (address, child, folder)
}

/// Starts what asks Temporal for a development server in a folder. Each has names of its own there.
pub fn orchestrator(folder: &Path, url: &str, address: &str) -> Killed {
    let program = Path::new(env!("CARGO_BIN_EXE_gantral")).with_file_name("gantral-temporal");
    assert!(program.exists(), "`{}` is missing\nhint: `cargo xtask temporal`", program.display());
    let name = folder.file_name().unwrap().to_string_lossy();
    let log = File::options().create(true).append(true).open(folder.join("orchestrator.log")).unwrap();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("TEMPORAL_ADDRESS", address)
        .args(["--url", url, "--search-every", "2", "--name", name.trim_start_matches('.'), "--token-file"])
        .arg(folder.join(".gantral-dev/tokens/dev-orchestrator.token"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Killed::of(command.spawn().unwrap())
}
