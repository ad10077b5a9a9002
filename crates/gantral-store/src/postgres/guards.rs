//! What must still stand when an append commits. What a guard has seen, it holds: nobody changes it until the append has ended.

use gantral_core::ids::GrantId;

use super::db::Db;
use super::facts::Facts;
use super::spending;
use super::writer::Fail;
use crate::append::Append;
use crate::effect::Guard;

/// Returns the first guard that does not stand. Consuming a grant guards itself.
pub(super) async fn first_failure(db: &Db, append: &Append, facts: &Facts) -> Result<Option<Guard>, Fail> {
    for guard in &append.guards {
        if !stands(db, append, guard, facts).await? {
            return Ok(Some(guard.clone()));
        }
    }
    let is_free = |id: GrantId| facts.unconsumed.contains(&id);
    let used = append.uses_of_grants().into_iter().find(|of| of.again || !(of.made_here || is_free(of.id)));
    Ok(used.map(|of| Guard::GrantUnconsumed(of.id)))
}

async fn stands(db: &Db, append: &Append, guard: &Guard, facts: &Facts) -> Result<bool, Fail> {
    Ok(match guard {
        Guard::GrantUnconsumed(id) => facts.unconsumed.contains(id),
        Guard::Lease { attempt, now } => {
            facts.lease.is_some_and(|(holder, until)| holder == *attempt && until > *now)
        }
        Guard::Totals { workflow, workflow_changes, team, team_changes } => {
            let changes = spending::held_changes(db, &append.tenant, workflow, team).await?;
            changes == (*workflow_changes, *team_changes)
        }
        Guard::TaskReleased => facts.task.as_ref().is_some_and(|(_, is_released)| *is_released),
        Guard::GovernanceHead(hash) => facts.governance == *hash,
        // Looked at when everything else stands.
        Guard::Room(_) => true,
    })
}
