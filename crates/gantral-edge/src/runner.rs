//! The runner: claims attempts from queues, verifies them, launches a fresh process for each, and reports its end.
//!
//! The order is fixed: nothing is launched before the chain was verified against the pinned key, and a process never
//! outlives the lease under which it was launched. Source: `spec/runner.md`.

mod attempt;
mod config;
mod desk;
mod event;
mod executor;
mod files;
mod governed;
mod lease;
mod mask;
mod openbao;
mod output;
mod places;
mod proof;
mod secrets;
mod settings;
mod verify;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gantral_api::client::{Client, ClientError};
use gantral_api::problem::Code;
use gantral_api::wire::{CallerKind, Claim, Me, PresentJournal, Task};
use gantral_core::ids::{ActorId, Name};
use gantral_core::time::DurationMs;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use config::{Pinned, RunnerConfig};
pub use event::{Observer, RunnerEvent};
pub use executor::{
    ClusterError, ContainerConfig, EngineError, EngineKind, ExecutorConfig, ExecutorError, KubernetesConfig,
    Pull,
};
pub use files::FilesError;
pub use governed::{Governed, Reference, ReferenceError};
pub use openbao::{Login, OPENBAO_TIMEOUT, OpenBao, OpenBaoConfig, OpenBaoError, Place};
pub use proof::{Asks, Unproved, prove};
pub use secrets::{SECRET_BYTES_MAX, SecretError};
pub use settings::{
    Bytes, Cpus, EngineName, ExecutorSettings, LimitSettings, LoginSettings, OpenBaoSettings, PullWhen,
    QueueSettings, RunnerSettings, SETTINGS_BYTES_MAX, SecretSettings, SettingsError,
};
pub use verify::{Mismatch, Verified, verify};

use crate::journal::{Journal, JournalError};
use executor::Executor;
use files::WorkDir;
use governed::Vault;
use places::Places;

/// How long one claim of a runner with a single queue is held open by the server.
const CLAIM_WAIT: DurationMs = DurationMs::from_secs(30);
/// How long one claim is held open when several queues take turns.
const CLAIM_WAIT_SHARED: DurationMs = DurationMs::from_secs(2);
/// The pause after the first failed call; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// The longest pause between failed calls.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Why a runner does not start, or stops by itself. No process of it runs any more.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// No queue is named.
    #[error("name at least one queue")]
    NoQueue,
    /// The token is not one of a runner.
    #[error("the token belongs to a {kind}, and only a runner may claim work")]
    NotARunner {
        /// What it belongs to.
        kind: &'static str,
    },
    /// The token is of another tenant than the pinned one.
    #[error("the token belongs to tenant `{found}`, and the runner is pinned to `{pinned}`")]
    OtherTenant {
        /// The tenant of the token.
        found: String,
        /// The pinned tenant.
        pinned: String,
    },
    /// Nothing can be launched as configured.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// OpenBao cannot be used as configured.
    #[error(transparent)]
    OpenBao(#[from] OpenBaoError),
    /// A secret is in OpenBao, and none is configured.
    #[error("the secret `{secret}` is in OpenBao, and none is configured")]
    NoOpenBao {
        /// The secret.
        secret: String,
    },
    /// The work or log directory cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The server does not hold what this runner's journal holds.
    #[error("the server has forgotten what it told this runner: {0}")]
    Forgotten(ClientError),
    /// The server refuses the runner itself.
    #[error("the server refuses this runner: {0}")]
    Refused(ClientError),
}

/// A runner that is ready to work.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
}

/// What all attempts of one runner share.
#[derive(Debug)]
struct Shared {
    client: Client,
    config: RunnerConfig,
    work: WorkDir,
    executor: Executor,
    vault: Arc<Vault>,
    journal: Journal,
}

/// How far a runner has been asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    /// Not at all.
    No,
    /// Nothing new is claimed.
    Drain,
    /// What still runs is ended.
    Now,
}

impl Runner {
    /// Prepares a runner: takes the work directory for itself and removes what an earlier run left in it.
    ///
    /// # Errors
    /// If no queue is named, or a directory cannot be used; the server is not asked yet.
    pub fn new(client: Client, config: RunnerConfig) -> Result<Self, RunnerError> {
        if config.queues.is_empty() {
            return Err(RunnerError::NoQueue);
        }
        let work = WorkDir::take(&config.work_dir, &config.log_dir)?;
        work.put_trust(&config.pinned.trust)?;
        let executor = Executor::open(&config, work.folder())?;
        let bao = config.openbao.as_ref().map(OpenBao::new).transpose()?.map(Arc::new);
        if let Some(lost) = config.secrets.iter().find(|secret| secret.from.is_bao() && bao.is_none()) {
            return Err(RunnerError::NoOpenBao { secret: lost.name.to_string() });
        }
        let vault = Arc::new(Vault { secrets: config.secrets.clone(), bao });
        // As with the work directory: what a command is told must not depend on its own working directory.
        let journal = std::path::absolute(config.journal.path());
        let journal = Journal::new(journal.unwrap_or_else(|_| config.journal.path().to_owned()));
        Ok(Self { shared: Arc::new(Shared { client, config, work, executor, vault, journal }) })
    }

