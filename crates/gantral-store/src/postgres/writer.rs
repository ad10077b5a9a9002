//! One write as one transaction, begun anew where that is safe, and what is told of its failures.

use std::pin::Pin;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::db::Db;
use super::news::News;
use crate::changes::Change;
use crate::error::StoreError;

/// How often a write is begun before it fails: each time somebody else has committed something, so that a write that loses this often is on rows
/// that are fought over.
const TRIES_MAX: u32 = 16;
/// How long a write waits before it is begun anew, times the number of tries: long enough for the other one to commit.
const TRY_WAIT: Duration = Duration::from_millis(2);

/// What is said of a server that says nothing.
const SILENT: &str = "the database does not answer";
/// The constraints that a write violates which has looked and found nothing there, when another one commits it in between: looking anew finds it.
const RACED: [&str; 3] = ["artifact_place", "instance_pkey", "instance_call"];

/// What a write does inside its transaction: upon a state that it may only look at, because it may be run again.
pub(super) type Work<S, T> =
    for<'a> fn(&'a S, &'a Db, &'a mut After) -> Pin<Box<dyn Future<Output = Result<T, Fail>> + Send + 'a>>;

/// Why one write or read failed.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The write contradicts itself or the rows that are there.
    Contradiction(&'static str),
    /// Somebody else was first: what was decided upon is no longer so, and everything is to be decided anew.
    Again,
    /// A stored row cannot be read.
    Damaged(String),
    /// No connection could be had.
    Pool(String),
    /// The server refused, or was lost.
    Sql(tokio_postgres::Error),
    /// Nothing was heard of the server.
    Silent,
}

impl From<Fail> for StoreError {
    /// Returns what a caller is told, of whose work nothing was kept.
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Contradiction(what) => Self::Contradiction { what: what.to_owned() },
            Fail::Again => Self::Failed { reason: "other writes were first, again and again".to_owned() },
            Fail::Damaged(what) => Self::Damaged { what },
            Fail::Pool(reason) => Self::Failed { reason },
            Fail::Silent => Self::Failed { reason: SILENT.to_owned() },
            Fail::Sql(error) => match error.code().map(class) {
                Some(Class::Contradiction) => Self::Contradiction { what: reason(&error) },
                Some(Class::Conflict | Class::Environment) | None => Self::Failed { reason: reason(&error) },
            },
        }
    }
}

impl Fail {
    /// Tells whether the same write may succeed if it is begun anew at once.
    fn is_passing(&self) -> bool {
        match self {
            Self::Again => true,
            Self::Sql(error) => {
                let raced = error.as_db_error().and_then(|error| error.constraint());
                matches!(error.code().map(class), Some(Class::Conflict))
                    || raced.is_some_and(|constraint| RACED.contains(&constraint))
            }
            Self::Contradiction(_) | Self::Damaged(_) | Self::Pool(_) | Self::Silent => false,
        }
    }
}

/// Whose fault an error of the server is.
enum Class {
    /// Two transactions stood in each other's way, and this one was ended.
    Conflict,
    /// The write does not fit the rows or the limits of the database.
    Contradiction,
    /// The server's, or what it runs on.
    Environment,
}

/// Sorts an error by its code (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn class(code: &SqlState) -> Class {
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        return Class::Conflict;
    }
    match code.code().get(..2) {
        // Data, integrity, limits of the program.
        Some("22" | "23" | "54") => Class::Contradiction,
        Some(_) | None => Class::Environment,
    }
}

/// Returns what the server said, for the log: its detail is left out, because that names values.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                reason.push_str(": ");
                reason.push_str(&cause.to_string());
                source = cause.source();
            }
            reason
        }
    }
}

/// What follows a commit.
#[derive(Default)]
pub(super) struct After {
    /// What is announced.
    pub(super) changes: Vec<Change>,
    /// The numbers of the artifacts that were written, rising.
    pub(super) numbers: Vec<i64>,
    /// Whether the transaction is ended without keeping anything, because the answer is a "no".
    pub(super) forgets: bool,
    /// Whether the write was begun before, and somebody else was first.
    pub(super) is_repeated: bool,
}

/// At which step a write failed.
enum Failed {
    /// Before the commit: nothing is durable.
    Before(Fail),
    /// In the commit: it is unknown whether the write is durable.
    InCommit(String),
}

/// Runs work until it is committed or has failed for good, announces what it did, and returns its result.
pub(super) async fn run<S: Sync, T>(
    db: Db,
    news: &News,
    state: &S,
    work: Work<S, T>,
) -> Result<T, StoreError> {
    let mut tries = 1;
    loop {
        let failed = match once(&db, news, state, work, tries > 1).await {
            Ok((result, after)) => {
                // The changes go first, so that a caller who is answered finds its own change announced.
                news.committed(after);
                return Ok(result);
            }
            Err(failed) => failed,
        };
        match failed {
            Failed::InCommit(reason) => return Err(StoreError::Unknown { reason }),
            Failed::Before(fail) if tries < TRIES_MAX && fail.is_passing() && !db.is_lost() => {
                tokio::time::sleep(TRY_WAIT.saturating_mul(tries)).await;
                tries += 1;
            }
            Failed::Before(fail) => return Err(fail.into()),
        }
    }
}

async fn once<S, T>(
    db: &Db,
    news: &News,
    state: &S,
    work: Work<S, T>,
    is_repeated: bool,
) -> Result<(T, After), Failed> {
    let mut after = After { is_repeated, ..After::default() };
    let worked = match db.begin().await {
        Ok(()) => work(state, db, &mut after).await,
        Err(fail) => Err(fail),
    };
    let worked = match worked {
        Ok(result) if !after.forgets => db.settle().await.map(|()| result),
        worked => worked,
    };
    match worked {
        Ok(result) if after.forgets => {
            db.roll_back().await;
            Ok((result, After::default()))
        }
        Ok(_) if db.has_failed() => {
            db.roll_back().await;
            Err(Failed::Before(Fail::Contradiction("a write went on after a statement had failed")))
        }
        Ok(result) => {
            news.committing(&after);
            let committed = db.commit().await;
            finished(db, news, committed, after).await.map(|after| (result, after))
        }
        Err(fail) => {
            db.roll_back().await;
            Err(Failed::Before(fail))
        }
    }
}

/// Tells what a commit came to.
async fn finished(db: &Db, news: &News, committed: Result<(), Fail>, after: After) -> Result<After, Failed> {
    let reason = match committed {
        Ok(()) => return Ok(after),
        // A conflict that is found at the commit ends the transaction; whatever else fails there may have failed after it.
        Err(Fail::Sql(error))
            if matches!(error.code().map(class), Some(Class::Conflict | Class::Contradiction)) =>
        {
            db.roll_back().await;
            return Err(Failed::Before(Fail::Sql(error)));
        }
        Err(Fail::Sql(error)) => reason(&error),
        Err(fail) => StoreError::from(fail).to_string(),
    };
    news.unknown(&after);
    Err(Failed::InCommit(reason))
}
