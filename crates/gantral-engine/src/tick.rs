//! What time demands of all instances: due gates, lost leases, reminders. The caller owns the clock and the loop.

use gantral_core::time::UnixMillis;
use gantral_store::{DueReminder, Reminded, Tell};

use crate::engine::{Call, Engine};
use crate::error::EngineError;
use crate::fresh::Fresh;
use crate::notice::{NoticeKind, due_percents, next_reminder};

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
    /// Open gates whose approvers were reminded.
    pub reminded: usize,
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
        // After the due steps: what has closed or moved is reminded of no more.
        ticked.reminded = self.remind(now).await?;
        self.0.store.forget_idempotency(now, FORGET_MAX).await?;
        self.0.store.expire_proposals(now).await?;
        Ok(ticked)
    }

    /// Writes the reminders that are due. Each is written once: with its messages the next one is scheduled, in one transaction.
    async fn remind(&self, now: UnixMillis) -> Result<usize, EngineError> {
        let found = self.0.store.due_reminders(now, TICK_MAX).await?;
        if found.is_empty() {
            return Ok(0);
        }
        let reminded = found.into_iter().map(|found| self.reminder(found, now)).collect();
        Ok(self.0.store.remind(reminded).await?)
    }

    fn reminder(&self, found: DueReminder, now: UnixMillis) -> Reminded {
        let (tenant, team, workflow) = (&found.tenant, &found.team, &found.workflow);
        let to = self.0.config.recipients.of(tenant, team, workflow, NoticeKind::Reminder);
        let name = NoticeKind::Reminder.name().filter(|_| !to.is_empty());
        let tell = name.map_or_else(Vec::new, |kind| {
            let percents = due_percents(found.since, found.deadline, found.due, now);
            let told = |percent| Tell {
                gate: found.gate,
                kind: kind.clone(),
                percent: Some(percent),
                at: now,
                to: to.clone(),
            };
            percents.map(told).collect()
        });
        let next = next_reminder(found.since, found.deadline, now);
        Reminded { found, next, tell }
    }
}
