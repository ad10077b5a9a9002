//! Chance, all of it from one seed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantral_core::digest::Hasher;

/// A source of chance. Clones are one source: who asks first gets the first number, so that the order of the questions is part of the run.
#[derive(Debug, Clone)]
pub struct Rng(Arc<Mutex<u64>>);

impl Rng {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    /// Draws a number (SplitMix64).
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Draws a number below `end`, which is at least 1.
    pub fn below(&self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or_default()
    }

    /// Says yes so many times out of a thousand.
    pub fn permille(&self, yes: u64) -> bool {
        self.below(1_000) < yes
    }

    /// Draws a time from `from` up to `to`, in whole milliseconds.
    pub fn between(&self, from: Duration, to: Duration) -> Duration {
        let span = u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX);
        from + Duration::from_millis(self.below(span.saturating_add(1)))
    }

    /// Draws 32 bytes.
    pub fn bytes32(&self) -> [u8; 32] {
        *Hasher::new("gantral/sim/v1").bytes(&self.next().to_be_bytes()).finish().as_bytes()
    }

    /// Draws 16 bytes.
    pub fn bytes16(&self) -> [u8; 16] {
        u128::from_be_bytes(
            [self.next().to_be_bytes(), self.next().to_be_bytes()].concat().try_into().unwrap_or([0; 16]),
        )
        .to_be_bytes()
    }
}
