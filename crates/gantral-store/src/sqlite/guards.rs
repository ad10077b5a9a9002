//! What must still stand when an append commits.

use gantral_core::ids::GrantId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::columns::millis;
use super::{governance, spending};
use crate::append::Append;
use crate::effect::Guard;

/// Returns the first guard that does not stand. Consuming a grant guards itself.
pub(super) fn first_failure(connection: &Connection, append: &Append) -> rusqlite::Result<Option<Guard>> {
    for guard in &append.guards {
        if !stands(connection, append, guard)? {
            return Ok(Some(guard.clone()));
        }
    }
    for use_of in append.uses_of_grants() {
        let free = !use_of.again && (use_of.made_here || grant_unconsumed(connection, append, use_of.id)?);
        if !free {
            return Ok(Some(Guard::GrantUnconsumed(use_of.id)));
        }
    }
    Ok(None)
}

fn stands(connection: &Connection, append: &Append, guard: &Guard) -> rusqlite::Result<bool> {
    match guard {
        Guard::GrantUnconsumed(id) => grant_unconsumed(connection, append, *id),
        Guard::Lease { attempt, now } => Ok(connection
            .prepare_cached(
                "SELECT 1 FROM lease
                 WHERE tenant = ?1 AND instance = ?2 AND attempt = ?3 AND ended = 0 AND until > ?4",
            )?
            .exists(params![append.tenant.as_str(), append.instance.as_bytes(), attempt.0, millis(*now)])?),
        Guard::Totals { workflow, workflow_changes, team, team_changes } => {
            let changes = spending::changes(connection, &append.tenant, workflow, team)?;
            Ok(changes == (*workflow_changes, *team_changes))
        }
        Guard::TaskReleased => Ok(connection
            .prepare_cached("SELECT 1 FROM task WHERE tenant = ?1 AND instance = ?2 AND released")?
            .exists(params![append.tenant.as_str(), append.instance.as_bytes()])?),
        Guard::GovernanceHead(hash) => {
            let head = governance::place(connection, &append.tenant)?.map(|place| place.head.hash);
            Ok(head == *hash)
        }
        // Looked at when everything else stands.
        Guard::Room(_) => Ok(true),
    }
}

fn grant_unconsumed(connection: &Connection, append: &Append, id: GrantId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT consumed_by IS NULL FROM grant_row WHERE tenant = ?1 AND id = ?2 AND instance = ?3",
        )?
        .query_row(params![append.tenant.as_str(), id.as_bytes(), append.instance.as_bytes()], |row| {
            row.get(0)
        })
        .optional()
        .map(|found| found.unwrap_or(false))
}
