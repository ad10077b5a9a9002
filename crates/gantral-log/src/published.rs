//! The newest published checkpoint of each log, for whoever names one or waits for one; and whether the sequencer works.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_core::ids::TenantId;
use gantral_evidence::log::tree::TreeHead;
use tokio::sync::watch;

/// A checkpoint that everybody may have seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedCheckpoint {
    /// The tree that it is about.
    pub tree: TreeHead,
    /// The signed note.
    pub note: String,
}

/// The newest checkpoint of one log; `None` before its first.
pub type Newest = Option<Arc<PublishedCheckpoint>>;

/// How the sequencer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequencerState {
    /// It works, or has not begun yet.
    Working,
    /// Its last round failed; it tries again by itself.
    Failing(String),
    /// It has ended, and no log grows until somebody has looked.
    Stopped(String),
    /// Another server lets the logs grow, or is about to take over.
    StandingBy,
}

/// What is wrong with a log that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFault {
    /// A row of the tenant in the ledger cannot be read, or is not what it says.
    ArtifactDamaged,
    /// The ledger has an artifact that the log may not take (`spec/log.md` L24).
    ArtifactRefused,
    /// The files of the log are not those of its checkpoint.
    FilesDamaged,
    /// What the ledger says of how far the log is cannot be read, or is of another log.
    CheckpointDamaged,
    /// The ledger says that the log stands still; another server knows why.
    Held,
}

impl LogFault {
    /// Returns the word for it in log lines and answers; none is ever reused.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ArtifactDamaged => "log_artifact_damaged",
            Self::ArtifactRefused => "log_artifact_refused",
            Self::FilesDamaged => "log_files_damaged",
            Self::CheckpointDamaged => "log_checkpoint_damaged",
            Self::Held => "log_held",
        }
    }
}

/// A log that stands still while the others grow. It is tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedLog {
    /// What is wrong.
    pub fault: LogFault,
    /// The number of the first artifact of the ledger that the log has not taken; `None` while nothing waits.
    pub artifact: Option<u64>,
    /// What is wrong, for whoever runs the server.
    pub why: String,
}

/// The sequencer has ended, or the log stands still: what was waited for does not come before somebody has looked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the logs do not grow: {reason}")]
pub struct SequencerStopped {
    /// Why; for the log.
    pub reason: String,
}

/// What the sequencer has published. Cheap to clone; clones are about one sequencer.
#[derive(Debug, Clone)]
pub struct Published(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    logs: Mutex<BTreeMap<TenantId, watch::Sender<Newest>>>,
    state: watch::Sender<SequencerState>,
    stopped: watch::Sender<BTreeMap<TenantId, StoppedLog>>,
}

impl Default for Published {
    fn default() -> Self {
        Self::new()
    }
}

impl Published {
    /// Begins without any checkpoint.
    pub fn new() -> Self {
        let state = watch::Sender::new(SequencerState::Working);
        Self(Arc::new(Inner { logs: Mutex::default(), state, stopped: watch::Sender::default() }))
    }

    /// Returns the newest checkpoint of a tenant's log.
    pub fn newest(&self, tenant: &TenantId) -> Newest {
        self.logs(|logs| logs.get(tenant).and_then(|log| log.borrow().clone()))
    }

    /// Subscribes to the checkpoints of a tenant's log; a slow subscriber sees the newest only.
    pub fn subscribe(&self, tenant: &TenantId) -> watch::Receiver<Newest> {
        self.logs(|logs| logs.entry(tenant.clone()).or_default().subscribe())
    }

    /// Waits until a checkpoint covers `size` leaves. May be cancelled.
    ///
    /// # Errors
    /// When the sequencer has ended, or this log stands still.
    pub async fn until_size(
        &self,
        tenant: &TenantId,
        size: u64,
    ) -> Result<Arc<PublishedCheckpoint>, SequencerStopped> {
        let (mut newest, mut state) = (self.subscribe(tenant), self.0.state.subscribe());
        let mut stopped = self.0.stopped.subscribe();
        let covers = |newest: &Newest| newest.as_ref().is_some_and(|newest| newest.tree.size >= size);
        tokio::select! {
            biased;
            found = newest.wait_for(covers) => {
                if let Ok(Some(found)) = found.as_deref() {
                    return Ok(Arc::clone(found));
                }
            }
            _ = state.wait_for(|state| matches!(state, SequencerState::Stopped(_))) => {}
            Ok(stopped) = stopped.wait_for(|stopped| stopped.contains_key(tenant)) => {
                if let Some(stopped) = stopped.get(tenant) {
                    return Err(SequencerStopped { reason: stopped.why.clone() });
                }
            }
        }
        let reason = match self.state() {
            SequencerState::Stopped(reason) | SequencerState::Failing(reason) => reason,
            SequencerState::Working | SequencerState::StandingBy => "the sequencer is gone".to_owned(),
        };
        Err(SequencerStopped { reason })
    }

    /// Returns how the sequencer is.
    pub fn state(&self) -> SequencerState {
        self.0.state.borrow().clone()
    }

    /// Returns the logs that stand still while the others grow.
    pub fn stopped(&self) -> BTreeMap<TenantId, StoppedLog> {
        self.0.stopped.borrow().clone()
    }

    /// Says of which logs another server lets none of these grow: those that stand still, each with the number of the first artifact that it
    /// has not taken.
    pub fn follow_stopped(&self, held: BTreeMap<TenantId, u64>) {
        let stopped = |number| StoppedLog {
            fault: LogFault::Held,
            artifact: Some(number),
            why: "the log stands still; the server that lets the logs grow says why".to_owned(),
        };
        let held: BTreeMap<_, _> =
            held.into_iter().map(|(tenant, number)| (tenant, stopped(number))).collect();
        self.0.stopped.send_if_modified(|logs| {
            let changed = *logs != held;
            *logs = held;
            changed
        });
    }

    /// Announces what another server has published, unless that is known.
    pub fn follow(&self, tenant: &TenantId, checkpoint: PublishedCheckpoint) {
        let known = self.newest(tenant);
        if known.as_deref() != Some(&checkpoint) {
            self.announce(tenant, checkpoint);
        }
    }

    /// Says that a log stands still; returns whether that, or why, is new.
    pub(crate) fn stop(&self, tenant: &TenantId, stopped: StoppedLog) -> bool {
        self.0.stopped.send_if_modified(|logs| {
            let before = logs.insert(tenant.clone(), stopped.clone());
            before.is_none_or(|before| before != stopped)
        })
    }

    /// Says that a log goes on; returns whether that is new.
    pub(crate) fn go_on(&self, tenant: &TenantId) -> bool {
        self.0.stopped.send_if_modified(|logs| logs.remove(tenant).is_some())
    }

    /// Announces what has been published.
    pub(crate) fn announce(&self, tenant: &TenantId, checkpoint: PublishedCheckpoint) {
        let checkpoint = Some(Arc::new(checkpoint));
        self.logs(|logs| logs.entry(tenant.clone()).or_default().send_replace(checkpoint));
    }

    /// Says how the sequencer is.
    pub fn set_state(&self, state: SequencerState) {
        self.0.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    fn logs<R>(&self, run: impl FnOnce(&mut BTreeMap<TenantId, watch::Sender<Newest>>) -> R) -> R {
        // The map is plain data: a panic elsewhere leaves it whole.
        run(&mut self.0.logs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
