//! One connection, and the statements that are sent through it.
//!
//! A transaction writes many rows and need not hear of each before it writes the next. So statements whose answers decide nothing are gathered
//! ([`Db::later`]) and sent in one go, in their order and before whatever is asked next: the server works through them while nobody waits in between, and
//! an append costs a handful of round trips, however much it writes.

use std::future::ready;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadpool_postgres::{Object, Pool};
use futures_util::future::{join, join_all};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::encoded::Encoded;
use super::server::{ANSWER_WAIT, pool_reason};
use super::writer::Fail;

/// A parameter of a statement.
pub(super) type Param<'a> = &'a (dyn ToSql + Sync);

/// Makes the list of parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as $crate::postgres::db::Param<'_>),*][..]
    };
}
pub(super) use params;

/// A connection of the pool. Outside a transaction each statement is one.
pub(super) struct Db {
    /// `None` only while it is dropped.
    connection: Option<Object>,
    /// Whether a transaction is open.
    open: AtomicBool,
    /// Whether a statement failed since the transaction began.
    failed: AtomicBool,
    /// Whether an answer did not come: it may still do, in the place of another one.
    silent: AtomicBool,
    /// What is sent before anything else.
    gathered: Mutex<Vec<Gathered>>,
}

/// A statement whose answer nothing waits for but the end of the transaction.
struct Gathered {
    statement: Statement,
    values: Vec<Encoded>,
    /// Why the write fails unless exactly one row is written.
    unless_one: Option<Fail>,
}

/// A connection that is given up in the middle of a transaction or of an answer is closed and not used again: the server ends what was open.
impl Drop for Db {
    fn drop(&mut self) {
        if (self.open.load(Ordering::Relaxed) || self.silent.load(Ordering::Relaxed))
            && let Some(connection) = self.connection.take()
        {
            drop(Object::take(connection));
        }
    }
}

impl Db {
    /// Takes a connection of the pool, waiting for one.
    pub(super) async fn take(pool: &Pool) -> Result<Self, Fail> {
        let connection = pool.get().await.map_err(|error| Fail::Pool(pool_reason(&error)))?;
        let connection = Some(connection);
        let gathered = Mutex::default();
        Ok(Self { connection, open: false.into(), failed: false.into(), silent: false.into(), gathered })
    }

    /// Returns the rows that a statement answers.
    pub(super) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Fail> {
        let connection = self.connection()?;
        let statement = self.noted(connection.prepare_cached(sql)).await?;
        self.before(connection.query(&statement, params)).await
    }

