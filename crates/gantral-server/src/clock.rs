//! The wall clock, and randomness: the only place of the server that reads either.

mod ledger;

use std::time::{SystemTime, UNIX_EPOCH};

use gantral_core::time::UnixMillis;

pub(crate) use ledger::{APART_MAX, Apart, LedgerClock};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns the present instant.
    fn now(&self) -> UnixMillis;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        // A clock after the year 9999 reads as the epoch: every token and every lease is then refused.
        UnixMillis::new(millis).unwrap_or(EPOCH)
    }
}

const EPOCH: UnixMillis = match UnixMillis::new(0) {
    Ok(epoch) => epoch,
    Err(_) => panic!("zero is an instant"),
};

/// Why there is no randomness: nothing may be sealed without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoRandomness;

/// Returns 32 bytes from the system's generator.
pub fn seed() -> Result<[u8; 32], NoRandomness> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed).map_err(|_| NoRandomness)?;
    Ok(seed)
}
