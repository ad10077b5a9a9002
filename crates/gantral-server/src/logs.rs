//! The transparency logs of the tenants, as this server keeps them: what is published, who has cosigned it, and whether the ledger
//! still holds all of it.

mod behind;
mod export;
mod keeping;
mod shown;
mod trust;
mod witnesses;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantral_core::ids::{IdError, InstanceId, TenantId};
use gantral_core::workflow::WITNESSES_MAX;
use gantral_engine::checkpoints::Checkpoints;
use gantral_engine::policy_point::BoxFuture;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::tree::TreeHead;
use gantral_keys::Signer;
use gantral_log::folder::FOLDER;
use gantral_log::objects::{READ_ONLY, Shelf as _};
use gantral_log::published::{Published, PublishedCheckpoint, SequencerState, StoppedLog};
use gantral_log::push::AddressError;
use gantral_log::sequencer::{SequencerConfig, SequencerError, SequencerParts};
use gantral_log::stored::{Kept, KeptLog};
use gantral_store::{ChainId, Duties, Store, StoreError};
use tokio::sync::watch;

use crate::keys::log_of;
use crate::standing::Standing;

pub use keeping::Keeping;
pub(crate) use trust::hint;
pub use witnesses::WitnessSettings;

/// Why the logs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The sequencer does not start.
    #[error("the logs: {0}")]
    Sequencer(#[from] SequencerError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files of a log cannot be read.
    #[error("the log of `{tenant}` cannot be read: {source}")]
    Files {
        /// Whose log.
        tenant: TenantId,
        /// Why.
        source: std::io::Error,
    },
    /// What is published is not a checkpoint that a key of this server signed.
    #[error(
        "the published checkpoint of `{tenant}` was not signed by a key of this server: it is the log of another"
    )]
    Foreign {
        /// Whose log.
        tenant: TenantId,
    },
    /// A tenant whose log has no name.
    #[error(transparent)]
    Origin(#[from] IdError),
    /// The address of a witness cannot be used.
    #[error(transparent)]
    Witness(#[from] AddressError),
}

/// What a log is kept with.
pub(crate) struct LogParts<'a> {
    pub store: Store,
    /// What this server does, and no other at the same time.
    pub duties: Duties,
    /// The data folder.
    pub data: &'a Path,
    pub tenants: &'a [TenantId],
    /// The current key of the logs.
    pub signer: Arc<dyn Signer>,
    /// Keys of the logs before it.
    pub earlier: Vec<PublicKey>,
    /// What follows the tenant in the name of a log.
    pub suffix: String,
    /// Who is asked to cosign.
    pub witnesses: &'a [WitnessSettings],
}

/// Which logs of a server stand still.
#[derive(Debug, Default)]
pub(crate) struct LogStanding {
    /// How many do.
    pub still: usize,
    /// Those that do while others may grow.
    pub stopped: BTreeMap<TenantId, StoppedLog>,
    /// Why, when no log grows.
    pub none_grows: Option<String>,
}

/// The logs of a server. Cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    store: Store,
    kept: Kept,
    key: PublicKey,
    published: Published,
    tenants: Vec<TenantId>,
    witnesses: Vec<WitnessSettings>,
    witnessed: Witnessed,
}

/// For each tenant the newest tree that so many witnesses have cosigned, at the place of their number less one.
#[derive(Default)]
struct Witnessed(Mutex<BTreeMap<TenantId, watch::Sender<Vec<TreeHead>>>>);

impl Witnessed {
    fn log<R>(&self, tenant: &TenantId, run: impl FnOnce(&watch::Sender<Vec<TreeHead>>) -> R) -> R {
        // The map is plain data: a panic elsewhere leaves it whole.
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        run(logs.entry(tenant.clone()).or_default())
    }
}

impl Logs {
    /// Reads how far the logs have come, and takes over letting them grow unless another server does. When the ledger is behind what was
    /// published, `standing` says so and nothing grows. The witnesses are asked once before this returns, because they may know better.
    pub(crate) async fn open(
        parts: LogParts<'_>,
        standing: &Standing,
    ) -> Result<(Self, Option<Keeping>), LogsError> {
        let kept = Kept::of(&parts.store, &parts.data.join(FOLDER));
        let key = parts.signer.public_key().clone();
        let keys: Vec<PublicKey> = std::iter::once(key.clone()).chain(parts.earlier).collect();
        for tenant in parts.tenants {
            let objects = kept.log(&log_of(tenant)?, READ_ONLY);
            if let Some(why) = behind::published(&parts.store, tenant, objects, &keys).await? {
                standing.fall_behind(why);
            }
        }
        let published = Published::new();
        let inner = Inner {
            store: parts.store.clone(),
            kept: kept.clone(),
            key,
            published: published.clone(),
            tenants: parts.tenants.to_vec(),
            witnesses: parts.witnesses.to_vec(),
            witnessed: Witnessed::default(),
        };
        let logs = Self(Arc::new(inner));
        if standing.behind().is_some() {
            return Ok((logs, None));
        }
        logs.refresh().await?;
        let config = SequencerConfig { suffix: parts.suffix };
        let sequencer =
            SequencerParts { store: parts.store, shelf: kept, signer: parts.signer, config, published };
        let mut keeping = Keeping::open(&logs, sequencer, parts.duties, standing).await?;
        if !parts.witnesses.is_empty() {
            for tenant in parts.tenants {
                logs.remember(tenant, parts.witnesses.len()).await?;
                keeping.ask(tenant, parts.witnesses).await?;
            }
        }
        let keeping = if standing.behind().is_none() { Some(keeping) } else { None };
        Ok((logs, keeping))
    }

