//! The archiver: what the log has taken goes into the archive, step by step, tenant by tenant.
//!
//! A step writes what the artifacts refer to, the segment, and the head; then the store records it. Every name is a function of the
//! ledger and of how far the archive is, and so are the bytes of everything but the head: whoever does a step again, after a crash or beside
//! another archiver, finds what is there and goes on with it. What is there and should not be stops the archive of that tenant.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_keys::Delegations;
use gantral_store::{ArchiveStep, LogRow, NumberedArtifact, SEALED_PAGE_MAX, Store, StoreError};
use tokio::time::{Instant, sleep_until};

use crate::gather::{GatherError, References, delegation_name};
use crate::layout::{
    ArchivedArtifact, FORMAT, Head, LayoutError, NamedObject, SEGMENT_BYTES_MAX, Segment, folder, head_name,
    segment_name,
};
use crate::objects::{Archive, StorageError};
use crate::status::ArchiveStatus;

/// How often it is looked what the logs have taken: with each look one segment for each tenant that had something, so that what many do
/// within it shares the cost of two requests.
pub const PACE: Duration = Duration::from_secs(1);
/// The same where grants wait for the archive.
pub const PACE_REQUIRED: Duration = Duration::from_millis(100);
/// How long after the first failure a tenant is tried again; twice as long after each one that follows.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest that a tenant is not tried.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How many witnesses' sets of checkpoints are looked at: those of a policy.
const WITNESSES_MAX: u8 = 64;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Gather(#[from] GatherError),
    #[error("`{name}` of the archive: {error}")]
    Layout { name: String, error: LayoutError },
    #[error("`{name}` is in the archive and is not what this ledger has there")]
    Foreign { name: String },
    #[error("the log of the tenant has {log} leaves and the archive {archive}")]
    LogBehind { log: u64, archive: u64 },
    #[error("the ledger lacks artifacts that the log has")]
    LedgerBehind,
    #[error("another archiver is further; this one reads again")]
    Moved,
}

impl StepError {
    /// Tells whether somebody has to look before trying again can help.
    fn is_alarm(&self) -> bool {
        match self {
            Self::Storage(StorageError::Storage(_)) | Self::Store(_) | Self::Moved => false,
            Self::Gather(error) => matches!(error, GatherError::Damaged { .. }),
            Self::Storage(StorageError::Different { .. } | StorageError::TooLarge { .. })
            | Self::Layout { .. }
            | Self::Foreign { .. }
            | Self::LogBehind { .. }
            | Self::LedgerBehind => true,
        }
    }
}

/// Carries what the logs have taken into an archive. Any number may work on one archive at once.
pub struct Archiver {
    archive: Archive,
    store: Store,
    delegations: Option<Arc<Delegations>>,
    status: ArchiveStatus,
    tenants: Vec<Tenant>,
    pace: Duration,
}

struct Tenant {
    id: TenantId,
    tries: u32,
    next: Instant,
}

/// A segment on its way, and what its artifacts refer to.
struct Gathered {
    segment: Segment,
    references: References,
}

/// What came of a look at a tenant.
struct Looked {
    size: u64,
    behind: u64,
}

impl Archiver {
    /// Makes an archiver for tenants. `delegations` are those of the issuer's keys, if it has delegates.
    pub fn new(
        archive: Archive,
        store: Store,
        delegations: Option<Arc<Delegations>>,
        tenants: &[TenantId],
        pace: Duration,
    ) -> Self {
        let tenant = |id: &TenantId| Tenant { id: id.clone(), tries: 0, next: Instant::now() };
        let (status, tenants) = (ArchiveStatus::default(), tenants.iter().map(tenant).collect());
        Self { archive, store, delegations, status, tenants, pace }
    }

    /// Returns where it is seen how far the archive is.
    pub fn status(&self) -> ArchiveStatus {
        self.status.clone()
    }

