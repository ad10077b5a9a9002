//! A real OPA that serves, gone with the test.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::part;

/// How long it may take to listen.
const START_WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// A running OPA, stopped when dropped.
pub struct Opa(Child);

impl Drop for Opa {
    fn drop(&mut self) {
        self.0.kill().expect("OPA is killed");
        self.0.wait().expect("OPA ends");
    }
}

impl Opa {
    /// Starts one in a folder, at a port of this machine, with more arguments.
    pub fn start(folder: &Path, port: u16, arguments: &[&str]) -> Self {
        let child = Command::new(part("opa/opa"))
            .args(["run", "--server", "--disable-telemetry", "--log-level=error"])
            .args(arguments)
            .arg(format!("--addr=127.0.0.1:{port}"))
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let opa = Self(child.expect("OPA starts"));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < START_WAIT, "OPA does not listen");
            std::thread::sleep(LOOK);
        }
        opa
    }
}
