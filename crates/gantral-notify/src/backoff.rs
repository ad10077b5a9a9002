//! How long a channel, or a message, is left alone after a failure.

use std::time::Duration;

/// The pause after the first failure; twice as long after each that follows, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause: so long may it take until a receiver that came back is noticed.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Returns the pause after so many failures in a row, between half and all of what doubling gives: many messages that failed together
/// are not tried together again.
pub(crate) fn pause(failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let whole = PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX);
    let half = whole / 2;
    let most = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
    // Without randomness they are tried together, which is no harm.
    let random = getrandom::u64().unwrap_or_default();
    half + Duration::from_millis(random.checked_rem(most.saturating_add(1)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end_at_the_longest() {
        let check = |failures, most: u64| {
            for _ in 0..50 {
                let pause = pause(failures);
                let most = Duration::from_secs(most);
                assert!(pause >= most / 2 && pause <= most, "{failures}: {pause:?}");
            }
        };
        for (failures, most) in [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u64::MAX, 300)] {
            check(failures, most);
        }
    }
}
