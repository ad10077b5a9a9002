//! Instants as people read them.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use gantral_core::time::UnixMillis;

/// An instant beside the present one: what a machine reads, and how far it is away. A script may keep the distance current.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// The instant.
    pub at: UnixMillis,
    /// The present.
    pub now: UnixMillis,
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let distance = distance(self.at, self.now);
        write!(f, "<time datetime=\"{0}\" title=\"{0}\" data-relative>{distance}</time>", self.at)
    }
}

/// Made of an instant and of our own words.
impl HtmlSafe for When {}

fn distance(at: UnixMillis, now: UnixMillis) -> String {
    if at > now {
        format!("in {}", span(at.since(now).get()))
    } else {
        format!("{} ago", span(now.since(at).get()))
    }
}

/// Two units at most: nobody decides by the seconds of a day.
fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, 1..=9) => format!("{minutes} min {} s", seconds % 60),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_has_two_units_at_most() {
        let now = UnixMillis::new(1_767_225_600_000).unwrap();
        let of = |millis: i64| {
            let at = UnixMillis::new(now.get().checked_add_signed(millis).unwrap()).unwrap();
            distance(at, now)
        };
        assert_eq!(of(0), "0 s ago");
        assert_eq!(of(59_000), "in 59 s");
        assert_eq!(of(-90_000), "1 min 30 s ago");
        assert_eq!(of(1_740_000), "in 29 min");
        assert_eq!(of(7_500_000), "in 2 h 5 min");
        assert_eq!(of(-180_000_000), "2 d 2 h ago");
    }
}
