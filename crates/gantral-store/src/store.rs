//! The store as its callers see it: intent, never SQL.
//!
//! Contract of every write: it is durable when it is answered, all of it or nothing. A caller that stops waiting does
//! not stop the write. An error says whether the write may be durable ([`StoreError::may_be_kept`]); nothing here
//! retries a write that may be kept. Reads see every write that was answered before they were asked; those in the order of the commits end, on PostgreSQL,
//! before the first number whose write is still under way, and see what comes after it later.

use std::path::Path;

use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{ActorId, AttemptNo, GateId, GrantId, InstanceId, Name, TenantId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;

use crate::append::{
    Append, AppendOutcome, Head, IdempotencyLookup, IdempotencyScope, SealedArtifact, StateCode,
};
use crate::changes::Changes;
use crate::error::{ConnectError, OpenError, StoreError};
use crate::fault::FaultPlan;
use crate::page::{Cursor, GateFilter, InstanceFilter, Page};
use crate::postgres::{PostgresOptions, PostgresStore};
use crate::rows::{
    GrantRow, InstanceRow, LeaseRow, PolicyArchive, PolicyBundleRow, PolicySignature, PutOutcome, Snapshot,
    SnapshotPlace, StoreCounts, StoredGate, TaskFilter, TaskRow, WorkflowRow,
};
use crate::serving::ServingKeys;
use crate::sqlite::{SqliteOptions, SqliteStore};

/// The ledger and its index. Cheap to clone; clones share one database.
#[derive(Debug, Clone)]
pub enum Store {
    /// One SQLite file, for one process.
    Sqlite(SqliteStore),
    /// One PostgreSQL database, for any number of processes.
    Postgres(PostgresStore),
}

/// What the file of a ledger is called in a data folder.
pub const LEDGER: &str = "ledger.db";

impl Store {
    /// Opens a SQLite file, creating it if it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// See [`OpenError`]; only [`OpenError::InUse`] is worth a retry.
    pub fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        SqliteStore::open(path, SqliteOptions::default()).map(Self::Sqlite)
    }

    /// Opens a SQLite file whose writes fail as planned.
    ///
    /// # Errors
    /// As [`Store::open_sqlite`].
    pub fn with_faults(path: &Path, faults: FaultPlan) -> Result<Self, OpenError> {
        let options = SqliteOptions { faults: Some(faults), ..SqliteOptions::default() };
        SqliteStore::open(path, options).map(Self::Sqlite)
    }

    /// Opens a SQLite file for a simulation: whoever asks does the work itself, and each of several servers reaches it by
    /// [`SqliteStore::over`] a way of its own.
    ///
    /// # Errors
    /// As [`Store::open_sqlite`].
    pub fn open_simulated(path: &Path) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(path, SqliteOptions { simulated: true, ..SqliteOptions::default() })
    }

    /// Opens a PostgreSQL database, and brings the schema `gantral` in it up to date. See [`PostgresStore::open`].
    ///
    /// # Errors
    /// See [`ConnectError`]; only [`ConnectError::Unreachable`] is worth a retry.
    pub async fn open_postgres(address: &str, options: PostgresOptions) -> Result<Self, ConnectError> {
        PostgresStore::open(address, options).await.map(Self::Postgres)
    }

    /// Tells whether writes are accepted.
    ///
    /// # Errors
    /// The fault that stopped the writer of a file; it stays until the store is opened again. Or that a database server is not heard at the
    /// moment: writes are tried all the same, and it is over as soon as the server is heard again.
    pub fn healthy(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.healthy(),
            Self::Postgres(store) => store.healthy(),
        }
    }

    /// Tells whether other processes may write to the same store: what one of them remembers of it may then be old at any moment.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(store) => store.is_shared(),
            Self::Postgres(_) => true,
        }
    }

    /// Returns what time it is by the clock that all servers upon this store share, the database's; `None` for a file, which has one server.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again.
    pub async fn clock(&self) -> Result<Option<UnixMillis>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(store) => store.clock().await.map(Some),
        }
    }

    /// Returns by which keys the servers upon this store sign; `None` before the first, and in a file, which has one server, whose keys
    /// stand beside it.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn serving_keys(&self) -> Result<Option<ServingKeys>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(store) => store.serving_keys().await,
        }
    }

    /// Says by which keys the servers upon this store sign from now on, if until now they signed by `instead_of`. Returns whether they did;
    /// in a file, always.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again after a look.
    pub async fn serve_by(
        &self,
        instead_of: Option<ServingKeys>,
        keys: ServingKeys,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(true),
            Self::Postgres(store) => store.serve_by(instead_of, keys).await,
        }
    }

    /// Returns why no server upon this store may write any more; `None` while they may, and in a file, whose one server knows by itself.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn behind(&self) -> Result<Option<String>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(store) => store.behind().await,
        }
    }

    /// Says that no server upon this store may write any more. The first reason stays, for as long as this store is used.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn fall_behind(&self, why: String) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(store) => store.fall_behind(why).await,
        }
    }

    /// Subscribes to the appends that commit from now on, in this process or in another one.
    pub fn subscribe(&self) -> Changes {
        match self {
            Self::Sqlite(store) => store.subscribe(),
            Self::Postgres(store) => store.subscribe(),
        }
    }

    /// Appends to one chain, with everything that commits together, or answers why not.
    ///
    /// Checked in this order: idempotency key, head, guards, call key. Any outcome but `Committed` wrote nothing.
    ///
    /// # Errors
    /// See [`StoreError`]; after any of them the caller reloads before it says anything.
    pub async fn append(&self, append: Append) -> Result<AppendOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.append(append).await,
            Self::Postgres(store) => store.append(append).await,
        }
    }

    /// Returns the index row of one instance.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn instance(
        &self,
        tenant: &TenantId,
        id: InstanceId,
    ) -> Result<Option<InstanceRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.instance(tenant.clone(), id).await,
            Self::Postgres(store) => store.instance(tenant.clone(), id).await,
        }
    }

    /// Returns up to `limit` artifacts of a chain, from sequence `from`, at most [`crate::CHAIN_PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn chain(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<SealedArtifact>, StoreError> {
        match self {
            Self::Sqlite(store) => store.chain(tenant.clone(), id, from, limit).await,
            Self::Postgres(store) => store.chain(tenant.clone(), id, from, limit).await,
        }
    }

    /// Lists instances from the newest, up to `limit` rows and at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn list_instances(
        &self,
        tenant: &TenantId,
        filter: InstanceFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<InstanceRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_instances(tenant.clone(), filter, after, limit).await,
            Self::Postgres(store) => store.list_instances(tenant.clone(), filter, after, limit).await,
        }
    }

    /// Returns the open instance that holds a call key.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn find_call(
        &self,
        tenant: &TenantId,
        call_key: Digest,
    ) -> Result<Option<InstanceId>, StoreError> {
        match self {
            Self::Sqlite(store) => store.find_call(tenant.clone(), call_key).await,
            Self::Postgres(store) => store.find_call(tenant.clone(), call_key).await,
        }
    }

    /// Returns the newest instance that held a call key and has ended in this state.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn ended_call(
        &self,
        tenant: &TenantId,
        call_key: Digest,
        state: StateCode,
    ) -> Result<Option<InstanceId>, StoreError> {
        match self {
            Self::Sqlite(store) => store.ended_call(tenant.clone(), call_key, state).await,
            Self::Postgres(store) => store.ended_call(tenant.clone(), call_key, state).await,
        }
    }

    /// Returns instances of all tenants whose next step is due at `now`, the longest due first.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn due(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<(TenantId, InstanceId)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.due(now, limit).await,
            Self::Postgres(store) => store.due(now, limit).await,
        }
    }

    /// Returns one gate.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn gate(&self, tenant: &TenantId, id: GateId) -> Result<Option<StoredGate>, StoreError> {
        match self {
            Self::Sqlite(store) => store.gate(tenant.clone(), id).await,
            Self::Postgres(store) => store.gate(tenant.clone(), id).await,
        }
    }

    /// Lists open gates from the nearest deadline, or closed ones from the one that was closed last, up to `limit` rows and at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn list_gates(
        &self,
        tenant: &TenantId,
        filter: GateFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredGate>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_gates(tenant.clone(), filter, after, limit).await,
            Self::Postgres(store) => store.list_gates(tenant.clone(), filter, after, limit).await,
        }
    }

    /// Returns one grant.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn grant(
        &self,
        tenant: &TenantId,
        of: InstanceId,
        id: GrantId,
    ) -> Result<Option<GrantRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.grant(tenant.clone(), of, id).await,
            Self::Postgres(store) => store.grant(tenant.clone(), of, id).await,
        }
    }

    /// Returns one snapshot, or what is left of it.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn snapshot(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        commitment: Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        match self {
            Self::Sqlite(store) => store.snapshot(tenant.clone(), id, commitment).await,
            Self::Postgres(store) => store.snapshot(tenant.clone(), id, commitment).await,
        }
    }

    /// Returns the snapshots of an instance after `after`, at most [`crate::CHAIN_PAGE_MAX`], in the order of the artifacts
    /// that they came with, and by rising commitment within one.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn snapshots_of(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<SnapshotPlace>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, StoreError> {
        match self {
            Self::Sqlite(store) => store.snapshots_of(tenant.clone(), id, after, limit).await,
            Self::Postgres(store) => store.snapshots_of(tenant.clone(), id, after, limit).await,
        }
    }

    /// Returns tasks of a queue that the filter lets pass and that may be claimed at `now`, the longest ready first. An instance
    /// whose lease is alive has none.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn ready_tasks(
        &self,
        tenant: &TenantId,
        queue: &Name,
        filter: TaskFilter,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.ready_tasks(tenant.clone(), queue.clone(), filter, now, limit).await,
            Self::Postgres(store) => {
                store.ready_tasks(tenant.clone(), queue.clone(), filter, now, limit).await
            }
        }
    }

    /// Returns the task of an instance, if it is on a queue.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn task(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<TaskRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.task(tenant.clone(), id).await,
            Self::Postgres(store) => store.task(tenant.clone(), id).await,
        }
    }

    /// Lets runners claim the task of an instance whose head is this one, where an orchestrator has to say so; those who wait upon this
    /// store are told. `false` when the instance moved meanwhile: then nothing is released. Without a task there is nothing to do.
    ///
    /// # Errors
    /// See [`StoreError`]; it may be done again.
    pub async fn release_task(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        head: Head,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.release_task(tenant.clone(), id, head).await,
            Self::Postgres(store) => store.release_task(tenant.clone(), id, head).await,
        }
    }

    /// Returns the newest lease of an instance.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn lease(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<LeaseRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.lease(tenant.clone(), id).await,
            Self::Postgres(store) => store.lease(tenant.clone(), id).await,
        }
    }

    /// Returns leases of all tenants that expired by `now` and whose attempt has not ended, the oldest first.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn expired_leases(&self, now: UnixMillis, limit: usize) -> Result<Vec<LeaseRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.expired_leases(now, limit).await,
            Self::Postgres(store) => store.expired_leases(now, limit).await,
        }
    }

    /// Extends a lease to `until`, never shortening it. Returns false, and changes nothing, unless this attempt of this
    /// executor holds it at `now`: a lease that has expired is lost.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn renew_lease(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        attempt: AttemptNo,
        executor: &ActorId,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.renew_lease(tenant.clone(), id, attempt, executor.clone(), (now, until)).await
            }
            Self::Postgres(store) => {
                store.renew_lease(tenant.clone(), id, attempt, executor.clone(), (now, until)).await
            }
        }
    }

    /// Looks an idempotency key up; a row that expired by `now` does not count.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn lookup_idempotency(
        &self,
        tenant: &TenantId,
        scope: &IdempotencyScope,
        body: Digest,
        now: UnixMillis,
    ) -> Result<IdempotencyLookup, StoreError> {
        match self {
            Self::Sqlite(store) => store.lookup_idempotency(tenant.clone(), scope.clone(), body, now).await,
            Self::Postgres(store) => store.lookup_idempotency(tenant.clone(), scope.clone(), body, now).await,
        }
    }

    /// Forgets those of the oldest `limit` idempotency keys that expired by `now`, and returns how many.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn forget_idempotency(&self, now: UnixMillis, limit: usize) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite(store) => store.forget_idempotency(now, limit).await,
            Self::Postgres(store) => store.forget_idempotency(now, limit).await,
        }
    }

    /// Puts one version of a workflow, which never changes afterwards.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn put_workflow(
        &self,
        tenant: &TenantId,
        workflow: WorkflowRow,
    ) -> Result<PutOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.put_workflow(tenant.clone(), workflow).await,
            Self::Postgres(store) => store.put_workflow(tenant.clone(), workflow).await,
        }
    }

    /// Returns one version of a workflow.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn workflow(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: &Name,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.workflow(tenant.clone(), id.clone(), Some(version.clone())).await,
            Self::Postgres(store) => store.workflow(tenant.clone(), id.clone(), Some(version.clone())).await,
        }
    }

    /// Returns the version of a workflow that was put last.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn latest_workflow(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.workflow(tenant.clone(), id.clone(), None).await,
            Self::Postgres(store) => store.workflow(tenant.clone(), id.clone(), None).await,
        }
    }

    /// Returns the version of a workflow whose definition has this digest.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn workflow_by_digest(
        &self,
        tenant: &TenantId,
        digest: Digest,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.workflow_by_digest(tenant.clone(), digest).await,
            Self::Postgres(store) => store.workflow_by_digest(tenant.clone(), digest).await,
        }
    }

    /// Lists the latest version of every workflow, by rising name after `after`, at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn list_workflows(
        &self,
        tenant: &TenantId,
        after: Option<WorkflowId>,
        limit: usize,
    ) -> Result<Vec<WorkflowRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_workflows(tenant.clone(), after, limit).await,
            Self::Postgres(store) => store.list_workflows(tenant.clone(), after, limit).await,
        }
    }

    /// Puts a policy bundle, which never changes afterwards.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn put_policy_bundle(
        &self,
        tenant: &TenantId,
        version: PolicyVersionId,
        bytes: Vec<u8>,
        at: UnixMillis,
    ) -> Result<PutOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.put_policy_bundle(tenant.clone(), version, bytes, at).await,
            Self::Postgres(store) => store.put_policy_bundle(tenant.clone(), version, bytes, at).await,
        }
    }

    /// Puts a policy bundle with a signature that the caller has checked, at once. The bytes of the bundle never change; of the
    /// signatures of a version the newest that is pinned counts, else the newest, with the archive that it came with.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn put_signed_policy_bundle(
        &self,
        tenant: &TenantId,
        version: PolicyVersionId,
        bytes: Vec<u8>,
        signature: PolicySignature,
        at: UnixMillis,
    ) -> Result<PutOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.put_signed_policy_bundle(tenant.clone(), version, bytes, signature, at).await
            }
            Self::Postgres(store) => {
                store.put_signed_policy_bundle(tenant.clone(), version, bytes, signature, at).await
            }
        }
    }

    /// Returns what is known of a policy bundle, without its bytes.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn policy_bundle_row(
        &self,
        tenant: &TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<PolicyBundleRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.policy_bundle_row(tenant.clone(), version).await,
            Self::Postgres(store) => store.policy_bundle_row(tenant.clone(), version).await,
        }
    }

    /// Returns a policy bundle to hand out: as it was signed, by the signature that counts, else as it was put.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn policy_archive(
        &self,
        tenant: &TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<PolicyArchive>, StoreError> {
        match self {
            Self::Sqlite(store) => store.policy_archive(tenant.clone(), version).await,
            Self::Postgres(store) => store.policy_archive(tenant.clone(), version).await,
        }
    }

    /// Lists the policy bundles of a tenant, newest first; at most [`crate::PAGE_MAX`] a page.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn list_policy_bundles(
        &self,
        tenant: &TenantId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<PolicyBundleRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_policy_bundles(tenant.clone(), after, limit).await,
            Self::Postgres(store) => store.list_policy_bundles(tenant.clone(), after, limit).await,
        }
    }

    /// Returns a policy bundle.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn policy_bundle(
        &self,
        tenant: &TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.policy_bundle(tenant.clone(), version).await,
            Self::Postgres(store) => store.policy_bundle(tenant.clone(), version).await,
        }
    }

    /// Returns the salt of one human, keeping `fresh` when there is none yet. Concurrent callers get the same salt.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn person(
        &self,
        tenant: &TenantId,
        issuer: &str,
        subject: &str,
        fresh: Salt,
    ) -> Result<Salt, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.person(tenant.clone(), issuer.to_owned(), subject.to_owned(), fresh).await
            }
            Self::Postgres(store) => {
                store.person(tenant.clone(), issuer.to_owned(), subject.to_owned(), fresh).await
            }
        }
    }

    /// Returns the salt of one human; `None` when none is kept.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn known_person(
        &self,
        tenant: &TenantId,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Salt>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.known_person(tenant.clone(), issuer.to_owned(), subject.to_owned()).await
            }
            Self::Postgres(store) => {
                store.known_person(tenant.clone(), issuer.to_owned(), subject.to_owned()).await
            }
        }
    }

    /// Returns counts over all tenants. Walks an index: for metrics, not for requests.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn counts(&self) -> Result<StoreCounts, StoreError> {
        match self {
            Self::Sqlite(store) => store.counts().await,
            Self::Postgres(store) => store.counts().await,
        }
    }
}
