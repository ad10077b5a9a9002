//! Logs that stand still while the others grow: which, since which artifact, and how they go on.
//!
//! A log stops before an artifact that it may not take, and when it cannot be read itself; both are a matter of its tenant alone
//! (`spec/log.md` L29). The store remembers at which artifact. It is tried again and again, so that it goes on by itself once somebody has
//! mended it, and it goes on with that artifact or not at all.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::ids::TenantId;
use gantral_store::{LOG_PAGE_MAX, LogResume, LogRow, PAGE_MAX, StoreError};
use tokio::time::Instant;

use super::leaves::{Part, parts};
use super::round::{Swapped, hold};
use super::{Sequencer, SequencerError};
use crate::objects::Shelf;
use crate::published::StoppedLog;

/// How long after a log was found standing still it is tried again. A try reads its edge and one page of the ledger.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A log that stands still.
pub(super) struct Stopped {
    /// The number of the first artifact that it has not taken; `None` while it has all that were taken.
    from: Option<u64>,
    retry_at: Instant,
}

impl<S: Shelf> Sequencer<S> {
    /// Reads each log, and publishes what differs. One that cannot be read, or that the store says stands still, does so.
    pub(super) async fn load_logs(&mut self) -> Result<(), SequencerError> {
        self.logs.clear();
        self.stopped.clear();
        let mut after = None;
        loop {
            let tenants = self.store.logged_tenants(after.as_ref(), PAGE_MAX).await?;
            let Some(last) = tenants.last() else { break };
            after = Some(last.clone());
            for tenant in tenants {
                match self.reopen(&tenant).await {
                    Ok(()) => {}
                    Err(error) if error.of_one_log().is_some() => self.stop(&tenant, None, &error),
                    Err(error) => return Err(error),
                }
            }
        }
        let mut after = None;
        loop {
            let held = self.store.held_logs(after.as_ref(), PAGE_MAX).await?;
            let Some(last) = held.last() else { break };
            after = Some(last.tenant.clone());
            for held in held {
                self.waits_from(&held.tenant, held.number);
                self.try_again(&held.tenant).await?;
            }
        }
        for tenant in self.published.stopped().into_keys() {
            if !self.stopped.contains_key(&tenant) {
                self.goes_on(&tenant);
            }
        }
        Ok(())
    }

    /// Tries those logs again that stand still and whose time it is; returns how many artifacts they took.
    pub(super) async fn try_stopped(&mut self) -> Result<usize, SequencerError> {
        let now = Instant::now();
        let due = self.stopped.iter().filter(|(_, stopped)| stopped.retry_at <= now);
        let due: Vec<TenantId> = due.map(|(tenant, _)| tenant.clone()).collect();
        let mut taken = 0usize;
        for tenant in due {
            taken = taken.saturating_add(self.try_again(&tenant).await?);
        }
        Ok(taken)
    }

