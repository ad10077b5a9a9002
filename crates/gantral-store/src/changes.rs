//! News of commits, so that whoever waits need not ask again and again.

use std::sync::Arc;

use gantral_core::ids::{InstanceId, Name, TenantId};
use tokio::sync::broadcast;

use crate::append::{Head, StateCode};

/// How many batches of commits a subscriber may be behind before it loses some.
const BACKLOG_MAX: usize = 1_024;

/// One committed append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The tenant.
    pub tenant: TenantId,
    /// The instance that moved.
    pub instance: InstanceId,
    /// Its new head.
    pub head: Head,
    /// Its state after the append.
    pub state: StateCode,
    /// The runner queue on which a task may have become ready.
    pub queue: Option<Name>,
}

/// What a subscriber is woken for.
#[derive(Debug, Clone)]
pub enum Wake {
    /// These appends were committed, in this order.
    Committed(Arc<[Change]>),
    /// The subscriber was too slow and missed this many batches: whatever it waits for must be read again.
    Lagged(u64),
    /// The store was closed or has stopped writing.
    Closed,
}

/// A subscription to commits; a hint to look again, never a substitute for reading.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Arc<[Change]>>);

impl Changes {
    /// Waits for the next commits. May be cancelled without losing any.
    pub async fn next(&mut self) -> Wake {
        match self.0.recv().await {
            Ok(changes) => Wake::Committed(changes),
            Err(broadcast::error::RecvError::Lagged(missed)) => Wake::Lagged(missed),
            Err(broadcast::error::RecvError::Closed) => Wake::Closed,
        }
    }
}

/// The sending side, owned by the writer.
#[derive(Debug)]
pub(crate) struct Announcer(broadcast::Sender<Arc<[Change]>>);

impl Announcer {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG_MAX))
    }

    /// Announces what one batch committed.
    pub(crate) fn announce(&self, changes: Vec<Change>) {
        if !changes.is_empty() {
            // An error says that nobody listens.
            let _ = self.0.send(changes.into());
        }
    }

    /// Returns a weak sender, from which subscriptions are made without keeping them open.
    pub(crate) fn subscriber(&self) -> Subscriber {
        Subscriber(self.0.downgrade())
    }
}

/// Makes subscriptions for as long as the writer lives.
#[derive(Debug)]
pub(crate) struct Subscriber(broadcast::WeakSender<Arc<[Change]>>);

impl Subscriber {
    pub(crate) fn subscribe(&self) -> Changes {
        match self.0.upgrade() {
            Some(sender) => Changes(sender.subscribe()),
            // The writer is gone: a subscription whose sender is dropped at once answers `Closed`.
            None => Changes(broadcast::Sender::new(1).subscribe()),
        }
    }
}
