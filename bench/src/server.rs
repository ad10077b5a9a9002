//! A real server in a process of its own: development issuer, SQLite file, policy workers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use gantral_core::ids::TenantId;
use gantral_core::time::UnixMillis;
use gantral_identity::{DevDirectory, DevIssuer, IdentityConfig, TokenKey};
use gantral_policy::WorkerCommand;
use gantral_server::evaluators::PolicySettings;
use gantral_server::settings::Setup;
use gantral_server::store::StoreSettings;
use gantral_server::{Clock as _, SystemClock, listen, serve};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The token key of the development issuer, in the data folder.
const DEV_KEY: &str = "dev-issuer.pem";

/// What a server has beside it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Beside {
    /// The address of an OPA, which workflows may choose as `sidecar`.
    pub opa: Option<String>,
    /// The address of the database of the ledger; a file in the data folder where absent.
    pub store: Option<String>,
}

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    pub address: SocketAddr,
    issuer: DevIssuer,
}

impl Server {
    /// Starts this program as a server over a data folder.
    pub fn start(data: &Path) -> Result<Self> {
        Self::with(data, &Beside::default())
    }

    /// Starts this program as a server over a data folder, with something beside it.
    pub fn with(data: &Path, beside: &Beside) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve".as_ref(), data.as_os_str()])
            .arg(serde_json::to_string(beside)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("the server has an output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("the server said `{}`", line.trim()))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, address, issuer: issuer(data)? })
    }

    /// Returns how many bytes of memory the server and its policy workers hold.
    pub fn memory(&self) -> Result<u64> {
        memory(self.child.id())
    }

    /// Returns a token of a person of the development directory.
    pub fn person(&self, name: &str) -> Result<String> {
        Ok(self.issuer.human_token(name, now())?.expose().to_owned())
    }

    /// Returns a token of a client of the development directory.
    pub fn client(&self, name: &str) -> Result<String> {
        Ok(self.issuer.client_token(name, now())?.expose().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closing its input tells the server to stop.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn now() -> UnixMillis {
    SystemClock.now()
}

fn issuer(data: &Path) -> Result<DevIssuer> {
    Ok(DevIssuer::new(TokenKey::load_or_generate(&data.join(DEV_KEY))?, DevDirectory::standard()))
}

/// Gives a data folder the keys and the issuer of another one, whose server upon a database has started: servers upon one database sign with the same.
pub fn share_keys(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            share_keys(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Returns how many bytes of memory a process and those that it started hold together.
fn memory(process: u32) -> Result<u64> {
    let mut held = 0;
    for entry in std::fs::read_dir("/proc")? {
        let Ok(status) = std::fs::read_to_string(entry?.path().join("status")) else { continue };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        let process = u64::from(process);
        if field("Pid:") == Some(process) || field("PPid:") == Some(process) {
            held += field("VmRSS:").unwrap_or(0) << 10;
        }
    }
    Ok(held)
}

/// The whole life of the server process: prints its address, ends when its input closes.
pub fn run(data: PathBuf, beside: &str) -> Result<()> {
    let Beside { opa, store } = serde_json::from_str(beside)?;
    let store = store.map(|url| StoreSettings { url, password: None, connections: None });
    let mut policy = PolicySettings::default();
    if let Some(opa) = opa {
        policy = serde_json::from_value(serde_json::json!({
            "evaluators": { "sidecar": { "kind": "opa", "url": opa, "deadline": "5s" } }
        }))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move {
        let issuer = issuer(&data)?;
        let identity = IdentityConfig { issuers: vec![issuer.config()] };
        let listening = listen(SocketAddr::from(([127, 0, 0, 1], 0)), None, true).await?;
        let tenants = [TenantId::parse("dev").map_err(|error| anyhow!("{error}"))?];
        let setup = Setup {
            store: store.as_ref(),
            archive: None,
            data: &data,
            tenants: &tenants,
            identity: &identity,
            policy: &policy,
            notifications: &gantral_server::notifications::NotificationSettings::default(),
            four_eyes: &gantral_server::four_eyes::FourEyesSettings::default(),
            passkeys: None,
            limits: &gantral_server::tenant_limits::LimitSettings::default(),
            retention: &gantral_server::retention::RetentionSettings::default(),
            orchestrator: Default::default(),
            telemetry: &gantral_server::telemetry::TelemetrySettings::default(),
            delegations: &gantral_server::delegations::DelegationSettings::default(),
            development: Some(Arc::new(issuer)),
            public_url: listening.url(),
            worker: WorkerCommand::current_program("policy-worker")?,
            public_logs: false,
            witnesses: &[],
        };
        let app = setup.app().await?;
        let (stop, stopped) = watch::channel(false);
        announce(listening.address())?;
        let serving = tokio::spawn(serve(app, listening, stopped));
        tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await??;
        stop.send(true)?;
        Ok(serving.await??)
    })
}

fn announce(address: SocketAddr) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{address}")?;
    Ok(stdout.flush()?)
}