    /// Works until `shutdown` is ready: then claims nothing more, lets what runs come to its end for the configured
    /// time, ends what still runs then, and returns.
    ///
    /// A server that cannot be reached is waited for.
    ///
    /// # Errors
    /// If the server refuses the runner itself; sending the same token again is pointless.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), RunnerError> {
        self.run_until(shutdown, core::future::pending()).await
    }

    /// As [`Self::run`]; once `now` is ready, what still runs is ended without waiting for more of the configured time.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_until(
        self,
        shutdown: impl Future<Output = ()> + Send,
        now: impl Future<Output = ()> + Send,
    ) -> Result<(), RunnerError> {
        let (stop, stopped) = watch::channel(Stop::No);
        let mut attempts = JoinSet::new();
        let result = {
            let claims = self.claims(&stopped, &mut attempts);
            tokio::pin!(claims, shutdown);
            tokio::select! {
                // The shutdown first: whoever asks for it must not wait for another claim.
                biased;
                () = shutdown => Ok(()),
                result = &mut claims => result,
            }
        };
        stop.send_replace(Stop::Drain);
        let drain = self.shared.config.drain;
        let drained = async { while attempts.join_next().await.is_some() {} };
        let is_drained = tokio::select! {
            biased;
            () = drained => true,
            () = now => false,
            () = tokio::time::sleep(drain) => false,
        };
        if !is_drained {
            stop.send_replace(Stop::Now);
            while attempts.join_next().await.is_some() {}
        }
        result
    }

    async fn claims(
        &self,
        stopped: &watch::Receiver<Stop>,
        attempts: &mut JoinSet<()>,
    ) -> Result<(), RunnerError> {
        self.shared.executor.ready().await?;
        let me = self.introduce().await?;
        self.present_journal().await?;
        let places = Places::new(self.shared.config.concurrency, &self.shared.config.per_queue);
        let mut pause = PAUSE_FIRST;
        loop {
            let mut all_full = true;
            for queue in &self.shared.config.queues {
                let Some(place) = places.take(queue).await else { continue };
                all_full = false;
                // What has ended is forgotten; a panic of one attempt is reported by the runtime and ends that attempt.
                while attempts.try_join_next().is_some() {}
                match self.claim(queue).await {
                    Ok(None) => pause = PAUSE_FIRST,
                    Ok(Some(task)) => {
                        pause = PAUSE_FIRST;
                        let (shared, me, stopped) = (Arc::clone(&self.shared), me.clone(), stopped.clone());
                        attempts.spawn(async move {
                            attempt::run(&shared, &me, *task, stopped).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%queue, %error, "no work can be claimed");
                        drop(place);
                        wait(&mut pause).await;
                    }
                }
            }
            if all_full {
                // A queue is full only while attempts run.
                attempts.join_next().await;
            }
        }
    }

    async fn claim(&self, queue: &Name) -> Result<Option<Box<Task>>, ClientError> {
        let wait = if self.shared.config.queues.len() == 1 { CLAIM_WAIT } else { CLAIM_WAIT_SHARED };
        let claim = Claim { queue: queue.clone().into() };
        self.shared.client.claim(&claim, wait.into()).await.map(|task| task.map(Box::new))
    }

    /// Asks the server whom it sees, until it answers.
    async fn introduce(&self) -> Result<ActorId, RunnerError> {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.shared.client.me().await {
                Ok(me) => return self.accept(me),
                Err(error @ ClientError::Problem(_)) if !is_passing(&error) => {
                    return Err(RunnerError::Refused(error));
                }
                Err(error) => {
                    tracing::warn!(%error, "the server does not answer yet");
                    wait(&mut pause).await;
                }
            }
        }
    }

    /// Shows the server the newest receipts, until it answers. One that lacks any of them was set back to an old state:
    /// nothing is claimed from it.
    async fn present_journal(&self) -> Result<(), RunnerError> {
        let journal = self.shared.journal.clone();
        // A panic there would be a defect; then nothing is claimed either.
        let envelopes = tokio::task::spawn_blocking(move || journal.newest()).await;
        let envelopes = envelopes.map_err(|error| JournalError {
            path: self.shared.journal.path().to_owned(),
            error: std::io::Error::other(error),
        })??;
        if envelopes.is_empty() {
            return Ok(());
        }
        let shown = PresentJournal { envelopes };
        let mut pause = PAUSE_FIRST;
        loop {
            match self.shared.client.present_journal(&shown).await {
                Ok(_) => return Ok(()),
                Err(error) if error.problem().is_some_and(|problem| problem.code() == Code::ReadOnly) => {
                    return Err(RunnerError::Forgotten(error));
                }
                Err(error @ ClientError::Problem(_)) if !is_passing(&error) => {
                    return Err(RunnerError::Refused(error));
                }
                Err(error) => {
                    tracing::warn!(%error, "the server does not answer yet");
                    wait(&mut pause).await;
                }
            }
        }
    }

    fn accept(&self, me: Me) -> Result<ActorId, RunnerError> {
        if me.kind != CallerKind::Runner {
            return Err(RunnerError::NotARunner { kind: me.kind.as_str() });
        }
        let pinned = &self.shared.config.pinned.tenant;
        if *me.tenant != *pinned {
            let (found, pinned) = (me.tenant.to_string(), pinned.to_string());
            return Err(RunnerError::OtherTenant { found, pinned });
        }
        Ok(me.id.into_inner())
    }
}

/// Tells whether the same call may well succeed a little later.
fn is_passing(error: &ClientError) -> bool {
    use gantral_api::problem::{Fault, Retry};
    match error.problem() {
        Some(problem) => {
            let code = problem.code();
            matches!(code.fault(), Fault::Environment | Fault::Us) || code.retry() == Retry::SameKey
        }
        None => true,
    }
}

async fn wait(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = pause.saturating_mul(2).min(PAUSE_MAX);
}
