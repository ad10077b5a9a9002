//! How long it is until an instant of the API.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantral_api::wire::text;

/// Returns the time from `now` until `then`; none when it is past.
pub(crate) fn until(then: &text::Time, now: Option<SystemTime>) -> Duration {
    let then = Duration::from_millis(then.get());
    let now = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    then.saturating_sub(now)
}
