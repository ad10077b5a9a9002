//! Locks upon what has no row of its own: the open proposals of a tenant, the enrolments of a person, a governance chain that has not begun.
//!
//! Such a lock has a name and is held until the end of the transaction. A number that may not be exceeded is counted and then written to, by
//! whoever holds the lock alone. What many rely on and few change is held shared by the many. Unlike those of rows, these locks are had in
//! the order in which they are asked for: whoever wants one alone waits for those that have it, and for nobody who comes later. Names are
//! hashed: two that share a hash wait for each other and nothing worse.

use super::db::{Db, params};
use super::writer::Fail;

/// The first half of the key of each of these locks, so that they are none of anybody else's.
const CLASS: i32 = 7_301;

/// What a lock is on.
#[derive(Debug, Clone, Copy)]
pub(super) enum On {
    /// The candidate policies of a tenant.
    Candidates,
    /// The checkpoints of a tenant's log that witnesses have cosigned.
    Cosigned,
    /// The enrolments of a person of a tenant.
    Enrolments,
    /// The head of a tenant's governance chain.
    Governance,
    /// The open proposals of a tenant.
    Proposals,
    /// What a tenant may still begin.
    Room,
}

/// Waits until nobody else holds the lock, and keeps everybody else from it until the transaction ends.
pub(super) async fn alone(db: &Db, on: On, of: &[&str]) -> Result<(), Fail> {
    let lock = "SELECT pg_advisory_xact_lock($1::int, hashtext($2))";
    db.first(lock, params![CLASS, name(on, of)]).await.map(drop)
}

/// Waits until nobody holds the lock alone, or waits for that, and keeps everybody from it until the transaction ends.
pub(super) async fn shared(db: &Db, on: On, of: &[&str]) -> Result<(), Fail> {
    let lock = "SELECT pg_advisory_xact_lock_shared($1::int, hashtext($2))";
    db.first(lock, params![CLASS, name(on, of)]).await.map(drop)
}

fn name(on: On, of: &[&str]) -> String {
    let word = match on {
        On::Candidates => "candidates",
        On::Cosigned => "cosigned",
        On::Enrolments => "enrolments",
        On::Governance => "governance",
        On::Proposals => "proposals",
        On::Room => "room",
    };
    format!("{word}\n{}", of.join("\n"))
}
