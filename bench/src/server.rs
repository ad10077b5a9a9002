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
use gantral_server::{Clock as _, SystemClock, listen, serve};
use tokio::sync::watch;

/// The token key of the development issuer, in the data folder.
const DEV_KEY: &str = "dev-issuer.pem";

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
        Self::beside(data, None)
    }

    /// Starts this program as a server whose workflows may choose the OPA at an address, as `sidecar`.
    pub fn beside(data: &Path, opa: Option<&str>) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve".as_ref(), data.as_os_str()])
            .args(opa)
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

/// The whole life of the server process: prints its address, ends when its input closes.
pub fn run(data: PathBuf, opa: Option<&str>) -> Result<()> {
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
            store: None,
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
