//! Time as a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantral_core::time::{DurationMs, UnixMillis};

/// When every world begins: 2026-01-01T00:00:00Z.
const BEGINNING_MS: u64 = 1_767_225_600_000;

/// A clock that stands still until it is told to go on. Clones are one clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<AtomicU64>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(BEGINNING_MS)))
    }
}

impl Clock {
    /// Returns the instant.
    pub fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst)).expect("a world ends before the year 9999")
    }

    /// Goes on, and returns the instant then.
    pub fn advance(&self, by: DurationMs) -> UnixMillis {
        self.0.fetch_add(by.get(), Ordering::SeqCst);
        self.now()
    }

    /// Goes on to an instant; one that has passed changes nothing.
    pub fn advance_to(&self, instant: UnixMillis) {
        self.0.fetch_max(instant.get(), Ordering::SeqCst);
    }
}
