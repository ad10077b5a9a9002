//! Whether this server may write: one that has forgotten something, because an old ledger was restored, only reads; one whose clock is apart from
//! the others' waits.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::time::UnixMillis;
use gantral_store::{Store, StoreError};
use tokio::sync::watch;

use crate::clock::{Apart, LedgerClock};

/// How often servers tell each other: a server that has found something out is alone with it for so long.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What a server says whose keys were replaced while it ran.
const OTHER_KEYS: &str = "the servers of this ledger sign by other keys now: stop this one, copy the keys of one that serves, and start it again";

/// Whether the ledger is known to be behind what was published or used of it, and what time it is there. Cheap to clone; clones share the
/// answer.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    behind: Arc<watch::Sender<Option<String>>>,
    clock: LedgerClock,
}

impl Standing {
    /// Says that the ledger is behind, and why. The first reason stays: nothing but another ledger heals it.
    pub fn fall_behind(&self, why: String) {
        tracing::error!(%why, "the ledger is behind: this server only reads from now on");
        self.behind.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(why);
            first
        });
    }

    /// Learns from the other servers upon the same ledger that it is behind, or tells them; and what time it is by their clock.
    ///
    /// # Errors
    /// The store's; may be asked again.
    pub(crate) async fn share(&self, store: &Store) -> Result<(), StoreError> {
        self.clock.ask(store).await?;
        match (self.behind(), store.behind().await?) {
            (Some(why), None) => store.fall_behind(why).await?,
            (None, Some(why)) => self.fall_behind(why),
            (None, None) | (Some(_), Some(_)) => {}
        }
        Ok(())
    }

    /// Does so again and again, where there may be other servers, until they sign by other keys than when this began: that is for this server
    /// alone to mend, which writes nothing until then.
    pub(crate) async fn keep_shared(&self, store: &Store) {
        if !store.is_shared() {
            return;
        }
        let mut interval = tokio::time::interval(TOLD_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut agreed = None;
        loop {
            interval.tick().await;
            match store.serving_keys().await {
                Ok(now) if *agreed.get_or_insert_with(|| now.clone()) != now => {
                    return self.fall_behind(OTHER_KEYS.to_owned());
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "it cannot be read by which keys the ledger is served"),
            }
            if let Err(error) = self.share(store).await {
                tracing::debug!(%error, "it cannot be read whether the ledger is behind");
            }
        }
    }

    /// Returns how far the clock of this server is from that of the others, when that is too far to decide anything by it.
    pub(crate) fn apart(&self, now: UnixMillis) -> Option<Apart> {
        self.clock.apart(now)
    }

    /// Returns why the server only reads; `None` while it may write.
    pub fn behind(&self) -> Option<String> {
        self.behind.borrow().clone()
    }

    /// Waits until the ledger is known to be behind; for ever, as a rule.
    pub async fn fallen_behind(&self) {
        // The sender is kept by `self`, so that this waits and never fails.
        let _ = self.behind.subscribe().wait_for(Option::is_some).await;
    }
}
