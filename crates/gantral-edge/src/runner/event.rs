//! What happens in a runner, for whoever shows it to people.

use core::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gantral_core::ids::{GrantId, InstanceId};
use gantral_core::state::State;

/// Something that happened. The same is logged; nothing of it holds a secret, a token or a document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunnerEvent {
    /// An attempt was claimed, and its chain verified.
    Verified {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
        /// How many artifacts the chain has.
        artifacts: usize,
        /// Whether humans granted what the attempt may do.
        granted: bool,
    },
    /// What the server sent was not believed. Nothing was launched; the lease runs out by itself.
    Distrusted {
        /// The instance that the server named.
        instance: InstanceId,
        /// The attempt that the server named.
        attempt: u32,
        /// What is wrong.
        why: String,
    },
    /// A process runs.
    Started {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
        /// Its process id, where it runs on this machine.
        process: Option<u32>,
        /// Where its output goes.
        log: PathBuf,
    },
    /// The attempt could not be launched, and was ended as failed.
    NotLaunched {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// A secret was handed out, against a grant that the attempt had used up.
    SecretGiven {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
        /// Its name.
        secret: String,
        /// The grant.
        grant: GrantId,
        /// The action of the grant.
        action: String,
    },
    /// A secret was asked for and not handed out.
    SecretRefused {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
        /// What was asked for; empty if that was not to be understood.
        secret: String,
        /// Why not.
        why: String,
    },
    /// The process ran for as long as it may, and is ended.
    TimeIsUp {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
    },
    /// The lease was lost, or could not be kept: the process was killed and no end is reported.
    Lost {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// The end was reported and acknowledged.
    Ended {
        /// The instance.
        instance: InstanceId,
        /// The attempt.
        attempt: u32,
        /// The exit status; the negative number of a signal.
        exit_status: i32,
        /// The state of the instance afterwards.
        state: State,
    },
}

/// Who is told what happens in a runner. Called from the runner's tasks: it must return at once.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&RunnerEvent) + Send + Sync>);

impl Observer {
    /// Returns an observer that calls a function.
    pub fn new(tell: impl Fn(&RunnerEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Returns an observer that is told nothing.
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Logs an event, and passes it on.
    pub(super) fn tell(&self, event: &RunnerEvent) {
        match event {
            RunnerEvent::Verified { instance, attempt, artifacts, granted } => {
                tracing::info!(%instance, attempt, artifacts, granted, "chain verified");
            }
            RunnerEvent::Distrusted { instance, attempt, why } => {
                tracing::error!(%instance, attempt, %why, "not launched: the chain is not believed");
            }
            RunnerEvent::Started { instance, attempt, process, log } => {
                tracing::info!(%instance, attempt, process, log = %log.display(), "process started");
            }
            RunnerEvent::NotLaunched { instance, attempt, why } => {
                tracing::error!(%instance, attempt, %why, "not launched");
            }
            RunnerEvent::SecretGiven { instance, attempt, secret, grant, action } => {
                tracing::info!(%instance, attempt, secret, %grant, action, "secret handed out");
            }
            RunnerEvent::SecretRefused { instance, attempt, secret, why } => {
                tracing::warn!(%instance, attempt, secret, why, "secret refused");
            }
            RunnerEvent::TimeIsUp { instance, attempt } => {
                tracing::warn!(%instance, attempt, "the process ran for as long as it may, and is ended");
            }
            RunnerEvent::Lost { instance, attempt, why } => {
                tracing::warn!(%instance, attempt, %why, "lease lost");
            }
            RunnerEvent::Ended { instance, attempt, exit_status, state } => {
                tracing::info!(%instance, attempt, exit_status, %state, "attempt ended");
            }
        }
        (self.0)(event);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer(..)")
    }
}
