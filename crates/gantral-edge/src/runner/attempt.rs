//! One attempt, from its claim to its end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use gantral_api::client::{ClientError, TokenSource};
use gantral_api::wire::{Attach, EndAttempt, HeartbeatAnswer, IdempotencyKey, Moved, Task};
use gantral_core::ids::{ActorId, AttemptNo, GrantId, InstanceId, Name, WorkflowId};
use gantral_core::workflow::Workflow;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::desk::{Desk, Open, bind};
use super::event::RunnerEvent;
use super::files::{AttemptDir, FilesError, open_log};
use super::lease::{Lease, LeaseError, is_over};
use super::mask::Mask;
use super::output::{Output, SharedMask};
use super::proof::Asks;
use super::secrets::{SecretError, inherited, resolve};
use super::verify::{Mismatch, Verified, check_grant, verify};
use super::{PAUSE_FIRST, Shared, Stop, wait};
use crate::chain::ChainError;
use crate::child::{CgroupError, Ended, LaunchError, Launched, Plan, Tree};
use crate::secret::SOCKET_VARIABLE;

/// The exit status that is reported when nothing was launched because this runner could not prepare it.
const EXIT_NOT_PREPARED: i32 = 125;
/// The exit status that is reported when the command exists and cannot be run.
const EXIT_NOT_RUN: i32 = 126;
/// The exit status that is reported when there is no such command.
const EXIT_NOT_FOUND: i32 = 127;

/// The exit status that is reported for a process that ended well only when its time was up.
const EXIT_TIME_IS_UP: i32 = 124;

/// How long an end is reported, in periods of the lease: long after the lease is lost, the server knows it as lost.
const END_PERIODS_MAX: u32 = 30;

/// Why an attempt came to nothing.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    /// The server is not believed.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The lease is not ours any more.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The attempt could not be attached.
    #[error("cannot attach: {0}")]
    Attach(ClientError),
    /// The process could not be launched.
    #[error(transparent)]
    Launch(#[from] PrepareError),
}

/// Why a process was not launched. The attempt has attached, so its end must be reported.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error("the socket `{path}` cannot be made: {error}; a work directory with a shorter path may help")]
    Socket { path: String, error: std::io::Error },
    #[error("the output cannot be read: {0}")]
    Output(std::io::Error),
}

impl PrepareError {
    fn exit_status(&self) -> i32 {
        match self {
            Self::Launch(LaunchError::Command { error, .. })
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                EXIT_NOT_FOUND
            }
            Self::Launch(LaunchError::Command { .. }) => EXIT_NOT_RUN,
            Self::Secret(_)
            | Self::Files(_)
            | Self::Cgroup(_)
            | Self::Launch(_)
            | Self::Socket { .. }
            | Self::Output(_) => EXIT_NOT_PREPARED,
        }
    }
}

/// One attempt of a runner.
struct Attempt<'a> {
    shared: &'a Shared,
    task: &'a Task,
    instance: InstanceId,
    attempt: u32,
    lease: Lease,
}

/// A process that runs, with what belongs to it.
struct Running {
    launched: Launched,
    output: Output,
    dir: AttemptDir,
    /// Where it asks for secrets, if any are for it.
    desk: Option<Open>,
}

/// Takes an attempt from its claim to its end. Whatever happens is told to the observer.
pub(super) async fn run(shared: &Shared, me: &ActorId, task: Task, stopped: watch::Receiver<Stop>) {
    let (instance, attempt) = (*task.instance_id, task.attempt);
    let tell = |event| shared.config.observer.tell(&event);
    let verified = match believe(shared, me, task).await {
        Ok(verified) => verified,
        Err(error) => {
            return tell(RunnerEvent::Distrusted { instance, attempt, why: error.to_string() });
        }
    };
    let (task, verified) = verified;
    tell(RunnerEvent::Verified {
        instance,
        attempt,
        artifacts: task.chain.len(),
        granted: verified.grant.is_some(),
    });
    let lease = Lease::new(verified.lease, shared.config.grace);
    let mut this = Attempt { shared, task: &task, instance, attempt, lease };
    let exit_status = match this.execute(&verified, stopped).await {
        Ok(ended) => ended.exit_status(),
        Err(AttemptError::Launch(error)) => {
            tell(RunnerEvent::NotLaunched { instance, attempt, why: error.to_string() });
            error.exit_status()
        }
        Err(AttemptError::Mismatch(error)) => {
            return tell(RunnerEvent::Distrusted { instance, attempt, why: error.to_string() });
        }
        Err(error @ (AttemptError::Lease(_) | AttemptError::Attach(_))) => {
            return tell(RunnerEvent::Lost { instance, attempt, why: error.to_string() });
        }
    };
    match this.report_end(exit_status).await {
        Ok(moved) => {
            tell(RunnerEvent::Ended { instance, attempt, exit_status, state: moved.state.into_inner() })
        }
        Err(error) => tell(RunnerEvent::Lost { instance, attempt, why: error.to_string() }),
    }
}

