//! One connection, and the statements that are sent through it.
//!
//! A transaction writes many rows and need not hear of each before it writes the next. So statements whose answers decide nothing are gathered
//! ([`Db::later`]) and sent in one go, in their order and before whatever is asked next: the server works through them while nobody waits in between, and
//! an append costs a handful of round trips, however much it writes.

use std::collections::{BTreeSet, VecDeque};
use std::future::ready;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// A connection of the pool, and what is to be sent through it. Outside a transaction each statement is one.
pub(super) struct Db {
    shared: Arc<Shared>,
    /// What is sent before anything else is asked here.
    gathered: Mutex<Vec<Gathered>>,
}

/// A connection that several gather statements for.
struct Shared {
    /// `None` only while it is dropped.
    connection: Option<Object>,
    /// Whether a transaction is open.
    open: AtomicBool,
    /// Whether a statement failed since the transaction began.
    failed: AtomicBool,
    /// Whether an answer did not come: it may still do, in the place of another one.
    silent: AtomicBool,
}

/// A statement whose answer nothing waits for but the end of the transaction.
struct Gathered {
    sql: &'static str,
    statement: Statement,
    values: Values,
    /// Why the write fails unless as many rows are written as were given.
    unless_all: Option<Fail>,
}

/// With what a statement is run.
enum Values {
    /// A value for each parameter.
    One(Vec<Encoded>),
    /// A row of them for each element of its parameters, which are arrays.
    Rows(Vec<Vec<Encoded>>),
}

impl Gathered {
    /// Sends it when it is polled first, and returns how many rows it wrote.
    async fn run(&self, connection: &Object) -> Result<u64, tokio_postgres::Error> {
        match &self.values {
            Values::One(values) => connection.execute_raw(&self.statement, values).await,
            Values::Rows(rows) => {
                let columns = Encoded::columns(rows, self.statement.params().len());
                connection.execute_raw(&self.statement, &columns).await
            }
        }
    }
}

impl Values {
    /// Returns how many rows were given.
    fn rows(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Rows(rows) => u64::try_from(rows.len()).unwrap_or(u64::MAX),
        }
    }
}

