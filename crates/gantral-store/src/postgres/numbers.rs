//! Up to which number of an artifact everything is settled.
//!
//! Numbers are taken from a sequence before their commit, so that a smaller one may be committed after a greater one, and one whose transaction
//! failed is never used. Whoever reads in the order of the numbers and goes on behind the last one that it saw would leave out what comes
//! late. So every such read ends at the horizon: up to there nothing can be committed any more, and the numbers are an order of the commits in
//! which nothing is missing. Artifacts of one chain rise anyway, because the next is numbered after the one before has been committed.

use super::columns::{count, get};
use super::db::{Db, params};
use super::writer::Fail;

/// Returns the number up to which every transaction that took one has ended. What is read afterwards, by another statement, sees all of them.
pub(super) async fn horizon(db: &Db) -> Result<u64, Fail> {
    match db.first("SELECT artifact_horizon()", params![]).await? {
        Some(row) => count(&row, 0),
        None => Err(Fail::Damaged("the sequence of the artifacts has no value".to_owned())),
    }
}

/// Takes numbers for so many artifacts, rising; nothing above them counts as settled before the transaction ends.
pub(super) async fn take(db: &Db, artifacts: usize) -> Result<Vec<i64>, Fail> {
    let wanted = i64::try_from(artifacts).unwrap_or(i64::MAX);
    let taken = db.query("SELECT artifact_numbers($1)", params![wanted]).await?;
    taken.iter().map(|row| get(row, 0)).collect()
}