/// Verifies a task, away from the threads that serve others: a long chain takes a while.
async fn believe(shared: &Shared, me: &ActorId, task: Task) -> Result<(Task, Verified), Mismatch> {
    let (pinned, me) = (shared.config.pinned.clone(), me.clone());
    let verified = tokio::task::spawn_blocking(move || verify(&task, &pinned, &me).map(|v| (task, v)));
    // A panic there is a defect, and nothing was verified.
    verified.await.unwrap_or(Err(Mismatch::Chain(ChainError::Empty)))
}

impl Attempt<'_> {
    async fn execute(
        &mut self,
        verified: &Verified,
        stopped: watch::Receiver<Stop>,
    ) -> Result<Ended, AttemptError> {
        // The claim may have been held open for long: only an answered renewal says how much of the lease is left.
        self.renew_once().await?;
        let body = Attach::Assigned { attempt: self.attempt };
        let attached = self.shared.client.attach(self.task.instance_id, body).await;
        let attached = attached.map_err(AttemptError::Attach)?;
        check_grant(&verified.instance, verified.grant, attached.grant.as_ref())?;
        let grant = attached.grant.map(|grant| *grant.grant_id);
        let mut running = self.launch(verified, &attached.token, grant).await?;
        let ended = self.follow(&mut running, stopped).await;
        // Nobody is left who could ask.
        drop(running.desk);
        drop(running.launched);
        running.output.finish().await;
        ended.map_err(AttemptError::Lease)
    }

    async fn renew_once(&mut self) -> Result<(), LeaseError> {
        let mut pause = PAUSE_FIRST;
        let give_up = Instant::now() + self.lease.period();
        loop {
            let renewed = self.lease.renew(&self.shared.client, self.task.instance_id, self.attempt).await;
            match renewed {
                Ok(_) => return Ok(()),
                Err(error @ LeaseError::Over(_)) => return Err(error),
                Err(error) if Instant::now() >= give_up => return Err(error),
                Err(LeaseError::Unanswered(_)) => wait(&mut pause).await,
            }
        }
    }

    async fn launch(
        &self,
        verified: &Verified,
        token: &str,
        grant: Option<GrantId>,
    ) -> Result<Running, PrepareError> {
        let config = &self.shared.config;
        let variable = |name: &str| std::env::var_os(name);
        let secrets = resolve(&self.task.secrets, variable)?;
        let mask = Arc::new(Mutex::new(Mask::of(secrets.values().map(OsString::as_os_str))));
        let dir = self.shared.work.attempt(self.instance, self.attempt)?;
        dir.put_token(token)?;
        dir.put_context(&verified.context)?;
        let mut environment = inherited(&config.inherit, variable);
        find_own_program(&mut environment);
        environment.extend(secrets);
        environment.extend(self.own_variables(&dir, grant));
        let offered = self.offered();
        let socket = (!offered.is_empty()).then(|| self.shared.work.socket(self.instance, self.attempt));
        let listener = socket.as_deref().map(bind).transpose();
        let listener = listener.map_err(|error| PrepareError::Socket {
            path: socket.as_deref().map(|path| path.display().to_string()).unwrap_or_default(),
            error,
        })?;
        environment.extend(socket.map(|path| (SOCKET_VARIABLE.into(), path.into())));
        let path = self.shared.work.log(self.instance, self.attempt);
        let log = open_log(&path)?;
        let groups = self.shared.cgroups.as_ref();
        let cgroup = groups.map(|groups| groups.attempt(&format!("{}-{}", self.instance, self.attempt)));
        let plan = Plan {
            command: &self.task.command,
            environment: &environment,
            directory: config.command_dir.as_deref(),
            limits: &config.limits,
            cgroup: cgroup.transpose()?,
        };
        let (launched, pipe) = config.launcher.launch(plan).await?;
        let desk = listener
            .map(|listener| self.desk(offered, &dir, launched.tree(), Arc::clone(&mask)).open(listener));
        let output = Output::copy(pipe, log, mask, config.log_bytes_max).map_err(PrepareError::Output)?;
        let (instance, attempt, process) = (self.instance, self.attempt, launched.process);
        config.observer.tell(&RunnerEvent::Started { instance, attempt, process, log: path });
        Ok(Running { launched, output, dir, desk })
    }

    /// Returns the names of the secrets that this attempt may have for some action.
    fn offered(&self) -> Vec<Name> {
        // What was verified before: the definition is the one that the chain names.
        let definition = self.task.definition.to_value().ok();
        let workflow = definition.and_then(|value| Workflow::read(&value).ok());
        let queue = workflow.and_then(|workflow| workflow.run).map(|run| run.queue);
        let secrets = self.shared.vault.secrets.iter();
        let offered = secrets.filter(|secret| secret.is_for(&self.task.workflow.id, queue.as_ref()));
        offered.map(|secret| secret.name.clone()).collect()
    }

    fn desk(&self, offered: Vec<Name>, dir: &AttemptDir, tree: Tree, mask: SharedMask) -> Desk {
        let shared = self.shared;
        Desk {
            asks: Asks {
                instance: self.instance,
                workflow: WorkflowId::clone(&self.task.workflow.id),
                attempt: AttemptNo(self.attempt),
            },
            vault: Arc::clone(&shared.vault),
            offered,
            pinned: shared.config.pinned.clone(),
            client: shared.client.with_token(TokenSource::File(dir.token())),
            tree,
            mask,
            records: shared.work.records(),
            observer: shared.config.observer.clone(),
            given: Mutex::default(),
            asked: AtomicUsize::new(0),
        }
    }

    /// What every process is told: the contract with scripts and agents.
    fn own_variables(&self, dir: &AttemptDir, grant: Option<GrantId>) -> BTreeMap<OsString, OsString> {
        let mut variables = BTreeMap::from([
            ("GANTRAL_INSTANCE_ID".into(), self.instance.to_string().into()),
            ("GANTRAL_ATTEMPT".into(), self.attempt.to_string().into()),
            ("GANTRAL_URL".into(), self.shared.client.base().into()),
            ("GANTRAL_TOKEN_FILE".into(), dir.token().into()),
            ("GANTRAL_CONTEXT".into(), dir.context().into()),
            ("GANTRAL_JOURNAL".into(), self.shared.journal.path().into()),
            ("GANTRAL_TRUST".into(), self.shared.work.trust().into()),
            ("GANTRAL_TENANT".into(), self.shared.config.pinned.tenant.as_str().into()),
            ("GANTRAL_WORKFLOW".into(), self.task.workflow.id.as_str().into()),
            ("GANTRAL_MODE_LEASE".into(), self.shared.work.lease(&self.task.workflow.id).into()),
        ]);
        if let Some(grant) = grant {
            variables.insert("GANTRAL_GRANT".into(), grant.to_string().into());
        }
        variables
    }

    /// Keeps the lease for as long as the process lives, and the process for no longer than the lease.
    async fn follow(
        &mut self,
        running: &mut Running,
        mut stopped: watch::Receiver<Stop>,
    ) -> Result<Ended, LeaseError> {
        let mut next_renewal = Instant::now() + self.lease.period();
        let mut asked = false;
        let mut retired = false;
        let time_is_up = self.shared.config.time_max.map(|time| Instant::now() + time);
        loop {
            let (ask_at, kill_at) = (self.lease.ask_at(), self.lease.kill_at());
            tokio::select! {
                // What ended has ended, also if the lease ended in the same moment.
                biased;
                ended = running.launched.ended() => return Ok(ended),
                () = sleep_until(kill_at) => {
                    running.launched.kill();
                    running.launched.ended().await;
                    let within_ms = self.lease.period().as_millis();
                    return Err(LeaseError::Unanswered(ClientError::Timeout { within_ms }));
                }
                () = sleep_until(ask_at), if !asked => {
                    running.launched.ask_to_end();
                    asked = true;
                }
                () = told_to_stop(&mut stopped) => return Ok(self.stop(running).await),
                () = at(time_is_up) => {
                    let (instance, attempt) = (self.instance, self.attempt);
                    self.shared.config.observer.tell(&RunnerEvent::TimeIsUp { instance, attempt });
                    return Ok(failed(self.stop(running).await));
                }
                renewed = self.renew_at(next_renewal) => {
                    match renewed {
                        // A gate retired the attempt, and a whole period later the process is still there: while a
                        // human thinks, nothing may run.
                        Ok(answer) if retired && answer.retired => return Ok(self.stop(running).await),
                        Ok(answer) => {
                            retired = answer.retired;
                            if let Err(error) = running.dir.put_token(&answer.token) {
                                tracing::error!(%error, "the renewed token cannot be passed on");
                            }
                            next_renewal = Instant::now() + self.lease.period();
                        }
                        Err(error @ LeaseError::Over(_)) => {
                            // Somebody else may have the attempt already: no grace.
                            running.launched.kill();
                            running.launched.ended().await;
                            return Err(error);
                        }
                        Err(LeaseError::Unanswered(error)) => {
                            tracing::warn!(instance = %self.instance, %error, "the lease was not renewed");
                            next_renewal = Instant::now() + self.lease.pause();
                        }
                    }
                }
            }
        }
    }

    /// Sleeps, then renews the lease.
    async fn renew_at(&mut self, at: Instant) -> Result<HeartbeatAnswer, LeaseError> {
        sleep_until(at).await;
        self.lease.renew(&self.shared.client, self.task.instance_id, self.attempt).await
    }

    /// Ends a process because the runner must stop.
    async fn stop(&self, running: &mut Running) -> Ended {
        running.launched.ask_to_end();
        let grace = self.lease.grace();
        match tokio::time::timeout(grace, running.launched.ended()).await {
            Ok(ended) => ended,
            Err(_) => {
                running.launched.kill();
                running.launched.ended().await
            }
        }
    }

    /// Reports the end under one idempotency key until it is acknowledged, or the attempt is not ours any more.
    async fn report_end(&mut self, exit_status: i32) -> Result<Moved, ClientError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| ClientError::Unsendable { why: error.to_string() })?;
        let client = self.shared.client.with_key(IdempotencyKey::from_random(bytes));
        let (id, attempt) = (self.task.instance_id, self.attempt);
        let mut pause = PAUSE_FIRST;
        let give_up = Instant::now() + self.lease.period() * END_PERIODS_MAX;
        loop {
            let error = match client.end_attempt(id, attempt, EndAttempt { exit_status }).await {
                Ok(moved) => return Ok(moved),
                Err(error) if is_over(&error) || Instant::now() >= give_up => return Err(error),
                Err(error) => error,
            };
            tracing::warn!(instance = %self.instance, %error, "the end of an attempt is not acknowledged yet");
            // While it waits, nobody else should be told that the attempt is lost.
            let _ = self.lease.renew(&self.shared.client, id, attempt).await;
            wait(&mut pause).await;
        }
    }
}

/// Sleeps until then; forever where nothing is said.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => core::future::pending().await,
    }
}

/// Returns the end of a process that was ended for its time: one that caught the signal and ended as if it were done is not done.
const fn failed(ended: Ended) -> Ended {
    match ended {
        Ended::Exited(0) => Ended::Exited(EXIT_TIME_IS_UP),
        Ended::Exited(_) | Ended::Killed(_) => ended,
    }
}

/// Waits until what still runs must end. A runner that is gone without saying so has dropped this future already.
async fn told_to_stop(stopped: &mut watch::Receiver<Stop>) {
    if stopped.wait_for(|stop| *stop == Stop::Now).await.is_err() {
        core::future::pending::<()>().await;
    }
}

/// Lets scripts find the program that they were launched by, after everything else on the path.
fn find_own_program(environment: &mut BTreeMap<OsString, OsString>) {
    let own = std::env::current_exe().ok().and_then(|program| program.parent().map(PathBuf::from));
    let Some(own) = own else { return };
    let path = environment.get(&OsString::from("PATH")).cloned().unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()).chain([own]);
    if let Ok(joined) = std::env::join_paths(folders) {
        environment.insert("PATH".into(), joined);
    }
}
