//! The one thread that writes: whatever is queued becomes one commit.
//!
//! Durable when answered. A job that fails rolls the batch back, and each job is then run alone; a fault of the disk
//! fails the batch and ends the thread, so that nothing is acknowledged upon a file in an unknown state.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::checkpoints::Checkpoints;
use super::file::BUSY_WAIT;
use crate::changes::{Announcer, Change};
use crate::error::StoreError;

/// How long an erasure waits for readers before it leaves the log to a later checkpoint.
const FORGET_WAIT: Duration = Duration::from_millis(250);
/// The most jobs of one commit.
const BATCH_MAX: usize = 1_024;
/// The most jobs that wait; who comes later waits for room.
pub(super) const QUEUE_MAX: usize = 4_096;

/// Why one job failed.
#[derive(Debug)]
pub(super) enum Fail {
    /// The job contradicts itself or the rows that are there.
    Contradiction(&'static str),
    /// The database refused.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fail {
    /// Tells a fault of the file or the machine, after which nothing may be written, from one of this job alone.
    fn is_fatal(&self) -> bool {
        match self {
            Self::Contradiction(_) => false,
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(
                    ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::OutOfMemory
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::PermissionDenied,
                ) => true,
                // `ErrorCode` is not ours and may grow; what is not known to be fatal fails its own job only.
                Some(_) | None => false,
            },
        }
    }

    /// Returns what a caller is told, of whose work nothing was kept.
    pub(super) fn told(&self) -> StoreError {
        match self {
            Self::Contradiction(what) => StoreError::Contradiction { what: (*what).to_owned() },
            Self::Sql(error @ rusqlite::Error::FromSqlConversionFailure(..))
            | Self::Sql(error @ rusqlite::Error::InvalidColumnType(..)) => {
                StoreError::Damaged { what: error.to_string() }
            }
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => {
                    StoreError::Contradiction { what: error.to_string() }
                }
                Some(_) | None => StoreError::Failed { reason: error.to_string() },
            },
        }
    }
}

/// What follows a commit, gathered by the jobs of its batch.
#[derive(Default)]
pub(super) struct After {
    /// What is announced.
    pub(super) changes: Vec<Change>,
    /// The number of the newest artifact, if any was written.
    pub(super) newest: Option<i64>,
    /// Whether something was erased, so that the write-ahead log must forget it too.
    pub(super) erased: bool,
}

/// One piece of work for the writer. It may be run more than once; only the last run counts.
pub(super) trait Job: Send {
    /// Works inside an open transaction.
    fn run(&mut self, connection: &Connection, after: &mut After) -> Result<(), Fail>;
    /// Tells the caller, after the transaction has ended.
    fn finish(self: Box<Self>, verdict: Result<(), StoreError>);
}

/// A job made of a closure, and the caller that waits for its result.
pub(super) struct Work<T, F> {
    pub(super) work: F,
    pub(super) result: Option<T>,
    pub(super) caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnMut(&Connection, &mut After) -> Result<T, Fail> + Send,
{
    fn run(&mut self, connection: &Connection, after: &mut After) -> Result<(), Fail> {
        self.result = Some((self.work)(connection, after)?);
        Ok(())
    }

    fn finish(self: Box<Self>, verdict: Result<(), StoreError>) {
        let answer = match (verdict, self.result) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(StoreError::Unknown { reason: "the writer lost a result".to_owned() }),
        };
        // An error says that the caller no longer waits.
        let _ = self.caller.send(answer);
    }
}

/// Whether the writer works, shared with whoever asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<OnceLock<String>>);

impl Health {
    /// Returns the fault that stopped the writer.
    pub(super) fn stopped(&self) -> Option<StoreError> {
        self.0.get().map(|reason| StoreError::Stopped { reason: reason.clone() })
    }

    fn stop(&self, reason: String) {
        tracing::error!(%reason, "the store has stopped writing");
        // The first fault is the one that counts.
        let _ = self.0.set(reason);
    }
}

/// At which step a batch failed.
enum Failed {
    /// Before the commit: nothing is durable.
    Before(Fail),
    /// In the commit: it is unknown whether the batch is durable.
    InCommit(rusqlite::Error),
}

/// The writer's state, owned by its thread.
pub(super) struct Writer {
    pub(super) checkpoints: Checkpoints,
    pub(super) connection: Connection,
    pub(super) announcer: Announcer,
    pub(super) health: Health,
}

