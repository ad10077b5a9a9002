//! A real OPA in a process of its own, from the pinned parts.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use gantral_policy::bundle::Bundle;

use crate::part;

/// How long OPA may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// An OPA with one bundle, which runs until this is dropped.
pub struct Opa {
    child: Child,
    pub address: SocketAddr,
}

impl Opa {
    /// Starts OPA with a bundle, which is written to the folder under a name. As OPA starts by itself it writes two lines for each request, which
    /// are thrown away; quiet it writes none.
    pub fn start(folder: &Path, name: &str, policy: &Bundle, quiet: bool) -> Result<Self> {
        let program = std::path::absolute(part("opa/opa"))?;
        ensure!(program.exists(), "the part `opa` is missing: `cargo xtask parts` installs it");
        let file = format!("{name}.tar.gz");
        std::fs::write(folder.join(&file), policy.as_published()?.to_archive()?)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(program)
            .args(["run", "--server", "--disable-telemetry", "--bundle", &file])
            .args(quiet.then_some("--log-level=error"))
            .arg(format!("--addr={address}"))
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let opa = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > PATIENCE {
                bail!("OPA does not listen");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(opa)
    }

    /// Returns its address above `v1/data`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Opa {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