    /// Archives until `stop` is ready; a step that has begun may be left in the middle, and is done again by whoever comes next.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let began = Instant::now();
            let round = async {
                self.round().await;
                sleep_until(began + self.pace).await;
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = round => {}
            }
        }
    }

    /// Takes one step for each tenant that is due.
    pub async fn round(&mut self) {
        for place in 0..self.tenants.len() {
            let Some(tenant) = self.tenants.get(place).filter(|tenant| tenant.next <= Instant::now()) else {
                continue;
            };
            let (id, tries) = (tenant.id.clone(), tenant.tries);
            let looked = self.look(&id).await;
            let Some(tenant) = self.tenants.get_mut(place) else { continue };
            match looked {
                Ok(Looked { size, behind }) => {
                    if tries > 0 {
                        tracing::info!(tenant = %id, "the archive goes on");
                    }
                    tenant.tries = 0;
                    self.status.reached(&id, size, behind);
                }
                Err(StepError::Moved) => {}
                Err(error) => {
                    tenant.tries = tries.saturating_add(1);
                    let longer = RETRY_AFTER.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX));
                    let alarm = error.is_alarm();
                    tenant.next =
                        Instant::now() + if alarm { RETRY_AFTER_MAX } else { longer.min(RETRY_AFTER_MAX) };
                    if alarm {
                        tracing::error!(code = "archive_stopped", tenant = %id, %error, "nothing of the tenant is archived before somebody has looked");
                        self.status.stopped(&id, error.to_string());
                    } else {
                        tracing::warn!(tenant = %id, %error, "nothing was archived; another try follows");
                        self.status.failing(&id, error.to_string());
                    }
                    if let Ok(Some(log)) = self.store.log(&id).await {
                        self.status.waits(&id, log.size);
                    }
                }
            }
        }
    }

    /// Archives what the log of a tenant has taken and the archive has not, at most one segment.
    async fn look(&self, tenant: &TenantId) -> Result<Looked, StepError> {
        let (last, log) = (self.store.archive(tenant).await?, self.store.log(tenant).await?);
        let size = last.as_ref().map_or(0, |last| last.size);
        let Some(log) = log else { return Ok(Looked { size, behind: 0 }) };
        if log.size < size {
            return Err(StepError::LogBehind { log: log.size, archive: size });
        }
        if log.size == size {
            return Ok(Looked { size, behind: 0 });
        }
        let step = self.step(tenant, last.as_ref(), &log).await?;
        Ok(Looked { size: step.size, behind: log.size.saturating_sub(step.size) })
    }

    async fn step(
        &self,
        tenant: &TenantId,
        last: Option<&ArchiveStep>,
        log: &LogRow,
    ) -> Result<ArchiveStep, StepError> {
        let (position, number) = last.map_or((0, 0), |last| (last.size, last.number));
        let next = last.map_or(0, |last| last.segment.saturating_add(1));
        let name = |name: &str| format!("{}/{name}", folder(tenant));
        let left = usize::try_from(log.size.saturating_sub(position)).unwrap_or(SEALED_PAGE_MAX);
        let mut page = self.store.sealed_after(tenant, number, left).await?;
        cut(&mut page);
        if page.is_empty() {
            return Err(StepError::LedgerBehind);
        }
        let ours = self.gathered(tenant, (next, position), &page).await?;
        let (segment_file, ours_bytes) = (segment_name(next), ours.segment.encode());
        let (Gathered { segment, references }, bytes, version) =
            match self.archive.create(&name(&segment_file), &ours_bytes).await {
                Ok(version) => (ours, ours_bytes, version),
                Err(StorageError::Different { name: other }) => {
                    self.adopted(tenant, &other, log.size, &ours.segment).await?
                }
                Err(error) => return Err(error.into()),
            };
        let mut objects = vec![NamedObject::of(segment_file, &bytes, version)];
        objects.extend(self.referred_to(tenant, &references).await?);
        let head = Head {
            format: FORMAT.to_owned(),
            tenant: tenant.to_string(),
            segment: next,
            previous: last.map(|last| NamedObject {
                name: head_name(last.segment),
                sha256: last.head.to_hex(),
                version: last.version.clone(),
            }),
            objects,
            checkpoint: log.checkpoint.clone(),
            cosigned: self.cosigned(tenant, log.size).await?,
        };
        let (head, digest, version) = self.put_head(&name(&head_name(next)), head).await?;
        let number = segment.artifacts.last().map_or(number, |artifact| artifact.number);
        let step = ArchiveStep { segment: next, size: segment.end(), number, head: digest, version };
        let objects = head.objects.iter().map(|object| {
            object.archived().map_err(|error| StepError::Layout { name: object.name.clone(), error })
        });
        let objects = objects.collect::<Result<Vec<_>, _>>()?;
        if self.store.keep_archived(tenant, step.clone(), objects).await? {
            Ok(step)
        } else {
            Err(StepError::Moved)
        }
    }

    /// Makes the segment of artifacts, and reads what they refer to.
    async fn gathered(
        &self,
        tenant: &TenantId,
        (segment, position): (u64, u64),
        page: &[NumberedArtifact],
    ) -> Result<Gathered, StepError> {
        let references = References::of(page)?;
        let actions = references.actions(&self.store, tenant).await?;
        let artifacts = page.iter().map(|artifact| ArchivedArtifact {
            number: artifact.number,
            chain: artifact.chain,
            sequence: artifact.sealed.sequence,
            action: actions.get(&artifact.number).cloned(),
            envelope: artifact.sealed.envelope.clone(),
        });
        let segment = Segment { tenant: tenant.clone(), segment, position, artifacts: artifacts.collect() };
        Ok(Gathered { segment, references })
    }

    /// Returns the segment that is there in place of ours, with its bytes and version, if it is of the same artifacts: somebody has made it when
    /// the log had more or less.
    async fn adopted(
        &self,
        tenant: &TenantId,
        name: &str,
        log: u64,
        ours: &Segment,
    ) -> Result<(Gathered, Vec<u8>, Option<String>), StepError> {
        let found = self.archive.read(name, None).await?.ok_or(StepError::Moved)?;
        let theirs = Segment::parse(&found.bytes)
            .map_err(|error| StepError::Layout { name: name.to_owned(), error })?;
        if theirs.end() > log {
            // Its archiver knows more of the log than we have read.
            return Err(StepError::Moved);
        }
        let before = ours.artifacts.first().map_or(0, |first| first.number.saturating_sub(1));
        let page = self.store.sealed_after(tenant, before, theirs.artifacts.len()).await?;
        let expected = self.gathered(tenant, (ours.segment, ours.position), &page).await?;
        if expected.segment.encode() == found.bytes {
            Ok((expected, found.bytes, found.version))
        } else {
            Err(StepError::Foreign { name: name.to_owned() })
        }
    }

    /// Puts what artifacts refer to and is not in the archive yet.
    async fn referred_to(
        &self,
        tenant: &TenantId,
        references: &References,
    ) -> Result<Vec<NamedObject>, StepError> {
        let known = self.store.archived(tenant, references.names()).await?;
        let known: BTreeSet<String> = known.into_iter().map(|object| object.name).collect();
        let delegations = self.delegations.as_deref();
        let mut objects = references.objects(&self.store, tenant, delegations, &known).await?;
        let delegated = objects.values().map(|bytes| delegation_name(bytes));
        let delegated = delegated.filter(|name| objects.contains_key(name)).collect();
        for known in self.store.archived(tenant, delegated).await? {
            objects.remove(&known.name);
        }
        let mut named = Vec::with_capacity(objects.len());
        for (name, bytes) in objects {
            let version = self.archive.create(&format!("{}/{name}", folder(tenant)), &bytes).await?;
            named.push(NamedObject::of(name, &bytes, version));
        }
        Ok(named)
    }

    /// Returns the newest checkpoints that witnesses have cosigned, for each number of witnesses, as far as the archive may name them.
    async fn cosigned(&self, tenant: &TenantId, size: u64) -> Result<Vec<String>, StoreError> {
        let mut notes: Vec<String> = Vec::new();
        for witnesses in 1..=WITNESSES_MAX {
            let Some(row) = self.store.cosigned(tenant, witnesses).await? else { break };
            if row.size <= size && !notes.contains(&row.checkpoint) {
                notes.push(row.checkpoint);
            }
        }
        notes.reverse();
        Ok(notes)
    }

    /// Puts a head, or returns the one that is there, if it is of the same step.
    async fn put_head(&self, name: &str, head: Head) -> Result<(Head, Digest, Option<String>), StepError> {
        let bytes = head.encode();
        match self.archive.create(name, &bytes).await {
            Ok(version) => Ok((head, Digest::of(&bytes), version)),
            Err(StorageError::Different { .. }) => {
                let found = self.archive.read(name, None).await?.ok_or(StepError::Moved)?;
                let theirs = Head::parse(&found.bytes)
                    .map_err(|error| StepError::Layout { name: name.to_owned(), error })?;
                let same = theirs.tenant == head.tenant
                    && theirs.previous == head.previous
                    && theirs.objects.first() == head.objects.first();
                if !same {
                    return Err(StepError::Foreign { name: name.to_owned() });
                }
                Ok((theirs, Digest::of(&found.bytes), found.version))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Leaves out what would make a segment larger than is read at a time.
fn cut(page: &mut Vec<NumberedArtifact>) {
    let mut bytes = 0_usize;
    let fits = page.iter().take_while(|artifact| {
        bytes = bytes.saturating_add(artifact.sealed.envelope.len());
        bytes <= SEGMENT_BYTES_MAX
    });
    let count = fits.count().max(1);
    page.truncate(count);
}
