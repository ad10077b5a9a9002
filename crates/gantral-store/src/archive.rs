//! What the archiver reads and writes here: sealed artifacts with their envelopes, and what of each tenant is in the archive.
//!
//! The archive follows the log, which follows the ledger. How far it has come is a row for each of its steps, which is only ever added to:
//! whoever adds the same one twice, or at the same time as somebody else, changes nothing. Source: `spec/archive.md`.

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;

use crate::append::SealedArtifact;
use crate::error::StoreError;
use crate::log::ChainId;
use crate::store::Store;

/// The most artifacts of one page of [`Store::sealed_after`]; a larger limit gets this many.
pub const SEALED_PAGE_MAX: usize = 1_024;
/// The most objects that one step of the archive may record, and that one question may name.
pub const ARCHIVED_MAX: usize = 4_096;

/// One artifact of the ledger, with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedArtifact {
    /// Its number in the order of the commits.
    pub number: u64,
    /// Its chain.
    pub chain: ChainId,
    /// The artifact.
    pub sealed: SealedArtifact,
}

/// One step of the archive of a tenant: a segment and the head that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveStep {
    /// Which step: 0, 1, 2, …
    pub segment: u64,
    /// How many leaves of the tenant's log are in the archive with it.
    pub size: u64,
    /// The number of the last artifact in it.
    pub number: u64,
    /// The SHA-256 of the head.
    pub head: Digest,
    /// The version of the head, where the storage keeps versions.
    pub version: Option<String>,
}

/// An object of the archive, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedObject {
    /// Its name below the tenant's folder.
    pub name: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its version, where the storage keeps versions.
    pub version: Option<String>,
}

impl Store {
    /// Returns artifacts of a tenant with numbers above `after`, by rising number, at most [`SEALED_PAGE_MAX`]. The caller asks for no
    /// more than the log has taken: what comes later may still be in another order.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn sealed_after(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NumberedArtifact>, StoreError> {
        let limit = limit.min(SEALED_PAGE_MAX);
        match self {
            Self::Sqlite(store) => store.sealed_after(tenant.clone(), after, limit).await,
            Self::Postgres(store) => store.sealed_after(tenant.clone(), after, limit).await,
        }
    }

    /// Returns the last step of a tenant's archive; `None` before the first.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn archive(&self, tenant: &TenantId) -> Result<Option<ArchiveStep>, StoreError> {
        match self {
            Self::Sqlite(store) => store.archive(tenant.clone()).await,
            Self::Postgres(store) => store.archive(tenant.clone()).await,
        }
    }

    /// Returns which of these objects of a tenant are recorded, by rising name.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again. `Contradiction` for more than [`ARCHIVED_MAX`] names.
    pub async fn archived(
        &self,
        tenant: &TenantId,
        names: Vec<String>,
    ) -> Result<Vec<ArchivedObject>, StoreError> {
        if names.len() > ARCHIVED_MAX {
            return Err(too_many());
        }
        match self {
            Self::Sqlite(store) => store.archived(tenant.clone(), names).await,
            Self::Postgres(store) => store.archived(tenant.clone(), names).await,
        }
    }

    /// Records a step of a tenant's archive, with the objects that it brought. Returns false, and writes nothing, unless it is the next
    /// step or the same as the last.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more. `Contradiction` for more than [`ARCHIVED_MAX`] objects.
    pub async fn keep_archived(
        &self,
        tenant: &TenantId,
        step: ArchiveStep,
        objects: Vec<ArchivedObject>,
    ) -> Result<bool, StoreError> {
        if objects.len() > ARCHIVED_MAX {
            return Err(too_many());
        }
        match self {
            Self::Sqlite(store) => store.keep_archived(tenant.clone(), step, objects).await,
            Self::Postgres(store) => store.keep_archived(tenant.clone(), step, objects).await,
        }
    }
}

impl ArchiveStep {
    /// Tells whether this step may be recorded behind the last one: `None` when it is the last one, and nothing is to be done.
    pub(crate) fn follows(&self, last: Option<&Self>) -> Option<bool> {
        match last {
            Some(last) if last == self => None,
            Some(last) => Some(
                Some(self.segment) == last.segment.checked_add(1)
                    && self.size > last.size
                    && self.number > last.number,
            ),
            None => Some(self.segment == 0),
        }
    }
}

fn too_many() -> StoreError {
    StoreError::Contradiction { what: "a step of the archive has too many objects".to_owned() }
}
