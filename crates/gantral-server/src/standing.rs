//! Whether this server may write: one that has forgotten something, because an old ledger was restored, only reads.

use std::sync::Arc;

use tokio::sync::watch;

/// Whether the ledger is known to be behind what was published or used of it. Cheap to clone; clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<watch::Sender<Option<String>>>);

impl Standing {
    /// Says that the ledger is behind, and why. The first reason stays: nothing but another ledger heals it.
    pub fn fall_behind(&self, why: String) {
        tracing::error!(%why, "the ledger is behind: this server only reads from now on");
        self.0.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(why);
            first
        });
    }

    /// Returns why the server only reads; `None` while it may write.
    pub fn behind(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Waits until the ledger is known to be behind; for ever, as a rule.
    pub async fn fallen_behind(&self) {
        // The sender is kept by `self`, so that this waits and never fails.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}
