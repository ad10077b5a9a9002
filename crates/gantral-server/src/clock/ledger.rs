//! The clock that several servers share: that of their database.
//!
//! Deadlines are told by the clock of the server that is asked. One whose clock is wrong would let a decision in after the deadline that
//! another one has told people, or reject what still waits: it does neither, and says what is wrong. Between two answers of the database its
//! clock is known by how much time has gone by since the last one, which no step of either wall clock changes: so that a step is noticed by the
//! very next request, and not by the next comparison.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gantral_core::time::UnixMillis;
use gantral_store::{Store, StoreError};

/// How far a clock may be from the database's: more than what servers kept by NTP ever are, and less than any deadline is long.
pub(crate) const APART_MAX: Duration = Duration::from_secs(5);
/// An answer that took longer says too little about when it was given.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// What is known of the clock of the ledger. Knows nothing where the ledger belongs to this server alone: its clock is the ledger's then.
/// Cheap to clone; clones know the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct LedgerClock(Arc<Mutex<Option<Told>>>);

/// One answer of the database.
#[derive(Debug, Clone, Copy)]
struct Told {
    instant: UnixMillis,
    /// When it was asked: it answered in the time `within` after that.
    asked: Instant,
    within: Duration,
}

/// How far the clock of this server is from the ledger's, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    Ahead(Duration),
    Behind(Duration),
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, word) = match self {
            Self::Ahead(by) => (by, "ahead of"),
            Self::Behind(by) => (by, "behind"),
        };
        let seconds = by.as_secs_f64();
        write!(
            f,
            "the clock of this server is {seconds:.1} s {word} the database's: set both by the same source of time"
        )
    }
}

impl Told {
    /// Compares a clock at an instant of the process.
    fn apart(&self, now: UnixMillis, at: Instant) -> Option<Apart> {
        let gone = at.saturating_duration_since(self.asked);
        let millis = |of: UnixMillis| Duration::from_millis(of.get());
        // The database's clock is between these two.
        let latest = millis(self.instant) + gone;
        let earliest = latest.saturating_sub(self.within);
        let now = millis(now);
        if let Some(by) = now.checked_sub(latest).filter(|by| *by > APART_MAX) {
            return Some(Apart::Ahead(by));
        }
        earliest.checked_sub(now).filter(|by| *by > APART_MAX).map(Apart::Behind)
    }
}

impl LedgerClock {
    /// Asks the ledger for its time. An answer that comes too late to say anything changes nothing.
    ///
    /// # Errors
    /// The store's; may be asked again.
    pub(crate) async fn ask(&self, store: &Store) -> Result<(), StoreError> {
        let asked = Instant::now();
        if let Some(instant) = store.clock().await? {
            let within = asked.elapsed();
            if within <= ANSWER_MAX {
                *self.told() = Some(Told { instant, asked, within });
            }
        }
        Ok(())
    }

    /// Returns how far a clock is from the ledger's now, if that is too far to decide anything by it.
    pub(crate) fn apart(&self, now: UnixMillis) -> Option<Apart> {
        let told = *self.told();
        told.and_then(|told| told.apart(now, Instant::now()))
    }

    fn told(&self) -> MutexGuard<'_, Option<Told>> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the database said, and how far a clock that shows `now` is from it `gone` later.
    fn compared(now: u64, gone: Duration) -> Option<Apart> {
        let at = |millis| UnixMillis::new(millis).unwrap();
        let asked = Instant::now();
        let told = Told { instant: at(100_000), asked, within: Duration::from_millis(400) };
        told.apart(at(now), asked + gone)
    }

    #[test]
    fn clock_is_apart_by_more_than_five_seconds_of_what_the_database_shows_by_now() {
        let minute = Duration::from_secs(60);
        assert_eq!(compared(100_000, Duration::ZERO), None);
        assert_eq!(compared(105_000, Duration::ZERO), None);
        assert_eq!(compared(105_001, Duration::ZERO), Some(Apart::Ahead(Duration::from_millis(5_001))));
        assert_eq!(compared(160_000, minute), None);
        assert_eq!(compared(100_000, minute), Some(Apart::Behind(Duration::from_millis(59_600))));
    }

    #[test]
    fn time_that_the_answer_took_counts_for_the_clock() {
        // It may have been given at its very end.
        assert_eq!(compared(94_600, Duration::ZERO), None);
        assert_eq!(compared(94_599, Duration::ZERO), Some(Apart::Behind(Duration::from_millis(5_001))));
    }

    #[test]
    fn remedy_is_said_with_the_distance() {
        let said = Apart::Ahead(Duration::from_millis(3_600_200)).to_string();
        assert!(said.starts_with("the clock of this server is 3600.2 s ahead of the database's"), "{said}");
    }
}
