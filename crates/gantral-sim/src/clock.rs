//! The true time, and the clocks of servers, which are wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use gantral_core::time::{DurationMs, UnixMillis};
use tokio::time::Instant;

/// When every run begins: 2026-01-01T00:00:00Z.
const BEGINNING_MS: u64 = 1_767_225_600_000;

/// The true time: that of the runtime, which goes on only when nothing else is to be done.
#[derive(Debug, Clone, Copy)]
pub struct TrueClock(Instant);

impl TrueClock {
    /// Begins now, inside a runtime.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns how much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Returns the time.
    pub fn now(&self) -> UnixMillis {
        let passed = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let beginning = UnixMillis::new(BEGINNING_MS).unwrap_or(UnixMillis::EPOCH);
        beginning.plus(DurationMs::new(passed))
    }
}

/// The clock of one server.
#[derive(Debug, Clone)]
pub struct NodeClock {
    truth: TrueClock,
    ahead_ms: Arc<AtomicI64>,
}

impl NodeClock {
    pub(crate) fn new(truth: TrueClock) -> Self {
        Self { truth, ahead_ms: Arc::default() }
    }

    /// Steps to so many milliseconds ahead of the true time, or behind.
    pub(crate) fn step(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// Returns the time as this server believes it to be.
    pub fn now(&self) -> UnixMillis {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let by = DurationMs::new(ahead.unsigned_abs());
        if ahead < 0 { self.truth.now().minus(by) } else { self.truth.now().plus(by) }
    }
}
