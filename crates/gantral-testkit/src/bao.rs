//! A real OpenBao in development mode: in memory, unsealed, gone with the test.
#![expect(clippy::unwrap_used, reason = "what goes wrong with the server fails the test that needs it")]

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{part, process};

/// The token of its administrator.
const ROOT: &str = "root";
/// How long the server may take to answer.
const START_WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A running server, stopped when dropped.
pub struct Bao {
    child: Child,
    /// What belongs to it, and files that tests write beside that.
    pub folder: TempDir,
    /// Where it answers.
    pub url: String,
    http: reqwest::Client,
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Bao {
    /// Starts a server; over TLS its authority is what `ca_file` returns.
    pub async fn start(tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(part("python/bin/bao"));
        command
            .args(["server", "-dev-no-store-token", "-log-level=error"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if tls {
            let certificates = folder.path().join("tls");
            std::fs::create_dir(&certificates).unwrap();
            command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={}", certificates.display()));
        } else {
            command.arg("-dev");
        }
        let child = command.spawn().unwrap();
        let http = client(tls.then(|| authority(folder.path()))).await;
        let scheme = if tls { "https" } else { "http" };
        let bao = Self { child, folder, url: format!("{scheme}://127.0.0.1:{port}"), http };
        let began = Instant::now();
        while bao.http.get(format!("{}/v1/sys/health", bao.url)).send().await.is_err() {
            assert!(began.elapsed() < START_WAIT, "OpenBao does not answer");
            tokio::time::sleep(LOOK).await;
        }
        bao
    }

    /// Returns the authority of the server's certificate, where it has one.
    pub fn ca_file(&self) -> PathBuf {
        authority(self.folder.path())
    }

    /// Asks as its administrator, in a namespace or in none, and returns its answer.
    pub async fn ask(&self, verb: &str, namespace: &str, path: &str, body: Value) -> Value {
        let verb = reqwest::Method::from_bytes(verb.as_bytes()).unwrap();
        let request = self.http.request(verb, format!("{}/v1/{path}", self.url));
        let request = request.header("x-vault-token", ROOT).header("x-vault-namespace", namespace);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Posts as its administrator, and returns its answer.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", "", path, body).await
    }

    /// Makes an Ed25519 key, and a token that may sign with it and nothing else, in the file that is returned.
    pub async fn signing_key(&self, key: &str) -> PathBuf {
        let policy = format!(
            "path \"transit/keys/{key}\" {{ capabilities = [\"read\"] }}\n\
             path \"transit/sign/{key}\" {{ capabilities = [\"update\"] }}\n"
        );
        self.post("sys/mounts/transit", json!({"type": "transit"})).await;
        self.post(&format!("transit/keys/{key}"), json!({"type": "ed25519"})).await;
        self.post(&format!("sys/policies/acl/{key}"), json!({"policy": policy})).await;
        let made = self.post("auth/token/create", json!({"policies": [key]})).await;
        self.write("token", made.pointer("/auth/client_token").and_then(Value::as_str).unwrap())
    }

    /// Writes a file that only its owner may read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "{text}").unwrap();
        path
    }

    /// Freezes the process, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        // A thread that is at work may go on for a moment, and answer.
        while frozen && !self.stands_still() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tells whether every thread is stopped.
    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        // One that is gone meanwhile does nothing any more.
        threads
            .filter_map(|thread| process::state(&thread.ok()?.path().join("stat")))
            .all(|state| state == 'T')
    }

    /// Ends the process.
    pub fn stop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn authority(folder: &Path) -> PathBuf {
    folder.join("tls/vault-ca.pem")
}

/// Makes what asks it, once its authority is there.
async fn client(ca_file: Option<PathBuf>) -> reqwest::Client {
    // The first one that is installed stays, and it is the same.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy();
    let Some(ca_file) = ca_file else {
        return builder.tls_certs_only([]).build().unwrap();
    };
    let began = Instant::now();
    loop {
        let pem = std::fs::read(&ca_file).unwrap_or_default();
        if let Ok(found) = reqwest::Certificate::from_pem_bundle(&pem)
            && !found.is_empty()
        {
            return builder.tls_certs_only(found).build().unwrap();
        }
        assert!(began.elapsed() < START_WAIT, "OpenBao writes no certificate");
        tokio::time::sleep(LOOK).await;
    }
}
