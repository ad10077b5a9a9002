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
}

/// The sequencer has ended: what was waited for does not come.
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
        Self(Arc::new(Inner { logs: Mutex::default(), state }))
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
    /// When the sequencer has ended.
    pub async fn until_size(
        &self,
        tenant: &TenantId,
        size: u64,
    ) -> Result<Arc<PublishedCheckpoint>, SequencerStopped> {
        let (mut newest, mut state) = (self.subscribe(tenant), self.0.state.subscribe());
        let covers = |newest: &Newest| newest.as_ref().is_some_and(|newest| newest.tree.size >= size);
        tokio::select! {
            biased;
            found = newest.wait_for(covers) => {
                if let Ok(Some(found)) = found.as_deref() {
                    return Ok(Arc::clone(found));
                }
            }
            _ = state.wait_for(|state| matches!(state, SequencerState::Stopped(_))) => {}
        }
        let reason = match self.state() {
            SequencerState::Stopped(reason) | SequencerState::Failing(reason) => reason,
            SequencerState::Working => "the sequencer is gone".to_owned(),
        };
        Err(SequencerStopped { reason })
    }

    /// Returns how the sequencer is.
    pub fn state(&self) -> SequencerState {
        self.0.state.borrow().clone()
    }

    /// Announces what has been published.
    pub(crate) fn announce(&self, tenant: &TenantId, checkpoint: PublishedCheckpoint) {
        let checkpoint = Some(Arc::new(checkpoint));
        self.logs(|logs| logs.entry(tenant.clone()).or_default().send_replace(checkpoint));
    }

    /// Says how the sequencer is.
    pub(crate) fn set_state(&self, state: SequencerState) {
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
