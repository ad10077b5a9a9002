//! The store for many servers: one PostgreSQL database, any number of processes that write.
//!
//! Nothing here is remembered by the process: every answer is decided by rows, so that all servers are equal. A write is one transaction at
//! the level READ COMMITTED, and these are the reasons why no two of them can both pass a check that only one may:
//!
//! - **The head of a chain**: the row of the instance is locked before it is compared, until the end of the transaction; who creates it inserts
//!   it, and whoever inserts second waits, finds it there, and begins anew. Grants, gates, tasks and the end of a lease are written under this
//!   lock only. That a place of a chain is filled once is said by a unique index as well.
//! - **A grant** is consumed by an update that only an unconsumed one meets.
//! - **A lease** is renewed by one conditional update; a renewal only ever makes it longer, so that a guard that saw it alive stays right.
//! - **The governance chain**: a lock named by the tenant is held, shared by whoever relies on its head, alone by whoever moves it. It is there
//!   before the chain has begun, and whoever moves the head waits for nobody who comes later.
//! - **Totals**: a guard puts the rows of the totals there if they are missing, and locks them until the end; whoever changes a total locks it as well.
//! - **Call keys and idempotency keys** are unique indexes. Whoever finds one taken at the insert waits for the other transaction, begins anew,
//!   and then reads what the other one has committed. A repeated request is found by its row, which refuses a second one, and is looked up
//!   before every refusal, so that the order of the checks holds whichever of two twins was first.
//! - **A duty** ([`crate::Duty`]) is a row with a holder and a number; whoever writes under one holds the row, shared, until the write has ended.
//!
//! Locks are taken in one order (instance, governance, totals of the workflow, of the team, what follows from the effects, the idempotency
//! key last); where two transactions wait for each other all the same, the server ends one, which begins anew. What begins anew has kept nothing.
//!
//! Appends that come while others are being committed go together, each behind its own checks (`batch.rs`).
//!
//! Durable when answered: a server that does not flush is refused when the store is opened, and every session commits synchronously. An error
//! before `COMMIT` was sent means that nothing was kept; one after it means that nobody knows ([`StoreError::Unknown`]).
//!
//! What is erased is gone for every query. Its bytes leave the files when the server next vacuums and its log is recycled, and leave backups with
//! them: that is the operator's to arrange.
//!
//! Not here: what an append means. Source: <https://www.postgresql.org/docs/current/transaction-iso.html>,
//! <https://www.postgresql.org/docs/current/explicit-locking.html>.

mod access;
mod append;
mod archive;
mod batch;
mod candidates;
mod columns;
mod commits;
pub(crate) mod copying;
mod db;
mod duties;
mod effects;
mod encoded;
mod enrolments;
mod facts;
mod gates;
mod governance;
mod guards;
mod idempotency;
pub(crate) mod inspect;
mod instances;
mod locks;
mod log_objects;
mod logs;
mod news;
mod numbers;
mod outbox;
mod policies;
mod proposals;
mod queue;
mod reads;
mod registry;
mod retention;
mod server;
mod serving;
mod sessions;
mod snapshots;
mod spending;
mod tasks;
mod unobserved;
mod usage;
mod writer;

use std::fmt;
use std::sync::Arc;

use deadpool_postgres::Pool;

use crate::append::Head;
use crate::changes::{Announcer, Changes, Newest, Subscriber};
use crate::error::{ConnectError, StoreError};
use crate::fault::FaultPlan;
use crate::rows::{InstanceRow, StoredGate};
use access::Access;
pub use access::Password;
use db::Db;
use news::News;
use queue::Queue;
use reads::Reads;
use writer::{Fail, Work};

/// How a database is opened.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// How many connections are open at most; 0 chooses [`CONNECTIONS`].
    pub connections: usize,
    /// The password of the role that logs in, if the address does not hold it.
    pub password: Option<Password>,
    /// Faults on purpose.
    pub faults: Option<FaultPlan>,
}

