//! What time demands of all instances: due gates, lost leases. The caller owns the clock and the loop.

use gantral_core::time::UnixMillis;

use crate::engine::{Call, Engine};
use crate::error::EngineError;
use crate::fresh::Fresh;

/// How many due instances, and how many lost leases, one tick takes.
const TICK_MAX: usize = 256;
/// How many expired idempotency keys one tick forgets.
const FORGET_MAX: usize = 1_000;

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticked {
    /// Instances whose due steps were sealed.
    pub due: usize,
    /// Attempts whose lease was over.
    pub lost: usize,
    /// Instances that could not be moved; they stay due.
    pub failed: usize,
}

impl Engine {
    /// Seals what is due at `now`. Running late, twice, or on several nodes at once changes nothing but promptness.
    ///
    /// # Errors
    /// The store's, when it cannot be read. What fails for one instance does not stop the others.
    pub async fn tick(&self, now: UnixMillis, seed: [u8; 32]) -> Result<Ticked, EngineError> {
        let mut ticked = Ticked::default();
        let mut fresh = Fresh::new(seed);
        for lease in self.0.store.expired_leases(now, TICK_MAX).await? {
            let mut call = Call { now, fresh: Fresh::new(fresh.bytes32()), key: None };
            match self.lose(&mut call, &lease.tenant, lease.instance, lease.attempt).await {
                Ok(()) => ticked.lost = ticked.lost.saturating_add(1),
                // The attempt ended, or its instance did, between the reading and the sealing.
                Err(EngineError::Refused(_)) => {}
                Err(_) => ticked.failed = ticked.failed.saturating_add(1),
            }
        }
        for (tenant, id) in self.0.store.due(now, TICK_MAX).await? {
            match self.hold_at(&tenant, id, now).await {
                Ok(_) => ticked.due = ticked.due.saturating_add(1),
                Err(_) => ticked.failed = ticked.failed.saturating_add(1),
            }
        }
        self.0.store.forget_idempotency(now, FORGET_MAX).await?;
        Ok(ticked)
    }
}