    /// Returns when a log that stands still is tried next.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.stopped.values().map(|stopped| stopped.retry_at).min()
    }

    /// Notes that a log stands still, and says so if that, or why, is new.
    pub(super) fn stop(&mut self, tenant: &TenantId, from: Option<u64>, error: &SequencerError) {
        self.stopped.insert(tenant.clone(), Stopped { from, retry_at: Instant::now() + RETRY_AFTER });
        let Some(fault) = error.of_one_log().map(|stop| stop.fault) else { return };
        let stopped = StoppedLog { fault, artifact: from, why: error.to_string() };
        if self.published.stop(tenant, stopped) {
            let code = fault.as_str();
            tracing::error!(code, %tenant, artifact = from, %error, "the log of this tenant has stopped growing; others go on");
        }
    }

    /// Notes that artifacts wait for a log that stands still, from this one on if from none before.
    pub(super) fn waits_from(&mut self, tenant: &TenantId, number: u64) {
        let stopped = Stopped { from: None, retry_at: Instant::now() };
        let stopped = self.stopped.entry(tenant.clone()).or_insert(stopped);
        stopped.from.get_or_insert(number);
    }

    fn goes_on(&mut self, tenant: &TenantId) {
        self.stopped.remove(tenant);
        if self.published.go_on(tenant) {
            tracing::info!(code = "log_goes_on", %tenant, "the log of this tenant grows again");
        }
    }

    /// Lets a log that stands still take what it can; returns how many artifacts.
    async fn try_again(&mut self, tenant: &TenantId) -> Result<usize, SequencerError> {
        let from = self.stopped.get(tenant).and_then(|stopped| stopped.from);
        let caught_up = match self.reopen(tenant).await {
            Ok(()) => match from {
                Some(from) => self.catch_up(tenant, from).await,
                None => {
                    self.goes_on(tenant);
                    return Ok(0);
                }
            },
            Err(error) => Err(error),
        };
        match caught_up {
            Err(error) if error.of_one_log().is_some() => {
                self.stop(tenant, from, &error);
                Ok(0)
            }
            caught_up => caught_up,
        }
    }

    /// Lets a log take a page of what waits for it, from the artifact on at which it stands still.
    async fn catch_up(&mut self, tenant: &TenantId, from: u64) -> Result<usize, SequencerError> {
        let page = self.store.committed_of(tenant, from, self.taken, LOG_PAGE_MAX).await?;
        let mut parts = parts(&page, |_| false);
        let part = parts.entry(tenant.clone()).or_default();
        let first = part.batch.links.first().map(|link| link.number);
        if first.or(part.held.first().copied()) != Some(from) {
            let what = "it is not there any more, or says that it is of another tenant".to_owned();
            return Err(SequencerError::Damaged { tenant: tenant.clone(), number: from, what });
        }
        if page.through < self.taken && part.held.is_empty() {
            // There is more: the next page begins with the last of this one.
            let last = part.batch.links.last().map(|link| link.number).filter(|last| *last != from);
            let Some(last) = last else {
                let what = "it is larger than a page".to_owned();
                return Err(SequencerError::Damaged { tenant: tenant.clone(), number: from, what });
            };
            part.hold(Some(last));
        }
        let (growing, rows) = loop {
            let part = parts.entry(tenant.clone()).or_default();
            if part.batch.links.is_empty() {
                return Err(part.fault.take().unwrap_or(SequencerError::Moved));
            }
            match self.resume(tenant, part).await {
                Ok(resumed) => break resumed,
                Err(error) => hold(&mut parts, error)?,
            }
        };
        let part = parts.remove(tenant).unwrap_or_default();
        match (part.held.first(), &part.fault) {
            (Some(held), Some(fault)) => self.stop(tenant, Some(*held), fault),
            (Some(held), None) => {
                let stopped = Stopped { from: Some(*held), retry_at: Instant::now() };
                self.stopped.insert(tenant.clone(), stopped);
            }
            (None, _) => self.goes_on(tenant),
        }
        self.publish(growing, rows).await?;
        Ok(part.batch.links.len())
    }

    /// Stages what one log takes, and swaps its checkpoint in the store.
    async fn resume(&self, tenant: &TenantId, part: &Part) -> Result<Swapped<S>, SequencerError> {
        let growing = self.growing(tenant, Arc::clone(&part.batch))?;
        let (growing, growths) = self.staged(vec![growing]).await?;
        let rows = growths.iter().map(|growth| growth.row.clone()).collect();
        for growth in growths {
            let resume = LogResume { fence: self.fence, growth, held: part.held.first().copied() };
            let resumed = self.store.resume_log(resume).await;
            self.settled(resumed, std::slice::from_ref(tenant)).await?;
        }
        Ok((growing, rows))
    }

    /// Reads one log anew, if it has begun.
    async fn reopen(&mut self, tenant: &TenantId) -> Result<(), SequencerError> {
        self.logs.remove(tenant);
        if let Some(row) = self.stored(tenant).await? {
            let log = self.open(&row).await?;
            self.logs.insert(tenant.clone(), log);
            self.announce(row);
        }
        Ok(())
    }

    /// Reads what the store says of how far a log is.
    pub(super) async fn stored(&self, tenant: &TenantId) -> Result<Option<LogRow>, SequencerError> {
        match self.store.log(tenant).await {
            Err(StoreError::Damaged { what }) => {
                Err(SequencerError::Checkpoint { tenant: tenant.clone(), what })
            }
            found => Ok(found?),
        }
    }
}
