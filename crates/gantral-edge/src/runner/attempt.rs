//! One attempt, from its claim to its end.

mod follow;
mod launch;

use gantral_api::client::ClientError;
use gantral_api::wire::{Attach, EndAttempt, IdempotencyKey, Moved, Task};
use gantral_core::ids::{ActorId, InstanceId};
use tokio::sync::watch;
use tokio::time::Instant;

use self::launch::PrepareError;
use super::desk::Open;
use super::event::RunnerEvent;
use super::executor::Launched;
use super::files::AttemptDir;
use super::lease::{Lease, LeaseError, is_over};
use super::output::Output;
use super::verify::{Mismatch, Verified, check_grant, verify};
use super::{PAUSE_FIRST, Shared, Stop, wait};
use crate::chain::ChainError;
use crate::child::Ended;

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
