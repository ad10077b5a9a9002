//! The embedded store: one SQLite file, one thread that writes, a few that read.
//!
//! Not here: what an append means. Source: <https://sqlite.org/wal.html>, <https://sqlite.org/lockingv3.html>.

mod append;
mod archive;
mod candidates;
mod checkpoints;
mod columns;
mod commits;
mod duties;
mod effects;
mod enrolments;
mod file;
mod gates;
mod governance;
mod guards;
mod instances;
mod logs;
mod outbox;
mod policies;
mod proposals;
mod readers;
mod registry;
mod sessions;
mod snapshots;
pub(crate) mod source;
mod spending;
mod tasks;
mod unobserved;
mod usage;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::append::{Append, AppendOutcome};
use crate::changes::{Announcer, Changes, Newest, Subscriber};
use crate::error::{OpenError, StoreError};
use crate::fault::FaultPlan;
use checkpoints::Checkpoints;
use duties::Duties;
use readers::Readers;
use writer::{After, Fail, Health, Job, Work, Writer};

/// How a file is opened.
#[derive(Debug, Clone, Default)]
pub struct SqliteOptions {
    /// The largest size of the file, in bytes; a write that needs more stops the writer as a full disk does. `None` is
    /// bounded by the disk only.
    pub file_bytes_max: Option<u64>,
    /// How many threads read, and how many callers do so themselves at the same time; 0 chooses by the machine.
    pub readers: usize,
    /// Faults on purpose.
    pub faults: Option<FaultPlan>,
}

/// A store in one SQLite file. Clones share it; the last one that is dropped closes it, waiting for its threads.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    /// `None` once the store closes, which ends the threads.
    queues: Option<Queues>,
    threads: Vec<JoinHandle<()>>,
    subscriber: Subscriber,
    health: Health,
    faults: Option<FaultPlan>,
    duties: Arc<Duties>,
    /// Dropped last, after the threads have ended.
    _lock: file::FileLock,
}

struct Queues {
    writes: mpsc::Sender<Box<dyn Job>>,
    reads: Readers,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("health", &self.0.health).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queues = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
    }
}

impl SqliteStore {
    /// Opens a file, creating it with mode 0600 if it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// See [`OpenError`]; only [`OpenError::InUse`] is worth a retry.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        let lock = file::claim(path)?;
        let mut connection = file::writer(path, options.file_bytes_max)?;
        let readers = match options.readers {
            0 => thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
            some => some,
        };
        let connections = || (0..readers).map(|_| file::reader(path)).collect::<Result<Vec<_>, _>>();
        let (writes, queue) = mpsc::channel(writer::QUEUE_MAX);
        let announcer = Announcer::new();
        let subscriber = announcer.subscriber();
        let health = Health::default();
        let (reads, mut threads) =
            Readers::start(connections()?, connections()?).map_err(OpenError::Threads)?;
        let (checkpoints, thread) =
            Checkpoints::start(&mut connection, file::checkpointer(path)?).map_err(OpenError::Threads)?;
        threads.push(thread);
        let writer = Writer { checkpoints, connection, queue, announcer, health: health.clone() };
        threads.push(
            thread::Builder::new()
                .name("gantral-writer".to_owned())
                .spawn(move || writer.work())
                .map_err(OpenError::Threads)?,
        );
        let queues = Some(Queues { writes, reads });
        let (faults, duties) = (options.faults, Arc::default());
        Ok(Self(Arc::new(Inner { queues, threads, subscriber, health, faults, duties, _lock: lock })))
    }

    pub(crate) fn healthy(&self) -> Result<(), StoreError> {
        self.0.health.stopped().map_or(Ok(()), Err)
    }

    pub(crate) fn subscribe(&self) -> Changes {
        self.0.subscriber.subscribe()
    }

    pub(crate) fn newest(&self) -> Newest {
        self.0.subscriber.newest()
    }

    pub(crate) async fn append(&self, append: Append) -> Result<AppendOutcome, StoreError> {
        if let Err(what) = append.check() {
            return Err(StoreError::Contradiction { what: what.to_owned() });
        }
        self.write(move |connection, after| append::run(connection, &append, after)).await
    }

    /// Runs work on the writer, with its fault if one is planned.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &mut After) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.0.faults {
            Some(plan) => plan.around(self.queue(work)).await,
            None => self.queue(work).await,
        }
    }

    async fn queue<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &mut After) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.healthy()?;
        let closed = || {
            self.0
                .health
                .stopped()
                .unwrap_or(StoreError::Stopped { reason: "the writer has ended".to_owned() })
        };
        let queues = self.0.queues.as_ref().ok_or_else(closed)?;
        let (caller, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Work { work, result: None, caller });
        queues.writes.send(job).await.map_err(|_| closed())?;
        // A job that was taken and never answered was lost by a panic of the writer: nothing is known about it.
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown { reason: "the writer ended in the middle".to_owned() })
        })
    }

    /// Reads whatever takes its time: pages, and chains.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers()?.read(read).await
    }

    /// Reads a few rows by their keys.
    async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers()?.look(read).await
    }

    fn readers(&self) -> Result<&Readers, StoreError> {
        let queues = self.0.queues.as_ref();
        let closed = || StoreError::Failed { reason: "the store is closed".to_owned() };
        queues.map(|queues| &queues.reads).ok_or_else(closed)
    }
}