    /// Reads which trees witnesses had cosigned before.
    async fn remember(&self, tenant: &TenantId, witnesses: usize) -> Result<(), StoreError> {
        for count in 1..=u8::try_from(witnesses).unwrap_or(WITNESSES_MAX).min(WITNESSES_MAX) {
            if let Some(row) = self.0.store.cosigned(tenant, count).await? {
                self.cosigned(tenant, TreeHead { size: row.size, root: row.root }, usize::from(count));
            }
        }
        Ok(())
    }

    /// Reads how far the logs are that another server may let grow, and who has cosigned them. A file has no other server.
    async fn refresh(&self) -> Result<(), StoreError> {
        let Store::Postgres(store) = &self.0.store else { return Ok(()) };
        let mut held = BTreeMap::new();
        for log in store.followed_logs(&self.0.tenants, self.witnesses()).await? {
            if let Some(row) = log.newest {
                let tree = TreeHead { size: row.size, root: row.root };
                self.0.published.follow(&log.tenant, PublishedCheckpoint { tree, note: row.checkpoint });
            }
            for (witnesses, (size, root)) in log.cosigned {
                self.cosigned(&log.tenant, TreeHead { size, root }, usize::from(witnesses));
            }
            held.extend(log.held.map(|number| (log.tenant, number)));
        }
        self.0.published.follow_stopped(held);
        Ok(())
    }

    /// Returns how many witnesses are asked, at most as many as a workflow can wait for.
    pub(crate) fn witnesses(&self) -> u8 {
        u8::try_from(self.0.witnesses.len()).unwrap_or(WITNESSES_MAX).min(WITNESSES_MAX)
    }

    /// Returns the ledger.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Returns the key that signs checkpoints.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.0.key
    }

    /// Returns the objects of a tenant's log.
    pub(crate) fn objects(&self, tenant: &TenantId) -> Result<KeptLog, IdError> {
        Ok(self.0.kept.log(&log_of(tenant)?, READ_ONLY))
    }

    /// Returns what is published.
    pub(crate) fn published(&self) -> &Published {
        &self.0.published
    }

    /// Tells which logs will not grow before somebody has looked, and what is wrong.
    pub(crate) fn standing(&self) -> LogStanding {
        let (tenants, stopped) = (&self.0.tenants, self.0.published.stopped());
        if let SequencerState::Stopped(why) = self.0.published.state() {
            return LogStanding { still: tenants.len(), stopped, none_grows: Some(why) };
        }
        let still = tenants.iter().filter(|tenant| stopped.contains_key(tenant)).count();
        let why = stopped.values().next().filter(|_| still == tenants.len());
        LogStanding { still, none_grows: why.map(|stopped| stopped.why.clone()), stopped }
    }

    /// Notes that so many witnesses have cosigned a tree, and that their lines are published.
    pub(crate) fn cosigned(&self, tenant: &TenantId, tree: TreeHead, witnesses: usize) {
        self.0.witnessed.log(tenant, |log| {
            log.send_if_modified(|trees| {
                let before = trees.clone();
                if trees.len() < witnesses.min(usize::from(WITNESSES_MAX)) {
                    trees.resize(witnesses.min(usize::from(WITNESSES_MAX)), TreeHead::empty());
                }
                for known in trees.iter_mut().take(witnesses) {
                    if known.size < tree.size {
                        *known = tree;
                    }
                }
                *trees != before
            });
        });
    }

    /// Returns the newest tree that counts and covers an artifact, if there is one now.
    async fn covers(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        sequence: u64,
        witnesses: u8,
    ) -> Option<TreeHead> {
        let newest = self.newest(tenant, witnesses)?;
        let place = place(&self.0.store, tenant, instance, sequence).await?;
        (place < newest.size).then_some(newest)
    }
}

/// Returns where an artifact stands in the log of its tenant, if it does. A failure to read is no release: whoever asks again finds out.
pub(crate) async fn place(
    store: &Store,
    tenant: &TenantId,
    instance: InstanceId,
    sequence: u64,
) -> Option<u64> {
    let places = store.log_positions(tenant, ChainId::Instance(instance), sequence, 1).await.ok()?;
    places.first().copied()
}

impl Checkpoints for Logs {
    fn newest(&self, tenant: &TenantId, witnesses: u8) -> Option<TreeHead> {
        match usize::from(witnesses).checked_sub(1) {
            None => self.0.published.newest(tenant).map(|checkpoint| checkpoint.tree),
            Some(place) => self.0.witnessed.log(tenant, |log| log.borrow().get(place).copied()),
        }
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
            let mut published = self.0.published.subscribe(tenant);
            let mut witnessed = self.0.witnessed.log(tenant, watch::Sender::subscribe);
            let until = tokio::time::Instant::now() + limit;
            loop {
                let found = self.covers(tenant, instance, sequence, witnesses).await;
                if found.is_some() {
                    return found;
                }
                let changed = async {
                    tokio::select! {
                        changed = published.changed() => changed,
                        changed = witnessed.changed() => changed,
                    }
                };
                match tokio::time::timeout_at(until, changed).await {
                    Ok(Ok(())) => {}
                    // The time is over, or nothing is published any more.
                    Ok(Err(_)) | Err(_) => return None,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