/// A connection that is given up in the middle of a transaction or of an answer is closed and not used again: the server ends what was open.
impl Drop for Shared {
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
        let [open, failed, silent] = [false; 3].map(AtomicBool::new);
        let shared = Shared { connection: Some(connection), open, failed, silent };
        Ok(Self { shared: Arc::new(shared), gathered: Mutex::default() })
    }

    /// Returns another one upon the same connection, and in its transaction: what is left for later here waits until it is taken over.
    pub(super) fn beside(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), gathered: Mutex::default() }
    }

    /// Leaves for later what was left for later by others upon this connection. Each has its order; rows of the same statement are written by one,
    /// whoever left them.
    pub(super) fn take_over(&self, others: &[Self]) {
        let mut lanes: Vec<VecDeque<Gathered>> =
            others.iter().map(|other| mem::take(&mut *other.gathered()).into()).collect();
        let mut gathered = self.gathered();
        while let Some(sql) = next_of(&lanes) {
            let firsts = lanes.iter_mut().filter_map(|lane| lane.pop_front_if(|first| first.sql == sql));
            firsts.for_each(|one| add(&mut gathered, one));
        }
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
    pub(super) async fn later(&self, sql: &'static str, params: &[Param<'_>]) -> Result<(), Fail> {
        let statement = self.prepared(sql).await?;
        let values = Values::One(Encoded::all(&statement, params)?);
        self.gathered().push(Gathered { sql, statement, values, unless_all: None });
        Ok(())
    }

    /// Writes a row in the same way. The statement takes each of its parameters as an array: rows that follow each other are written by one.
    pub(super) async fn row(&self, sql: &'static str, params: &[Param<'_>]) -> Result<(), Fail> {
        self.gather(sql, params, None).await
    }

    /// Does the same, and has the write fail unless each of these rows is written.
    pub(super) async fn row_or(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        unless: Fail,
    ) -> Result<(), Fail> {
        self.gather(sql, params, Some(unless)).await
    }

    async fn gather(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        unless_all: Option<Fail>,
    ) -> Result<(), Fail> {
        let statement = self.prepared(sql).await?;
        let values = Values::Rows(vec![Encoded::row(&statement, params)?]);
        add(&mut self.gathered(), Gathered { sql, statement, values, unless_all });
        Ok(())
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, Fail> {
        self.noted(self.connection()?.prepare_cached(sql)).await
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
        let sent = gathered.iter().map(|one| one.run(connection));
        let (answers, last) = self.noted(async { Ok(join(join_all(sent), last).await) }).await?;
        for (one, answer) in gathered.into_iter().zip(answers) {
            let written = self.noted(ready(answer)).await?;
            let all = one.values.rows();
            if let Some(fail) = one.unless_all.filter(|_| written != all) {
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
        self.shared.open.store(true, Ordering::Relaxed);
        self.shared.failed.store(false, Ordering::Relaxed);
        self.later("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", params![]).await
    }

    /// Commits a transaction of which no statement has failed. The server may take as long as it likes: a commit that waits for a standby would
    /// not fail by its time, but be answered before the standby has it. Whoever hears nothing of it knows nothing of it.
    pub(super) async fn commit(&self) -> Result<(), Fail> {
        let connection = self.connection()?;
        self.answered(connection.batch_execute("SET LOCAL statement_timeout TO 0; COMMIT")).await?;
        self.shared.open.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Ends a transaction without keeping anything. A connection on which that fails is not used again.
    pub(super) async fn roll_back(&self) {
        self.gathered().clear();
        // Behind what was not answered nothing is.
        if let Ok(connection) = self.connection()
            && !self.shared.silent.load(Ordering::Relaxed)
            && self.answered(connection.batch_execute("ROLLBACK")).await.is_ok()
        {
            self.shared.open.store(false, Ordering::Relaxed);
        }
    }

    /// Tells whether a statement of the transaction failed: the server then answers `COMMIT` by keeping nothing, and calls that no error.
    pub(super) fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Tells whether the connection is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.silent.load(Ordering::Relaxed)
            || self.shared.connection.as_ref().is_none_or(|connection| connection.is_closed())
    }

    fn connection(&self) -> Result<&Object, Fail> {
        self.shared.connection.as_ref().ok_or_else(|| Fail::Pool("the connection was given back".to_owned()))
    }

    async fn noted<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fail> {
        self.answered(work).await.inspect_err(|_| self.shared.failed.store(true, Ordering::Relaxed))
    }

    /// Waits for an answer, but not for ever.
    async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fail> {
        match timeout(ANSWER_WAIT, answer).await {
            Ok(answer) => answer.map_err(Fail::Sql),
            Err(_) => {
                self.shared.silent.store(true, Ordering::Relaxed);
                Err(Fail::Silent)
            }
        }
    }
}

/// Returns the statement that goes next: the first of some lane that the fewest others come to later, so that they all meet there.
fn next_of(lanes: &[VecDeque<Gathered>]) -> Option<&'static str> {
    let firsts = lanes.iter().filter_map(VecDeque::front).map(|first| first.sql);
    let later = |sql: &str| {
        let behind = |lane: &&VecDeque<Gathered>| {
            lane.front().is_some_and(|first| first.sql != sql) && lane.iter().any(|one| one.sql == sql)
        };
        lanes.iter().filter(behind).count()
    };
    firsts.collect::<BTreeSet<_>>().into_iter().min_by_key(|sql| later(sql))
}

/// Adds a statement behind others: its rows to those of the last one, if that is the same.
fn add(gathered: &mut Vec<Gathered>, one: Gathered) {
    match (gathered.last_mut(), one) {
        (
            Some(Gathered { sql: last, values: Values::Rows(rows), .. }),
            Gathered { sql, values: Values::Rows(more), .. },
        ) if *last == sql => {
            rows.extend(more);
        }
        (_, one) => gathered.push(one),
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
