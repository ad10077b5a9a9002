//! The ledger read back in the order of its commits, for whoever looks for what happened in a span of time.
//!
//! No row says when it was committed: the sealed artifact does. So the caller takes samples, and learns from them between which numbers
//! to look. Nothing here costs an append anything.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{InstanceId, TenantId};

use crate::append::SealedArtifact;
use crate::error::StoreError;
use crate::page::InstanceFilter;
use crate::store::Store;

/// The most numbers that are looked at for one answer of [`Store::commits_within`]; of a wider span only its end is.
pub const COMMITS_MAX: u64 = 1_000;

/// One artifact of an instance, with its place in the order of the commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its number: rises over all tenants, in the order of the commits.
    pub number: u64,
    /// The instance.
    pub instance: InstanceId,
    /// The digest of its workflow version.
    pub workflow_version: Digest,
    /// The artifact.
    pub artifact: SealedArtifact,
}

/// What opens one commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The commitment.
    pub commitment: Digest,
    /// What it commits to.
    pub label: CommitmentLabel,
    /// Its salt.
    pub salt: Salt,
    /// The bytes.
    pub plaintext: Vec<u8>,
}

impl Store {
    /// Returns the number of the newest artifact of all tenants; 0 when there is none.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn newest_commit(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.newest_commit().await,
            Self::Postgres(store) => store.newest_commit().await,
        }
    }

    /// Returns for each number the envelope of the newest artifact up to it that is of an instance, of whatever tenant; `None` where there
    /// is none. It says when that was committed, and nothing else of it may be shown to anybody.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn sampled(&self, numbers: Vec<u64>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.sampled(numbers).await,
            Self::Postgres(store) => store.sampled(numbers).await,
        }
    }

    /// Returns what instances of a tenant committed with numbers from `first` to `last`, both included, from the newest: of those that fit
    /// the filter, and of the last [`COMMITS_MAX`] numbers of the span.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn commits_within(
        &self,
        tenant: &TenantId,
        filter: InstanceFilter,
        (first, last): (u64, u64),
    ) -> Result<Vec<Commit>, StoreError> {
        match self {
            Self::Sqlite(store) => store.commits_within(tenant.clone(), filter, (first, last)).await,
            Self::Postgres(store) => store.commits_within(tenant.clone(), filter, (first, last)).await,
        }
    }

    /// Returns for each artifact, by instance and number, what was kept with the append that it came with and is not erased, in the order of
    /// the commitments.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn kept_with(
        &self,
        tenant: &TenantId,
        artifacts: Vec<(InstanceId, u64)>,
    ) -> Result<Vec<Vec<Kept>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.kept_with(tenant.clone(), artifacts).await,
            Self::Postgres(store) => store.kept_with(tenant.clone(), artifacts).await,
        }
    }

    /// Returns the number of the artifact that has this place in an instance's chain; `None` when there is none.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn commit_of(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        sequence: u64,
    ) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Sqlite(store) => store.commit_of(tenant.clone(), id, sequence).await,
            Self::Postgres(store) => store.commit_of(tenant.clone(), id, sequence).await,
        }
    }
}
