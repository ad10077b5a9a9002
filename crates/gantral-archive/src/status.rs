//! How far the archive of each tenant is, for metrics, readiness, and whoever waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantral_core::ids::TenantId;
use tokio::sync::watch;

/// How the archive of one tenant is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantStatus {
    /// How many leaves of the log are in the archive.
    pub size: u64,
    /// How many leaves of the log are not.
    pub behind: u64,
    /// Since when there are some, as far as this process knows.
    pub behind_since: Option<Instant>,
    /// Why the last try failed; it is tried again by itself.
    pub failing: Option<String>,
    /// Why nothing is archived before somebody has looked.
    pub stopped: Option<String>,
}

impl TenantStatus {
    /// Returns for how long something has not been archived.
    pub fn behind_for(&self) -> Duration {
        self.behind_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// How far the archive is. Cheap to clone; clones are about one archiver.
#[derive(Debug, Clone, Default)]
pub struct ArchiveStatus(Arc<watch::Sender<BTreeMap<TenantId, TenantStatus>>>);

impl ArchiveStatus {
    /// Returns how the archive of each tenant is.
    pub fn tenants(&self) -> BTreeMap<TenantId, TenantStatus> {
        self.0.borrow().clone()
    }

    /// Returns how many leaves of a tenant's log are in the archive.
    pub fn size(&self, tenant: &TenantId) -> u64 {
        self.0.borrow().get(tenant).map_or(0, |status| status.size)
    }

    /// Subscribes to changes.
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<TenantId, TenantStatus>> {
        self.0.subscribe()
    }

    pub(crate) fn reached(&self, tenant: &TenantId, size: u64, behind: u64) {
        self.change(tenant, |status| {
            status.size = size;
            status.behind = behind;
            status.behind_since = (behind > 0).then(|| status.behind_since.unwrap_or_else(Instant::now));
            (status.failing, status.stopped) = (None, None);
        });
    }

    pub(crate) fn failing(&self, tenant: &TenantId, why: String) {
        self.change(tenant, |status| status.failing = Some(why));
    }

    pub(crate) fn stopped(&self, tenant: &TenantId, why: String) {
        self.change(tenant, |status| status.stopped = Some(why));
    }

    /// Notes how many leaves wait while nothing can be archived.
    pub(crate) fn waits(&self, tenant: &TenantId, log: u64) {
        self.change(tenant, |status| {
            status.behind = log.saturating_sub(status.size);
            if status.behind > 0 {
                status.behind_since.get_or_insert_with(Instant::now);
            }
        });
    }

    fn change(&self, tenant: &TenantId, change: impl FnOnce(&mut TenantStatus)) {
        self.0.send_if_modified(|tenants| {
            let status = tenants.entry(tenant.clone()).or_default();
            let before = status.clone();
            change(status);
            *status != before
        });
    }
}
