//! News of commits, so that whoever waits need not ask again and again.

use std::sync::Arc;

use gantral_core::ids::{InstanceId, Name, TeamId, TenantId, WorkflowId};
use tokio::sync::{broadcast, watch};

use crate::append::{Head, StateCode};

/// How many batches of commits a subscriber may be behind before it loses some.
const BACKLOG_MAX: usize = 1_024;

/// One committed append, or release of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The tenant.
    pub tenant: TenantId,
    /// The instance that moved.
    pub instance: InstanceId,
    /// The team that owns its workflow.
    pub team: TeamId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The sequence of the first artifact of the append; above that of the head where nothing was appended, because a task was released.
    pub first: u64,
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
    /// The subscriber was too slow, or the store was cut off from the others that write, and at least this many batches were missed:
    /// whatever it waits for must be read again.
    Lagged(u64),
    /// The store was closed or has stopped writing.
    Closed,
}

/// What is sent to subscribers.
#[derive(Debug, Clone)]
enum News {
    Committed(Arc<[Change]>),
    /// Something was committed that is not told one by one.
    Missed,
}

/// A subscription to commits, of this process and of all others that write to the same store; a hint to look again, never a substitute for
/// reading.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<News>);

impl Changes {
    /// Waits for the next commits. May be cancelled without losing any.
    pub async fn next(&mut self) -> Wake {
        match self.0.recv().await {
            Ok(News::Committed(changes)) => Wake::Committed(changes),
            Ok(News::Missed) => Wake::Lagged(1),
            Err(broadcast::error::RecvError::Lagged(missed)) => Wake::Lagged(missed),
            Err(broadcast::error::RecvError::Closed) => Wake::Closed,
        }
    }
}

/// The number of the newest artifact, for whoever reads the ledger in the order of the commits. A hint to look again, never a
/// substitute for reading; 0 until the first commit after the store was opened.
#[derive(Debug, Clone)]
pub struct Newest(watch::Receiver<u64>);

impl Newest {
    /// Waits until an artifact with a number above `after` is committed. Returns false when the store was closed or has stopped
    /// writing. May be cancelled.
    pub async fn above(&mut self, after: u64) -> bool {
        self.0.wait_for(|newest| *newest > after).await.is_ok()
    }
}

/// The sending side, owned by the writer.
#[derive(Debug)]
pub(crate) struct Announcer {
    changes: broadcast::Sender<News>,
    newest: watch::Sender<u64>,
}

impl Announcer {
    pub(crate) fn new() -> Self {
        Self { changes: broadcast::Sender::new(BACKLOG_MAX), newest: watch::Sender::new(0) }
    }

    /// Announces what one batch committed. The newest number never falls: of two writes at once the greater may be announced first.
    pub(crate) fn announce(&self, changes: Vec<Change>, newest: Option<i64>) {
        if !changes.is_empty() {
            // An error says that nobody listens.
            let _ = self.changes.send(News::Committed(changes.into()));
        }
        if let Some(number) = newest.and_then(|number| u64::try_from(number).ok()) {
            self.newest.send_if_modified(|newest| {
                let rises = number > *newest;
                *newest = number.max(*newest);
                rises
            });
        }
    }

    /// Announces that something may have been committed that is not told: whoever waits looks again.
    pub(crate) fn missed(&self) {
        let _ = self.changes.send(News::Missed);
    }

    /// Returns a weak sender, from which subscriptions are made without keeping them open.
    pub(crate) fn subscriber(&self) -> Subscriber {
        Subscriber { changes: self.changes.downgrade(), newest: self.newest.subscribe() }
    }
}

/// Makes subscriptions for as long as the writer lives.
#[derive(Debug)]
pub(crate) struct Subscriber {
    changes: broadcast::WeakSender<News>,
    newest: watch::Receiver<u64>,
}

impl Subscriber {
    pub(crate) fn subscribe(&self) -> Changes {
        match self.changes.upgrade() {
            Some(sender) => Changes(sender.subscribe()),
            // The writer is gone: a subscription whose sender is dropped at once answers `Closed`.
            None => Changes(broadcast::Sender::new(1).subscribe()),
        }
    }

    pub(crate) fn newest(&self) -> Newest {
        Newest(self.newest.clone())
    }
}
