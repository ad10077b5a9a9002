//! Duties of one process, shared among its tasks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::SqliteStore;
use crate::duty::{Duty, DutyTaken, Held, Holder};
use crate::error::StoreError;
use crate::fault::duty_over;

/// Who holds which duty.
#[derive(Debug, Default)]
pub(super) struct Duties(Mutex<BTreeMap<Duty, Hold>>);

#[derive(Debug)]
struct Hold {
    holder: Option<Holder>,
    fence: u64,
    until: Instant,
}

impl Duties {
    /// Tells whether nobody has taken a duty over.
    pub(super) fn has(&self, held: &Held) -> bool {
        self.with(|duties| duties.get_mut(&held.duty).is_some_and(|hold| hold.is(held)))
    }

    fn with<R>(&self, run: impl FnOnce(&mut BTreeMap<Duty, Hold>) -> R) -> R {
        // The map is plain data: a panic elsewhere leaves it whole.
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, held: &Held, change: impl FnOnce(&mut Hold)) -> bool {
        self.with(|duties| {
            let hold = duties.get_mut(&held.duty).filter(|hold| hold.is(held));
            hold.map(change).is_some()
        })
    }
}

impl Hold {
    fn is(&self, held: &Held) -> bool {
        self.holder == Some(held.holder) && self.fence == held.fence
    }
}

impl SqliteStore {
    pub(crate) async fn take_duty(
        &self,
        duty: &Duty,
        holder: Holder,
        lasting: Duration,
    ) -> Result<DutyTaken, StoreError> {
        duty_over(self.way.as_ref(), || self.take(duty, holder, lasting)).await
    }

    fn take(&self, duty: &Duty, holder: Holder, lasting: Duration) -> DutyTaken {
        let now = Instant::now();
        self.inner.duties.with(|duties| {
            let hold = duties.entry(duty.clone());
            let hold = hold.or_insert(Hold { holder: None, fence: 0, until: now });
            if hold.holder.is_some_and(|other| other != holder) && hold.until > now {
                return DutyTaken::Others { left: hold.until.saturating_duration_since(now) };
            }
            if hold.holder != Some(holder) {
                (hold.holder, hold.fence) = (Some(holder), hold.fence.saturating_add(1));
            }
            hold.until = now + lasting;
            DutyTaken::Held(Held { duty: duty.clone(), holder, fence: hold.fence })
        })
    }

    pub(crate) async fn renew_duty(&self, held: &Held, lasting: Duration) -> Result<bool, StoreError> {
        let renew = || self.inner.duties.change(held, |hold| hold.until = Instant::now() + lasting);
        duty_over(self.way.as_ref(), renew).await
    }

    pub(crate) async fn release_duty(&self, held: &Held) -> Result<bool, StoreError> {
        let release = || self.inner.duties.change(held, |hold| hold.holder = None);
        duty_over(self.way.as_ref(), release).await
    }
}
