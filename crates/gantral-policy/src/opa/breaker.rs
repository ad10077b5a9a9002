//! Whether OPA is asked at all: after several outages in a row it is left alone for a while, then tried once.
//!
//! Pure: instants come in as values. An open breaker is an outage like any other and never a verdict. Only outages count: a policy
//! that contradicts itself comes from an OPA that is well.

use std::time::{Duration, Instant};

/// How many outages in a row open the breaker: one may be a restart, and two a restart that takes its time.
pub(super) const OUTAGES_TO_OPEN: u32 = 5;
/// How long an open breaker lets nothing through: OPA starts in less, and people wait for no longer.
pub(super) const OPEN_FOR: Duration = Duration::from_secs(2);

/// The state of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// OPA is asked.
    Closed,
    /// OPA is not asked: every evaluation is unavailable at once.
    Open,
    /// One evaluation is let through, to see whether OPA is back.
    HalfOpen,
}

impl BreakerState {
    /// Returns the word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Whether one evaluation may ask OPA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It may.
    Pass,
    /// It may once OPA has answered a question that no input has a part in.
    Check,
    /// It may not: the breaker is open.
    Refused,
}

/// A circuit breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Outages since OPA answered an evaluation.
    outages: u32,
    /// Since when nothing is let through; a check begins it again.
    opened: Option<Instant>,
    /// How many times it opened.
    times: u64,
}

impl Breaker {
    /// Asks to be let through. Of those that come after the pause the first is let through, and the others find it open again: a
    /// check that is never reported, because its caller went away, keeps nobody out for longer than one pause.
    pub(super) fn enter(&mut self, now: Instant) -> Entry {
        match self.opened {
            None if self.outages == 0 => Entry::Pass,
            None => Entry::Check,
            Some(opened) if now.saturating_duration_since(opened) >= OPEN_FOR => {
                self.opened = Some(now);
                Entry::Check
            }
            Some(_) => Entry::Refused,
        }
    }

    /// Takes note that OPA answered an evaluation, whatever it answered.
    pub(super) fn answered(&mut self) {
        self.outages = 0;
        self.opened = None;
    }

    /// Takes note that a check was answered: everybody is let through, and one more outage opens it again. Waiting for an evaluation to
    /// succeed instead would let whoever sends slow inputs keep it open.
    pub(super) fn alive(&mut self) {
        self.outages = self.outages.min(OUTAGES_TO_OPEN - 1);
        self.opened = None;
    }

    /// Takes note of an outage. Returns whether that opened the breaker.
    pub(super) fn outage(&mut self, now: Instant) -> bool {
        self.outages = self.outages.saturating_add(1);
        if self.outages < OUTAGES_TO_OPEN {
            return false;
        }
        let newly = self.opened.is_none();
        self.opened = Some(now);
        self.times += u64::from(newly);
        newly
    }

    /// Returns the state at an instant.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.opened {
            None => BreakerState::Closed,
            Some(opened) if now.saturating_duration_since(opened) >= OPEN_FOR => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// Returns how many times it opened.
    pub(super) const fn times(&self) -> u64 {
        self.times
    }
}

#[cfg(test)]
mod tests;
