//! Long polls: wait for news of a commit, then look again. Nothing but the store knows anything.

use std::time::Duration;

use gantral_api::wire::{WAIT_SECONDS_MAX, text};
use gantral_store::{Change, Changes, Wake};
use tokio::time::Instant;

/// Returns how long a caller may wait.
pub(crate) fn wait_of(wait: Option<text::Duration>) -> Duration {
    let asked = Duration::from_millis(wait.map_or(0, |wait| wait.into_inner().get()));
    asked.min(Duration::from_secs(WAIT_SECONDS_MAX))
}

/// Waits until a commit that matters, or until the time is over; tells whether to look again.
pub(crate) async fn next_change(
    changes: &mut Changes,
    until: Instant,
    matters: impl Fn(&Change) -> bool,
) -> bool {
    loop {
        let Ok(wake) = tokio::time::timeout_at(until, changes.next()).await else { return false };
        match wake {
            Wake::Committed(batch) if batch.iter().any(&matters) => return true,
            Wake::Committed(_) => {}
            // Whoever missed news must look.
            Wake::Lagged(_) => return true,
            Wake::Closed => return false,
        }
    }
}
