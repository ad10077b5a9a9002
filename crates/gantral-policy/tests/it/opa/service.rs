//! A real OPA, started by a test with a bundle of ours, and things that stand between it and us.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gantral_core::policy::{EvalFailure, Evaluation, PolicyVersionId};
use gantral_engine::policy_point::{Answered, PolicyPoint};
use gantral_policy::bundle::Bundle;
use gantral_policy::opa::{OpaConfig, OpaPolicyPoint};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::PATIENT;

/// The file of the bundle, and so its name in OPA.
pub const BUNDLE: &str = "bundle.tar.gz";

/// One OPA process. It is always at the same port, also after it was stopped and started again.
pub struct Opa {
    child: Option<Child>,
    pub folder: tempfile::TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl Drop for Opa {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Opa {
    /// Starts one that serves this bundle as it is published.
    pub fn start(bundle: &Bundle) -> Self {
        let mut opa = Self::stopped(bundle, &["--bundle", BUNDLE]);
        opa.go();
        opa.wait();
        opa
    }

    /// Prepares one with these arguments; nothing runs yet.
    pub fn stopped(bundle: &Bundle, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let opa = Self { child: None, folder: tempfile::tempdir().unwrap(), port: free_port(), arguments };
        opa.publish(bundle);
        opa
    }

    /// Writes the bundle that is served from the next start on.
    pub fn publish(&self, bundle: &Bundle) {
        let archive = bundle.as_published().unwrap().to_archive().unwrap();
        std::fs::write(self.folder.path().join(BUNDLE), archive).unwrap();
    }

    /// Starts the process.
    pub fn go(&mut self) {
        let program = program();
        assert!(program.exists(), "the part `opa` is missing\nhint: `cargo xtask parts`");
        let child = Command::new(program)
            .args(["run", "--server", "--disable-telemetry", "--log-level=error"])
            .arg(format!("--addr=127.0.0.1:{}", self.port))
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Waits until it listens, which it does after it has read its bundles.
    pub fn wait(&self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "OPA does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the process at once.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Freezes the process, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn config(&self) -> OpaConfig {
        config(self.port)
    }

    pub fn point(&self) -> OpaPolicyPoint {
        OpaPolicyPoint::new(&self.config()).unwrap()
    }
}

pub fn program() -> PathBuf {
    let parts = std::env::var_os("GANTRAL_PARTS").map(PathBuf::from);
    parts.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.parts")).join("opa/opa")
}

/// Returns a port at which nothing listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks the OPA at this port, plainly.
pub fn config(port: u16) -> OpaConfig {
    OpaConfig::new(format!("http://127.0.0.1:{port}"))
}

/// Evaluates, with time enough on a busy machine.
pub async fn ask(
    point: &OpaPolicyPoint,
    version: PolicyVersionId,
    input: &str,
) -> Result<Evaluation, EvalFailure> {
    answered(point, version, input, PATIENT).await.result
}

pub async fn answered(
    point: &OpaPolicyPoint,
    version: PolicyVersionId,
    input: &str,
    limit: Duration,
) -> Answered {
    let begun = Instant::now();
    let answered = point.evaluate(version, input.as_bytes(), limit).await;
    let slack = Duration::from_secs(2);
    assert!(begun.elapsed() < limit + slack, "took {:?} of {limit:?}", begun.elapsed());
    answered
}

/// Serves each connection by `serve`, in a thread of its own, until the test ends. Returns the port.
pub fn listen(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let serve = std::sync::Arc::clone(&serve);
            std::thread::spawn(move || serve(number, stream.unwrap()));
        }
    });
    port
}

/// Reads one request, its body included. Empty when the client went away.
pub fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut chunk = [0_u8; 4096];
    loop {
        let Ok(count) = stream.read(&mut chunk) else { return String::new() };
        if count == 0 {
            return String::new();
        }
        text.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
    }
}

/// Writes a whole answer, as long as the client listens.
pub fn write_answer(stream: &mut TcpStream, status: u16, body: &str) {
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes());
}

/// Stands before an OPA and changes each request by `change`, which keeps its length.
pub fn tampering(port: u16, change: fn(&str) -> String) -> u16 {
    listen(move |_, mut client| {
        let request = read_request(&mut client);
        if request.is_empty() {
            return;
        }
        let mut opa = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let changed = change(&request).replace("\r\nhost:", "\r\nconnection: close\r\nhost:");
        opa.write_all(changed.as_bytes()).unwrap();
        std::io::copy(&mut opa, &mut client).unwrap();
        let _ = client.shutdown(Shutdown::Both);
    })
}