/// How many connections a store keeps unless told otherwise: enough to share one flush among them, and few enough for several servers under the
/// hundred that PostgreSQL grants by default.
pub const CONNECTIONS: usize = 16;

/// A store in one PostgreSQL database. Clones share its connections; the last one that is dropped closes them.
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    pool: Pool,
    news: News,
    subscriber: Subscriber,
    /// The appends that wait to go together.
    appends: Queue<batch::Waiting>,
    instances: Reads<InstanceRow>,
    gates: Reads<StoredGate>,
    governance: Reads<Head>,
    faults: Option<FaultPlan>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("connections", &self.0.pool.status()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens a database, and brings the schema `gantral` in it up to date. `address` is a URL (`postgres://user:password@host:5432/database`) or
    /// a list of `keyword=value`, as PostgreSQL's own tools take it.
    ///
    /// Whatever leaves the machine is encrypted, and the server has to prove by a certificate that it has the name that was asked for, unless
    /// the address says `sslmode=disable`; over a socket and to loopback addresses `sslmode=verify-full` asks for the same. A URL may name
    /// files in PEM: `sslrootcert`, of the authorities that are believed instead of the machine's, and `sslcert` with `sslkey`, by which we
    /// prove who we are.
    ///
    /// # Errors
    /// See [`ConnectError`]; only [`ConnectError::Unreachable`] is worth a retry.
    pub async fn open(address: &str, options: PostgresOptions) -> Result<Self, ConnectError> {
        let connections = if options.connections == 0 { CONNECTIONS } else { options.connections };
        let access = Access::new(address, options.password.as_ref())?;
        let pool = server::open(&access, connections).await?;
        let announcer = Announcer::new();
        let subscriber = announcer.subscriber();
        let refused = |fail: Fail| ConnectError::Database {
            server: access.server.clone(),
            reason: StoreError::from(fail).to_string(),
        };
        let db = Db::take(&pool).await.map_err(refused)?;
        let news = News::begin(access.clone(), announcer, db).await.map_err(refused)?;
        Ok(Self(Arc::new(Inner {
            pool,
            news,
            subscriber,
            appends: Queue::default(),
            instances: instances::reads(),
            gates: gates::reads(),
            governance: governance::reads(),
            faults: options.faults,
        })))
    }

    /// Writes are always tried: what ends one write, the server's or the network's fault, says nothing about the next. Whether one would
    /// probably be kept is known from the connection that listens.
    pub(crate) fn healthy(&self) -> Result<(), StoreError> {
        self.0.news.healthy()
    }

    pub(crate) fn subscribe(&self) -> Changes {
        self.0.subscriber.subscribe()
    }

    pub(crate) fn newest(&self) -> Newest {
        self.0.subscriber.newest()
    }

    /// Takes a connection to read with: each statement sees everything that was committed before it.
    async fn db(&self) -> Result<Db, StoreError> {
        Ok(Db::take(&self.0.pool).await?)
    }

    /// Runs work as one transaction, with its fault if one is planned. The work may be run more than once; only the last run counts.
    async fn write<S, T>(&self, state: S, work: Work<S, T>) -> Result<T, StoreError>
    where
        S: Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.0.faults {
            Some(plan) => plan.around(self.queue(state, work)).await,
            None => self.queue(state, work).await,
        }
    }

    /// Waits for a connection as the caller does; what it is used for goes on when the caller no longer waits.
    async fn queue<S, T>(&self, state: S, work: Work<S, T>) -> Result<T, StoreError>
    where
        S: Send + Sync + 'static,
        T: Send + 'static,
    {
        let db = self.db().await?;
        let store = self.clone();
        let task = tokio::spawn(async move { writer::run(db, &store.0.news, &state, work).await });
        // A task that was taken and never answered was lost by a panic or with its runtime: nothing is known about it.
        task.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown { reason: "the write ended in the middle".to_owned() })
        })
    }
}
