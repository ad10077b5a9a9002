//! A real OpenBao in development mode: in memory, unsealed.

use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the tokens of a runner may do, and no more.
const POLICY: &str = r#"path "+/data/runners/*" { capabilities = ["read"] }
path "old/runners/*" { capabilities = ["read"] }"#;

pub struct Bao {
    child: Child,
    pub folder: tempfile::TempDir,
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
        if tls {
            std::fs::create_dir(folder.path().join("tls")).unwrap();
            command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={}", folder.path().join("tls").display()));
        } else {
            command.arg("-dev");
        }
        let child = command.spawn().unwrap();
        let http = builder(&folder.path().join("tls/vault-ca.pem"), tls).await;
        let scheme = if tls { "https" } else { "http" };
        let bao = Self { child, folder, url: format!("{scheme}://127.0.0.1:{port}"), http };
        let begun = Instant::now();
        while bao.http.get(format!("{}/v1/sys/health", bao.url)).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "OpenBao does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bao
    }

    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("tls/vault-ca.pem")
    }

    /// Asks as its administrator, in a namespace or in none.
    pub async fn ask(&self, verb: &str, namespace: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/v1/{path}", self.url);
        let verb = reqwest::Method::from_bytes(verb.as_bytes()).unwrap();
        let request = self.http.request(verb, url).header("x-vault-token", "root");
        let request = request.header("x-vault-namespace", namespace);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", "", path, body).await
    }

    /// Lets a runner log in by AppRole, and returns the identifier of its role and the file with its secret.
    pub async fn approle(&self, namespace: &str) -> (String, PathBuf) {
        self.ask("POST", namespace, "sys/policies/acl/runner", json!({"policy": POLICY})).await;
        self.ask("POST", namespace, "sys/auth/approle", json!({"type": "approle"})).await;
        let role = json!({"token_policies": "runner", "token_ttl": "5m"});
        self.ask("POST", namespace, "auth/approle/role/runner", role).await;
        let id = self.ask("GET", namespace, "auth/approle/role/runner/role-id", Value::Null).await;
        let secret = self.ask("POST", namespace, "auth/approle/role/runner/secret-id", json!({})).await;
        let file = self.write("secret-id", secret["data"]["secret_id"].as_str().unwrap());
        (id["data"]["role_id"].as_str().unwrap().to_owned(), file)
    }

    /// Writes a file that only its owner may read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::io::Write as _;
        let path = self.folder.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "{text}").unwrap();
        path
    }

    /// How many tokens there are.
    pub async fn tokens(&self) -> usize {
        let listed = self.ask("LIST", "", "auth/token/accessors", Value::Null).await;
        listed["data"]["keys"].as_array().unwrap().len()
    }

    /// Ends the process.
    pub fn stop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn builder(ca_file: &Path, tls: bool) -> reqwest::Client {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy();
    if !tls {
        return builder.tls_certs_only([]).build().unwrap();
    }
    let begun = Instant::now();
    loop {
        let pem = std::fs::read(ca_file).unwrap_or_default();
        if let Ok(found) = reqwest::Certificate::from_pem_bundle(&pem)
            && !found.is_empty()
        {
            return builder.tls_certs_only(found).build().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "OpenBao writes no certificate");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
