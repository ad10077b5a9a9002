//! A real OpenBao in development mode: in memory, unsealed, with a key.

use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gantral_keys::OpenBaoConfig;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// What the token of a signer may do, and no more.
const POLICY: &str = r#"
path "transit/keys/gantral-issuer" { capabilities = ["read"] }
path "transit/sign/gantral-issuer" { capabilities = ["update"] }
"#;

pub struct Bao {
    child: Child,
    pub folder: tempfile::TempDir,
    pub url: String,
    http: reqwest::Client,
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Bao {
    /// Starts a server with an Ed25519 key `gantral-issuer`, and a token in `token` that may sign with it.
    pub async fn start() -> Self {
        Self::start_with(false).await
    }

    /// As `start`, over TLS; the authority is in `tls/ca.pem`.
    pub async fn start_tls() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(tls: bool) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.parts/python/bin/bao");
        assert!(program.exists(), "the part `python` is missing: run `cargo xtask parts`");
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command
            .args(["server", "-dev-root-token-id=root", "-dev-no-store-token", "-log-level=error"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let tls_folder = folder.path().join("tls");
        if tls {
            std::fs::create_dir(&tls_folder).unwrap();
            command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={}", tls_folder.display()));
        } else {
            command.arg("-dev");
        }
        let child = command.spawn().unwrap();
        let scheme = if tls { "https" } else { "http" };
        // The certificate of this stranger is what one test is about; setting up is not.
        let http = builder(&folder, tls).await;
        let bao = Self { child, folder, url: format!("{scheme}://127.0.0.1:{port}"), http };
        bao.wait().await;
        bao.prepare().await;
        bao
    }

    async fn wait(&self) {
        let begun = Instant::now();
        while self.http.get(format!("{}/v1/sys/health", self.url)).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "OpenBao does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn prepare(&self) {
        self.post("sys/mounts/transit", json!({"type": "transit"})).await;
        self.post("transit/keys/gantral-issuer", json!({"type": "ed25519"})).await;
        self.post("sys/policies/acl/gantral-issuer", json!({"policy": POLICY})).await;
        let made = self.post("auth/token/create", json!({"policies": ["gantral-issuer"]})).await;
        self.write_token("token", made["auth"]["client_token"].as_str().unwrap());
    }

    /// Writes a token file, mode 0600.
    pub fn write_token(&self, name: &str, token: &str) -> PathBuf {
        use std::io::Write as _;
        let path = self.folder.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "{token}").unwrap();
        path
    }

    /// Asks as its administrator.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/v1/{path}", self.url)).header("x-vault-token", "root");
        let answer = request.json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The configuration of a signer.
    pub fn config(&self) -> OpenBaoConfig {
        OpenBaoConfig {
            url: self.url.clone(),
            mount: "transit".to_owned(),
            key: "gantral-issuer".to_owned(),
            token_file: self.folder.path().join("token"),
            ca_file: None,
            timeout: Duration::from_secs(5),
        }
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

    /// Tells whether every thread is stopped, which is the `T` behind its name.
    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads
            .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok())
            .all(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
    }

    /// Ends the process.
    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The authority of the server's certificate.
    pub fn ca_file(&self) -> PathBuf {
        ca_file(&self.folder)
    }
}

fn ca_file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("tls/vault-ca.pem")
}

async fn builder(folder: &tempfile::TempDir, tls: bool) -> reqwest::Client {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy();
    if !tls {
        return builder.tls_certs_only([]).build().unwrap();
    }
    let begun = Instant::now();
    loop {
        let pem = std::fs::read(ca_file(folder)).unwrap_or_default();
        if let Ok(found) = reqwest::Certificate::from_pem_bundle(&pem)
            && !found.is_empty()
        {
            return builder.tls_certs_only(found).build().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "OpenBao writes no certificate");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
