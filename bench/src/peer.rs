//! Temporal as a peer: its development server, which keeps everything in memory, and a program with a worker and clients of one human gate.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::part;

/// How long the server may take to start, and the worker to connect to it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the peer measured over all its clients; times in milliseconds, the median and the 99th of a hundred.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Gates {
    pub per_second: f64,
    /// A whole gate: the workflow is started, and its update answered.
    pub gate_ms: [f64; 2],
    /// The update alone, and the activity in it.
    pub update_ms: [f64; 2],
}

/// Both processes, which end when this is dropped: the one that asks before the one that answers.
pub struct Peer {
    asks: Killed,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _answers: Killed,
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // An error means that it is gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Peer {
    /// Starts both; what they say of themselves goes to files in the folder.
    pub fn start(folder: &Path) -> Result<Self> {
        let server = std::path::absolute(part("temporal/bin/temporal"))?;
        ensure!(server.exists(), "the part `temporal` is missing: `cargo xtask parts` installs it");
        let program = program()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let answers = Command::new(server)
            .args([
                "server",
                "start-dev",
                "--headless",
                "--ip",
                "127.0.0.1",
                "--log-level",
                "error",
                "--port",
            ])
            .arg(address.port().to_string())
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("temporal.log"))?)
            .spawn()?;
        let answers = Killed(answers);
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "Temporal does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut asks = Command::new(program)
            .env("TEMPORAL_ADDRESS", address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("peer.log"))?)
            .spawn()?;
        let input = asks.stdin.take().context("an input")?;
        let output = BufReader::new(asks.stdout.take().context("an output")?);
        let mut peer = Self { asks: Killed(asks), input, output, _answers: answers };
        // The first gates pay for what is made once.
        peer.measure(1, 1)?;
        Ok(peer)
    }

    /// Lets so many clients ask and decide without a pause, for so many seconds.
    pub fn measure(&mut self, clients: usize, seconds: u64) -> Result<Gates> {
        writeln!(self.input, "{clients} {seconds}")?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            let ended = self.asks.0.wait()?;
            anyhow::bail!("the peer ended with {ended}");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// Returns the program, which belongs to another workspace and is built beside this one.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("examples").join("peer");
    ensure!(
        program.exists(),
        "the peer is not built: `cargo build --release --manifest-path crates/gantral-temporal/Cargo.toml --example peer --target-dir target`"
    );
    Ok(program)
}
