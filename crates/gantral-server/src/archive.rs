//! The write-once archive of this server: where it is, what carries what was sealed there, and whether grants wait for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantral_archive::{
    Archive, ArchiveConfig, ArchiveStatus, Archiver, OpenError, PACE, PACE_REQUIRED, TenantStatus,
};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_engine::checkpoints::Checkpoints;
use gantral_engine::policy_point::BoxFuture;
use gantral_evidence::log::tree::TreeHead;
use gantral_keys::Delegations;
use gantral_store::Store;
use serde::Deserialize;

use crate::logs::place;

/// The archive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSettings {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or `file:///folder`.
    pub url: String,
    /// Whether a grant may be used only once the artifact that grants it is in the archive.
    #[serde(default)]
    pub required: bool,
    /// Of S3: for how many days nobody may delete an object; 0 where the bucket itself retains.
    #[serde(default)]
    pub retain_days: Option<u32>,
    /// Of S3: the address of a server that is not the one of AWS; plain `http` is for loopback.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Of S3: the region.
    #[serde(default)]
    pub region: Option<String>,
    /// Of S3: the key; that of the environment where it is absent.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// Of S3: a file with the secret key, which only its owner may read.
    #[serde(default)]
    pub secret_access_key_file: Option<PathBuf>,
    /// The authorities to trust, PEM; those of the system when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The archive of a server: how far it is, and what works on it, for whoever serves.
pub struct Archiving {
    status: ArchiveStatus,
    required: bool,
    archiver: Mutex<Option<Archiver>>,
}

/// How the archives of all tenants are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ArchiveStanding {
    /// How many leaves of the logs are not archived.
    pub behind: u64,
    /// For how long the oldest of them has not been.
    pub behind_for: Duration,
    /// How many archives do not grow before somebody has looked.
    pub stopped: usize,
    /// Why grants wait for ever; `None` while they do not, or do not wait for the archive.
    pub holds_back: Option<String>,
}

impl ArchiveSettings {
    /// Returns where the archive is.
    pub(crate) fn config(&self) -> ArchiveConfig {
        ArchiveConfig {
            url: self.url.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key_file: self.secret_access_key_file.clone(),
            ca_file: self.ca_file.clone(),
            retain_days: self.retain_days,
        }
    }

    /// Opens the archive. Connects to nothing yet.
    ///
    /// # Errors
    /// [`OpenError`].
    fn open(
        &self,
        store: Store,
        delegations: Arc<Delegations>,
        tenants: &[TenantId],
    ) -> Result<Archiving, OpenError> {
        let archive = Archive::open(&self.config())?;
        let pace = if self.required { PACE_REQUIRED } else { PACE };
        let archiver = Archiver::new(archive, store, Some(delegations), tenants, pace);
        let status = archiver.status();
        Ok(Archiving { status, required: self.required, archiver: Mutex::new(Some(archiver)) })
    }
}

impl Archiving {
    /// Hands out what archives, once.
    pub(crate) fn take(&self) -> Option<Archiver> {
        self.archiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns how the archives are.
    pub(crate) fn standing(&self) -> ArchiveStanding {
        let tenants = self.status.tenants();
        let stopped = || tenants.values().filter_map(|status| status.stopped.as_ref());
        let all_stand_still = !tenants.is_empty() && stopped().count() == tenants.len();
        ArchiveStanding {
            behind: tenants.values().map(|status| status.behind).fold(0, u64::saturating_add),
            behind_for: tenants.values().map(TenantStatus::behind_for).max().unwrap_or_default(),
            stopped: stopped().count(),
            holds_back: stopped().next().filter(|_| self.required && all_stand_still).cloned(),
        }
    }
}

/// Opens the archive, if one is kept, and returns the checkpoints that release grants then: those of the logs, and where the archive is
/// required what it has too.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn open(
    settings: Option<&ArchiveSettings>,
    logs: Arc<dyn Checkpoints>,
    store: &Store,
    delegations: Arc<Delegations>,
    tenants: &[TenantId],
) -> Result<(Option<Archiving>, Arc<dyn Checkpoints>), OpenError> {
    let Some(settings) = settings else { return Ok((None, logs)) };
    let archiving = settings.open(store.clone(), delegations, tenants)?;
    if !settings.required {
        return Ok((Some(archiving), logs));
    }
    let archived = Archived { logs, status: archiving.status.clone(), store: store.clone() };
    Ok((Some(archiving), Arc::new(archived)))
}

/// Checkpoints that cover what is in the archive.
struct Archived {
    logs: Arc<dyn Checkpoints>,
    status: ArchiveStatus,
    store: Store,
}

impl Archived {
    /// Waits until an artifact is in the archive; returns whether it is by then.
    async fn has(&self, tenant: &TenantId, instance: InstanceId, sequence: u64) -> bool {
        let mut changes = self.status.subscribe();
        let Some(place) = place(&self.store, tenant, instance, sequence).await else { return false };
        changes
            .wait_for(|tenants| tenants.get(tenant).is_some_and(|status| status.size > place))
            .await
            .is_ok()
    }
}

impl Checkpoints for Archived {
    fn newest(&self, tenant: &TenantId, witnesses: u8) -> Option<TreeHead> {
        self.logs.newest(tenant, witnesses)
    }

    fn covering<'a>(
        &'a self,
        tenant: &'a TenantId,
        instance: InstanceId,
        sequence: u64,
        witnesses: u8,
        limit: Duration,
    ) -> BoxFuture<'a, Option<TreeHead>> {
        Box::pin(async move {
            let until = tokio::time::Instant::now() + limit;
            let tree = self.logs.covering(tenant, instance, sequence, witnesses, limit).await?;
            // Asked without a limit, it is still said what holds now.
            let left = until.saturating_duration_since(tokio::time::Instant::now()).max(LOOK);
            let has = self.has(tenant, instance, sequence);
            tokio::time::timeout(left, has).await.is_ok_and(|has| has).then_some(tree)
        })
    }

    fn release_waits(&self) -> bool {
        true
    }
}

/// How long it may take to look whether something is archived already.
const LOOK: Duration = Duration::from_millis(20);
