//! Instants as people read them: the exact one, and how far away it is.

use gantral_core::time::UnixMillis;
use gantral_server::{Clock as _, SystemClock};

/// Returns the present instant by the clock of this machine.
pub fn now() -> UnixMillis {
    SystemClock.now()
}

/// Returns an instant with its distance from now: `2026-01-01T12:00:00.000Z (in 59 min)`.
pub fn with_distance(at: UnixMillis, now: UnixMillis) -> String {
    format!("{} ({})", at.to_text(), distance(at, now))
}

/// Returns how far an instant is away: `in 59 min`, `3 h ago`.
pub fn distance(at: UnixMillis, now: UnixMillis) -> String {
    let seconds = at.get().abs_diff(now.get()) / 1_000;
    let (count, unit) = match seconds {
        0 => return "now".to_owned(),
        1..=119 => (seconds, "s"),
        120..=7_199 => (seconds / 60, "min"),
        7_200..=172_799 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    if at > now { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_told_in_the_unit_that_people_would_use() {
        let now = UnixMillis::new(1_767_225_600_000).unwrap();
        let at =
            |seconds: i64| UnixMillis::new(now.get().checked_add_signed(seconds * 1_000).unwrap()).unwrap();
        for (seconds, expect) in [
            (0, "now"),
            (59, "in 59 s"),
            (3_540, "in 59 min"),
            (-3_540, "59 min ago"),
            (86_400, "in 24 h"),
            (-604_800, "7 days ago"),
        ] {
            assert_eq!(distance(at(seconds), now), expect);
        }
    }
}
