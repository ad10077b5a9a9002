//! What must still stand when an append commits. What a guard has seen, it holds: nobody changes it until the append has ended.

use gantral_core::ids::GrantId;

use super::columns::millis;
use super::db::{Db, params};
use super::governance::{self, Hold};
use super::spending;
use super::writer::Fail;
use crate::append::Append;
use crate::effect::Guard;

/// Returns the first guard that does not stand. Consuming a grant guards itself.
pub(super) async fn first_failure(db: &Db, append: &Append) -> Result<Option<Guard>, Fail> {
    for guard in &append.guards {
        if !stands(db, append, guard).await? {
            return Ok(Some(guard.clone()));
        }
    }
    for use_of in append.uses_of_grants() {
        let free = !use_of.again && (use_of.made_here || grant_unconsumed(db, append, use_of.id).await?);
        if !free {
            return Ok(Some(Guard::GrantUnconsumed(use_of.id)));
        }
    }
    Ok(None)
}

async fn stands(db: &Db, append: &Append, guard: &Guard) -> Result<bool, Fail> {
    match guard {
        Guard::GrantUnconsumed(id) => grant_unconsumed(db, append, *id).await,
        // A lease ends under the lock of its instance, which is held; a renewal makes it longer.
        Guard::Lease { attempt, now } => {
            db.exists(
                "SELECT 1 FROM lease
                 WHERE tenant = $1 AND instance = $2 AND attempt = $3 AND NOT ended AND until > $4",
                params![
                    append.tenant.as_str(),
                    append.instance.as_bytes().as_slice(),
                    i64::from(attempt.0),
                    millis(*now)
                ],
            )
            .await
        }
        Guard::Totals { workflow, workflow_changes, team, team_changes } => {
            let changes = spending::held_changes(db, &append.tenant, workflow, team).await?;
            Ok(changes == (*workflow_changes, *team_changes))
        }
        // A task changes under the lock of its instance, which is held.
        Guard::TaskReleased => {
            db.exists(
                "SELECT 1 FROM task WHERE tenant = $1 AND instance = $2 AND released",
                params![append.tenant.as_str(), append.instance.as_bytes().as_slice()],
            )
            .await
        }
        Guard::GovernanceHead(hash) => {
            let place = governance::place(db, &append.tenant, Hold::Share).await?;
            Ok(place.map(|place| place.head.hash) == *hash)
        }
        // Looked at when everything else stands.
        Guard::Room(_) => Ok(true),
    }
}

/// Tells whether a grant of the instance, whose row is held, is not consumed.
async fn grant_unconsumed(db: &Db, append: &Append, id: GrantId) -> Result<bool, Fail> {
    db.exists(
        "SELECT 1 FROM grant_row WHERE tenant = $1 AND id = $2 AND instance = $3 AND consumed_by IS NULL",
        params![append.tenant.as_str(), id.as_bytes().as_slice(), append.instance.as_bytes().as_slice()],
    )
    .await
}