impl Writer {
    /// Commits what is queued until the queue is closed and empty, or a fault ends it.
    pub(super) fn work(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = queue.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH_MAX
                && let Ok(job) = queue.try_recv()
            {
                batch.push(job);
            }
            self.settle(&mut batch);
            self.checkpoints.after_commit(&self.connection);
            if self.health.stopped().is_some() {
                return self.refuse_rest(queue);
            }
        }
    }

    /// Commits one job where it is asked for; or only says so (see [`crate::fault::Passage::forgotten`]).
    pub(super) fn work_here(&mut self, job: Box<dyn Job>, forgotten: bool) {
        let mut batch = vec![job];
        if forgotten && self.run(&mut batch).is_ok() {
            self.roll_back();
            batch.drain(..).for_each(|job| job.finish(Ok(())));
            return;
        }
        self.roll_back();
        self.settle(&mut batch);
        self.checkpoints.after_commit(&self.connection);
    }

    /// Runs a batch as one commit, or each of its jobs alone, and tells every caller.
    fn settle(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        match self.commit(batch) {
            Ok(after) => {
                if after.erased {
                    self.forget_log();
                }
                // The changes go first, so that a caller who was answered finds its own change announced.
                self.announcer.announce(after.changes, after.newest);
                batch.drain(..).for_each(|job| job.finish(Ok(())));
            }
            // The writer stops before anybody is told, so that whoever was told finds it stopped.
            Err(Failed::InCommit(error)) => {
                let reason = error.to_string();
                self.health.stop(reason.clone());
                for job in batch.drain(..) {
                    job.finish(Err(StoreError::Unknown { reason: reason.clone() }));
                }
            }
            Err(Failed::Before(fail)) if fail.is_fatal() => {
                let error = fail.told();
                self.health.stop(error.to_string());
                batch.drain(..).for_each(|job| job.finish(Err(error.clone())));
            }
            Err(Failed::Before(fail)) if batch.len() == 1 => {
                batch.drain(..).for_each(|job| job.finish(Err(fail.told())));
            }
            Err(Failed::Before(_)) => self.settle_each(batch),
        }
    }

    /// Runs each job of a batch alone, so that one that fails spoils no other.
    fn settle_each(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        let mut alone = Vec::with_capacity(1);
        for job in batch.drain(..) {
            match self.health.stopped() {
                Some(error) => job.finish(Err(error)),
                None => {
                    alone.push(job);
                    self.settle(&mut alone);
                }
            }
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<After, Failed> {
        match self.run(batch) {
            Ok(after) => match self.statement("COMMIT") {
                Ok(()) => Ok(after),
                Err(error) => {
                    self.roll_back();
                    Err(Failed::InCommit(error))
                }
            },
            Err(fail) => {
                self.roll_back();
                Err(Failed::Before(fail))
            }
        }
    }

    fn run(&mut self, batch: &mut [Box<dyn Job>]) -> Result<After, Fail> {
        let mut after = After::default();
        self.statement("BEGIN IMMEDIATE")?;
        for job in batch {
            job.run(&self.connection, &mut after)?;
        }
        Ok(after)
    }

    /// Ends a transaction that failed; SQLite may have ended it already. One that cannot be ended ends the writer.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.statement("ROLLBACK")
        {
            self.health.stop(error.to_string());
        }
    }

    fn statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Copies the write-ahead log into the file and empties it, so that no older image of an erased page is left.
    fn forget_log(&mut self) {
        self.checkpoints.settle();
        let checkpoint = self.connection.busy_timeout(FORGET_WAIT).and_then(|()| {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        });
        match checkpoint {
            Ok(false) => {}
            Ok(true) => tracing::warn!("a reader keeps the write-ahead log; what was erased leaves it later"),
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log was not emptied; what was erased leaves it later")
            }
        }
        if let Err(error) = self.connection.busy_timeout(BUSY_WAIT) {
            tracing::warn!(%error, "the wait for other processes was not restored");
        }
    }

    /// Refuses whatever is still queued, and everything that comes, by closing the queue.
    fn refuse_rest(self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        queue.close();
        while let Some(job) = queue.blocking_recv() {
            let error = self.health.stopped().unwrap_or(StoreError::Stopped { reason: "closed".to_owned() });
            job.finish(Err(error));
        }
    }
}
