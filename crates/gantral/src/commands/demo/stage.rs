//! What the demo plays on: a server, a runner and identities, all in one temporary folder that vanishes with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_core::ids::{Name, TenantId};
use gantral_edge::child::Launcher;
use gantral_edge::runner::{Observer, Pinned, Runner, RunnerConfig, RunnerError, RunnerEvent};
use gantral_evidence::container::Scope;
use gantral_evidence::trust::{Require, Trust};
use gantral_identity::{DEV_TENANT, DevDirectory, DevIssuer, TokenKey};
use gantral_server::settings::Orchestrator;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::commands::policy::worker;
use crate::connection::DevFolder;
use crate::dev_tokens::write_all;
use crate::failure::Failure;
use crate::local_server::LocalServer;

/// The queue of the runner.
pub const QUEUE: &str = "default";
/// How long anything of the demo may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that runs.
pub struct Stage {
    folder: TempDir,
    dev: DevFolder,
    server: LocalServer,
    trust: Trust,
    events: mpsc::UnboundedReceiver<RunnerEvent>,
    stop_runner: oneshot::Sender<()>,
    runner: JoinHandle<Result<(), RunnerError>>,
}

impl Stage {
    /// Starts everything.
    pub async fn start() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("gantral-demo-").tempdir();
        let folder = folder.map_err(|error| Failure::new(format!("no temporary folder: {error}")))?;
        let dev = DevFolder::new(folder.path());
        let key = TokenKey::generate().map_err(|error| Failure::new(error.to_string()))?;
        let issuer = Arc::new(DevIssuer::new(key, DevDirectory::standard()));
        write_all(&issuer, &dev)?;
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server =
            LocalServer::start(&dev.data(), (None, Orchestrator::Embedded), anywhere, &issuer, worker()?)
                .await?;
        let trust = pinned(&client_of(&dev, server.url(), "dave")?).await?;
        let (tell, events) = mpsc::unbounded_channel();
        let (stop_runner, stopped) = oneshot::channel::<()>();
        let runner = runner(&dev, server.url(), trust.clone(), tell)?;
        let runner = tokio::spawn(runner.run(async move {
            // Told to stop, or nobody is left who could tell.
            let _ = stopped.await;
        }));
        Ok(Self { folder, dev, server, trust, events, stop_runner, runner })
    }

    /// Returns the base URL of the server.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Returns what a relying party pins: the key, and that the whole story must be there.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Returns a path in the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a client that acts as somebody.
    pub fn client(&self, name: &str) -> Result<Client, Failure> {
        client_of(&self.dev, self.server.url(), name)
    }

    /// Waits for the start of the next process; returns its number and its attempt.
    pub async fn process_started(&mut self) -> Result<(u32, u32), Failure> {
        loop {
            if let RunnerEvent::Started { attempt, process: Some(process), .. } = self.next().await? {
                return Ok((process, attempt));
            }
        }
    }

    /// Waits for the end of the process that runs; returns its exit status.
    pub async fn process_ended(&mut self) -> Result<i32, Failure> {
        loop {
            if let RunnerEvent::Ended { exit_status, .. } = self.next().await? {
                return Ok(exit_status);
            }
        }
    }

    async fn next(&mut self) -> Result<RunnerEvent, Failure> {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        match event.map_err(|_| Failure::new("the runner did nothing for a long time"))? {
            None => Err(Failure::new("the runner has ended")),
            Some(RunnerEvent::Distrusted { why, .. } | RunnerEvent::NotLaunched { why, .. }) => {
                Err(Failure::new(format!("the runner launched nothing: {why}")))
            }
            Some(RunnerEvent::Lost { why, .. }) => {
                Err(Failure::new(format!("the runner lost its lease: {why}")))
            }
            Some(event) => Ok(event),
        }
    }

    /// Ends everything and removes the folder.
    pub async fn close(self) -> Result<(), Failure> {
        // A runner that has ended needs no telling.
        let _ = self.stop_runner.send(());
        let ended = self.runner.await.map_err(|error| Failure::new(format!("the runner broke: {error}")))?;
        ended.map_err(|error| Failure::new(error.to_string()))?;
        self.server.stop().await;
        self.folder
            .close()
            .map_err(|error| Failure::new(format!("the temporary folder stays behind: {error}")))
    }
}

fn client_of(dev: &DevFolder, url: &str, name: &str) -> Result<Client, Failure> {
    Ok(Client::new(ClientConfig::new(url, TokenSource::File(dev.token(name))))?)
}

/// Pins the key of the server: here server and relying party are one person, so asking the server will do.
async fn pinned(client: &Client) -> Result<Trust, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("the trust hint is unusable: {error}"));
    let hint = client.keys().await?.trust_hint;
    let mut trust = Trust::parse(hint.as_str().as_bytes()).map_err(|error| wrong(&error))?;
    trust.require = Some(Require { scope: Scope::Complete, snapshots: true, ..Require::signed() });
    Ok(trust)
}

fn runner(
    dev: &DevFolder,
    url: &str,
    trust: Trust,
    tell: mpsc::UnboundedSender<RunnerEvent>,
) -> Result<Runner, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let queue = Name::parse(QUEUE).map_err(|error| failed(&error))?;
    let tenant = TenantId::parse(DEV_TENANT).map_err(|error| failed(&error))?;
    let launcher = Launcher::this_program().map_err(|error| failed(&error))?;
    let work_dir = dev.path().join("runner");
    let mut config = RunnerConfig::new(vec![queue], Pinned { trust, tenant }, work_dir, launcher);
    // Whoever listens may have left already.
    config.observer = Observer::new(move |event| drop(tell.send(event.clone())));
    Runner::new(client_of(dev, url, "dev-runner")?, config).map_err(|error| failed(&error))
}
