//! Whether this server may write: one that has forgotten something, because an old ledger was restored, only reads.

use std::sync::{Arc, OnceLock};

/// Whether the ledger is known to be behind what was published or used of it. Cheap to clone; clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<OnceLock<String>>);

impl Standing {
    /// Says that the ledger is behind, and why. The first reason stays: nothing but another ledger heals it.
    pub fn fall_behind(&self, why: String) {
        tracing::error!(%why, "the ledger is behind: this server only reads from now on");
        // Somebody else may have found another reason first.
        let _ = self.0.set(why);
    }

    /// Returns why the server only reads; `None` while it may write.
    pub fn behind(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}