    /// Returns the first row that a statement answers, if it answers any.
    pub(super) async fn first(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>, Fail> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Tells whether a statement answers a row.
    pub(super) async fn exists(&self, sql: &str, params: &[Param<'_>]) -> Result<bool, Fail> {
        Ok(!self.query(sql, params).await?.is_empty())
    }

    /// Runs a statement, and returns how many rows it wrote.
    pub(super) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, Fail> {
        let connection = self.connection()?;
        let statement = self.noted(connection.prepare_cached(sql)).await?;
        self.before(connection.execute(&statement, params)).await
    }

    /// Runs a statement some time before the next answer or the commit, and behind those that were left for later before.
    pub(super) async fn later(&self, sql: &str, params: &[Param<'_>]) -> Result<(), Fail> {
        self.gather(sql, params, None).await
    }

    /// Does the same, and has the write fail unless the statement writes exactly one row.
    pub(super) async fn later_one(&self, sql: &str, params: &[Param<'_>], unless: Fail) -> Result<(), Fail> {
        self.gather(sql, params, Some(unless)).await
    }

    async fn gather(&self, sql: &str, params: &[Param<'_>], unless_one: Option<Fail>) -> Result<(), Fail> {
        let connection = self.connection()?;
        let statement = self.noted(connection.prepare_cached(sql)).await?;
        let values = Encoded::all(&statement, params)?;
        self.gathered().push(Gathered { statement, values, unless_one });
        Ok(())
    }

    /// Sends what was left for later, and waits for all of it.
    pub(super) async fn settle(&self) -> Result<(), Fail> {
        self.before(ready(Ok(()))).await
    }

    /// Sends what was left for later before the last one, in one go, and waits for all. Where several fail, the first one counts: those behind it
    /// fail because of it.
    async fn before<T>(
        &self,
        last: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fail> {
        let gathered = mem::take(&mut *self.gathered());
        let connection = self.connection()?;
        // Each is sent when it is polled first, which happens in their order.
        let sent = gathered.iter().map(|one| connection.execute_raw(&one.statement, &one.values));
        let (answers, last) = self.noted(async { Ok(join(join_all(sent), last).await) }).await?;
        for (one, answer) in gathered.into_iter().zip(answers) {
            let written = self.noted(ready(answer)).await?;
            if let Some(fail) = one.unless_one.filter(|_| written != 1) {
                return Err(fail);
            }
        }
        self.noted(ready(last)).await
    }

    fn gathered(&self) -> MutexGuard<'_, Vec<Gathered>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a transaction, together with the first thing that is asked in it.
    pub(super) async fn begin(&self) -> Result<(), Fail> {
        self.open.store(true, Ordering::Relaxed);
        self.failed.store(false, Ordering::Relaxed);
        self.later("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", params![]).await
    }

    /// Commits a transaction of which no statement has failed. The server may take as long as it likes: a commit that waits for a standby would
    /// not fail by its time, but be answered before the standby has it. Whoever hears nothing of it knows nothing of it.
    pub(super) async fn commit(&self) -> Result<(), Fail> {
        let connection = self.connection()?;
        self.answered(connection.batch_execute("SET LOCAL statement_timeout TO 0; COMMIT")).await?;
        self.open.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Ends a transaction without keeping anything. A connection on which that fails is not used again.
    pub(super) async fn roll_back(&self) {
        self.gathered().clear();
        // Behind what was not answered nothing is.
        if let Ok(connection) = self.connection()
            && !self.silent.load(Ordering::Relaxed)
            && self.answered(connection.batch_execute("ROLLBACK")).await.is_ok()
        {
            self.open.store(false, Ordering::Relaxed);
        }
    }

    /// Tells whether a statement of the transaction failed: the server then answers `COMMIT` by keeping nothing, and calls that no error.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Tells whether the connection is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
            || self.connection.as_ref().is_none_or(|connection| connection.is_closed())
    }

    fn connection(&self) -> Result<&Object, Fail> {
        self.connection.as_ref().ok_or_else(|| Fail::Pool("the connection was given back".to_owned()))
    }

    async fn noted<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fail> {
        self.answered(work).await.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    /// Waits for an answer, but not for ever.
    async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fail> {
        match timeout(ANSWER_WAIT, answer).await {
            Ok(answer) => answer.map_err(Fail::Sql),
            Err(_) => {
                self.silent.store(true, Ordering::Relaxed);
                Err(Fail::Silent)
            }
        }
    }
}

/// A statement that grows clause by clause, each with one parameter.
pub(super) struct Query {
    sql: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Query {
    /// Begins with a text that the first value follows.
    pub(super) fn new(sql: String, value: impl ToSql + Send + Sync + 'static) -> Self {
        let mut query = Self { sql, values: Vec::new() };
        query.also("", value);
        query
    }

    /// Adds a text and a value behind it.
    pub(super) fn also(&mut self, clause: &str, value: impl ToSql + Send + Sync + 'static) -> &mut Self {
        self.values.push(Box::new(value));
        self.text(&format!("{clause}${}", self.values.len()))
    }

    /// Adds a text.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.sql.push_str(text);
        self
    }

    /// Returns the rows that it answers.
    pub(super) async fn run(&self, db: &Db) -> Result<Vec<Row>, Fail> {
        let values: Vec<Param<'_>> = self.values.iter().map(|value| &**value as Param<'_>).collect();
        db.query(&self.sql, &values).await
    }
}
