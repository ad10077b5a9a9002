//! The embedded store: one SQLite file, one thread that writes, a few that read.
//!
//! Not here: what an append means. Source: <https://sqlite.org/wal.html>, <https://sqlite.org/lockingv3.html>.

mod append;
mod archive;
pub(crate) mod backup;
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
mod lock;
mod logs;
mod outbox;
mod policies;
mod proposals;
pub(crate) mod proving;
mod readers;
mod registry;
mod retention;
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
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::append::{Append, AppendOutcome};
use crate::changes::{Announcer, Changes, Newest, Subscriber};
use crate::error::{OpenError, StoreError};
use crate::fault::{FaultPlan, Way, read_over, write_over};
use checkpoints::Checkpoints;
use duties::Duties;
use readers::Readers;
use writer::{After, Fail, Health, Job, Work, Writer};

/// How many connections read where whoever asks does the work itself: one after the other does.
const READERS_HERE: usize = 1;

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
    /// Whoever asks does the work itself, at once and on its own thread, so that nothing depends on which thread is faster; and the file
    /// counts as shared among servers. For simulations: it holds up everything else on that thread.
    pub simulated: bool,
}

/// A store in one SQLite file. Clones share it; the last one that is dropped closes it, waiting for its threads.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
    /// What stands between this server of a simulation and the file.
    way: Option<Arc<dyn Way>>,
}

struct Inner {
    /// `None` once the store closes, which ends the threads.
    queues: Option<Queues>,
    threads: Vec<JoinHandle<()>>,
    subscriber: Subscriber,
    health: Health,
    faults: Option<FaultPlan>,
    simulated: bool,
    duties: Arc<Duties>,
    /// Dropped last, after the threads have ended.
    _lock: lock::FileLock,
}

struct Queues {
    writes: Writes,
    reads: Readers,
}

/// Who writes.
enum Writes {
    /// A thread that takes what is queued.
    Thread(mpsc::Sender<Box<dyn Job>>),
    /// Whoever asks.
    Here(Box<Mutex<Writer>>),
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("health", &self.inner.health).finish_non_exhaustive()
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
        let lock = lock::claim(path)?;
        let mut connection = file::writer(path, options.file_bytes_max)?;
        let readers = match options.readers {
            0 => thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
            some => some,
        };
        let connections =
            |count: usize| (0..count).map(|_| file::reader(path)).collect::<Result<Vec<_>, _>>();
        let announcer = Announcer::new();
        let subscriber = announcer.subscriber();
        let health = Health::default();
        let (faults, simulated, duties) = (options.faults, options.simulated, Arc::default());
        let (reads, mut threads) = if simulated {
            (Readers::here(connections(READERS_HERE)?), Vec::new())
        } else {
            Readers::start(connections(readers)?, connections(readers)?).map_err(OpenError::Threads)?
        };
        let (checkpoints, thread) =
            Checkpoints::start(&mut connection, file::checkpointer(path)?).map_err(OpenError::Threads)?;
        threads.push(thread);
        let writer = Writer { checkpoints, connection, announcer, health: health.clone() };
        let writes = if simulated {
            Writes::Here(Box::new(Mutex::new(writer)))
        } else {
            let (writes, queue) = mpsc::channel(writer::QUEUE_MAX);
            threads.push(
                thread::Builder::new()
                    .name("gantral-writer".to_owned())
                    .spawn(move || writer.work(queue))
                    .map_err(OpenError::Threads)?,
            );
            Writes::Thread(writes)
        };
        let queues = Some(Queues { writes, reads });
        let inner = Inner { queues, threads, subscriber, health, faults, simulated, duties, _lock: lock };
        Ok(Self { inner: Arc::new(inner), way: None })
    }

    /// Returns the same store as a server of a simulation reaches it, over a way of its own.
    pub fn over(&self, way: Arc<dyn Way>) -> Self {
        Self { inner: Arc::clone(&self.inner), way: Some(way) }
    }

    /// Tells whether several servers write to the file, as only those of a simulation do.
    pub(crate) fn is_shared(&self) -> bool {
        self.inner.simulated
    }

    pub(crate) fn healthy(&self) -> Result<(), StoreError> {
        self.inner.health.stopped().map_or(Ok(()), Err)
    }

    pub(crate) fn subscribe(&self) -> Changes {
        self.inner.subscriber.subscribe()
    }

    pub(crate) fn newest(&self) -> Newest {
        self.inner.subscriber.newest()
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
        match (&self.inner.faults, &self.way) {
            (Some(plan), None) => plan.around(self.queue(work, false)).await,
            (None, None) => self.queue(work, false).await,
            (_, Some(way)) => {
                let here = Self { inner: Arc::clone(&self.inner), way: None };
                write_over(way, move |forgotten| async move { here.queue(work, forgotten).await }).await
            }
        }
    }

    async fn queue<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &mut After) -> Result<T, Fail> + Send + 'static,
        forgotten: bool,
    ) -> Result<T, StoreError> {
        self.healthy()?;
        let closed = || {
            self.inner
                .health
                .stopped()
                .unwrap_or(StoreError::Stopped { reason: "the writer has ended".to_owned() })
        };
        let queues = self.inner.queues.as_ref().ok_or_else(closed)?;
        let (caller, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Work { work, result: None, caller });
        match &queues.writes {
            Writes::Thread(writes) => writes.send(job).await.map_err(|_| closed())?,
            Writes::Here(writer) => {
                writer.lock().unwrap_or_else(PoisonError::into_inner).work_here(job, forgotten);
            }
        }
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
        let found = self.readers()?.read(read);
        match &self.way {
            Some(way) => read_over(&**way, found).await,
            None => found.await,
        }
    }

    /// Reads a few rows by their keys.
    async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        let found = self.readers()?.look(read);
        match &self.way {
            Some(way) => read_over(&**way, found).await,
            None => found.await,
        }
    }

    fn readers(&self) -> Result<&Readers, StoreError> {
        let queues = self.inner.queues.as_ref();
        let closed = || StoreError::Failed { reason: "the store is closed".to_owned() };
        queues.map(|queues| &queues.reads).ok_or_else(closed)
    }
}
