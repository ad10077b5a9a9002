//! The rows that an append writes beside its artifacts, under the lock of its instance.

use gantral_core::ids::{ActorId, AttemptNo, GateId, Name, Role};
use gantral_core::time::UnixMillis;

use super::columns::{joined, millis, name};
use super::db::{Db, params};
use super::writer::Fail;
use super::{enrolments, outbox, snapshots, spending};
use crate::append::Append;
use crate::effect::{Effect, GateRow};

/// Why a gate is not moved or closed.
pub(super) const NOT_OPEN: Fail = Fail::Contradiction("the gate is not open at this instance");

/// Applies the effects in order behind the append's artifacts, and returns the queue on which a task may have become ready. What is written is left for
/// later, as far as nothing has to be read behind it.
pub(super) async fn apply(db: &Db, append: &Append) -> Result<Option<Name>, Fail> {
    let mut ready = None;
    for effect in &append.effects {
        match effect {
            Effect::OpenGate(gate) => open_gate(db, append, gate).await?,
            Effect::MoveGate { id, version, roles, deadline } => {
                move_gate(db, append, *id, (*version, roles, *deadline)).await?;
            }
            Effect::CloseGate { id, resolution, decided_by, at } => {
                close_gate(db, append, *id, (resolution, decided_by.as_ref(), *at)).await?;
            }
            Effect::PutGrant { id, expires_at } => {
                let (tenant, instance) = key(append);
                db.later(
                    "INSERT INTO grant_row(tenant, instance, id, expires_at) VALUES($1, $2, $3, $4)",
                    params![tenant, instance, id.as_bytes().as_slice(), millis(*expires_at)],
                )
                .await?;
            }
            Effect::ConsumeGrant { id, attempt } => {
                let (tenant, instance) = key(append);
                db.later_one(
                    "UPDATE grant_row SET consumed_by = $4
                     WHERE tenant = $1 AND instance = $2 AND id = $3 AND consumed_by IS NULL",
                    params![tenant, instance, id.as_bytes().as_slice(), i64::from(attempt.0)],
                    Fail::Contradiction("a grant is consumed before it is made"),
                )
                .await?;
            }
            Effect::Reserve { grant, amount, at } => {
                spending::reserve(db, append, *grant, *amount, *at).await?;
            }
            Effect::Settle { grant, cost } => spending::settle(db, append, *grant, *cost).await?,
            Effect::CountRule { rule, at } => spending::count_rule(db, append, rule, *at).await?,
            Effect::PutSnapshot { commitment, label, salt, plaintext } => {
                snapshots::put(db, commitment, *label, salt, plaintext).await?;
            }
            Effect::PutEvidence { digest, content } => {
                enrolments::keep_evidence(db, append, digest, content).await?;
            }
            Effect::PutTask { queue, team, ready_at } => {
                let (tenant, instance) = key(append);
                db.later(
                    "INSERT INTO task(tenant, instance, queue, team, ready_at) VALUES($1, $2, $3, $4, $5)
                     ON CONFLICT(tenant, instance) DO UPDATE
                     SET queue = excluded.queue, team = excluded.team, ready_at = excluded.ready_at, released = false",
                    params![tenant, instance, queue.as_str(), team.as_str(), millis(*ready_at)],
                )
                .await?;
                ready = Some(queue.clone());
            }
            Effect::AssignTask { attempt, executor, lease_until } => {
                drop_task(db, append).await?;
                assign(db, append, *attempt, executor, *lease_until).await?;
                ready = None;
            }
            Effect::EndLease { attempt } => ready = end_lease(db, append, *attempt).await?.or(ready),
            Effect::DropTask => {
                drop_task(db, append).await?;
                ready = None;
            }
            Effect::Remind { gate, since, at } => outbox::schedule(db, append, *gate, *since, *at).await?,
            Effect::Tell(tell) => outbox::tell(db, &append.tenant, tell).await?,
        }
    }
    Ok(ready)
}

/// Returns the key of the append's instance.
fn key(append: &Append) -> (&str, &[u8]) {
    (append.tenant.as_str(), append.instance.as_bytes())
}

async fn open_gate(db: &Db, append: &Append, gate: &GateRow) -> Result<(), Fail> {
    let GateRow { id, version, workflow, team, roles, action_name, deadline, opened_at, context } = gate;
    let (tenant, instance) = key(append);
    db.later(
        "INSERT INTO gate(tenant, id, instance, version, workflow, team, roles, action_name, deadline,
           opened_at, context, open)
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, true)",
        params![
            tenant,
            id.as_bytes().as_slice(),
            instance,
            i64::from(*version),
            workflow.as_str(),
            team.as_str(),
            joined(roles),
            action_name.as_str(),
            millis(*deadline),
            millis(*opened_at),
            context.as_bytes().as_slice(),
        ],
    )
    .await?;
    put_roles(db, append, *id, roles, *deadline).await
}

async fn put_roles(
    db: &Db,
    append: &Append,
    id: GateId,
    roles: &[Role],
    deadline: UnixMillis,
) -> Result<(), Fail> {
    let (tenant, gate) = (append.tenant.as_str(), id.as_bytes().as_slice());
    for role in roles {
        db.later(
            "INSERT INTO gate_role(tenant, role, open, deadline, gate) VALUES($1, $2, true, $3, $4)
             ON CONFLICT DO NOTHING",
            params![tenant, role.as_str(), millis(deadline), gate],
        )
        .await?;
    }
    Ok(())
}

/// The rows of the roles of gate `$2`, if it is open at instance `$3`.
const ROLES: &str =
    "r.tenant = $1 AND r.gate = $2 AND r.open AND g.tenant = $1 AND g.id = $2 AND g.instance = $3 AND g.open
    AND r.deadline = g.deadline AND r.role = ANY(string_to_array(g.roles, ' '))";

async fn move_gate(
    db: &Db,
    append: &Append,
    id: GateId,
    (version, roles, deadline): (u32, &[Role], UnixMillis),
) -> Result<(), Fail> {
    let ((tenant, instance), gate) = (key(append), id.as_bytes().as_slice());
    let forget = format!("DELETE FROM gate_role r USING gate g WHERE {ROLES}");
    db.later(&forget, params![tenant, gate, instance]).await?;
    db.later_one(
        "UPDATE gate SET version = $4, roles = $5, deadline = $6, remind_at = NULL
         WHERE tenant = $1 AND id = $2 AND instance = $3 AND open",
        params![tenant, gate, instance, i64::from(version), joined(roles), millis(deadline)],
        NOT_OPEN,
    )
    .await?;
    put_roles(db, append, id, roles, deadline).await
}

async fn close_gate(
    db: &Db,
    append: &Append,
    id: GateId,
    (resolution, decided_by, at): (&Name, Option<&ActorId>, UnixMillis),
) -> Result<(), Fail> {
    let ((tenant, instance), gate) = (key(append), id.as_bytes().as_slice());
    let close = format!("UPDATE gate_role r SET open = false FROM gate g WHERE {ROLES}");
    db.later(&close, params![tenant, gate, instance]).await?;
    db.later_one(
        "UPDATE gate SET open = false, resolution = $4, decided_by = $5, closed_at = $6, remind_at = NULL
         WHERE tenant = $1 AND id = $2 AND instance = $3 AND open",
        params![tenant, gate, instance, resolution.as_str(), decided_by.map(ActorId::as_str), millis(at)],
        NOT_OPEN,
    )
    .await
}

async fn drop_task(db: &Db, append: &Append) -> Result<(), Fail> {
    let (tenant, instance) = key(append);
    db.later("DELETE FROM task WHERE tenant = $1 AND instance = $2", params![tenant, instance]).await
}

async fn assign(
    db: &Db,
    append: &Append,
    attempt: AttemptNo,
    executor: &ActorId,
    until: UnixMillis,
) -> Result<(), Fail> {
    let (tenant, instance) = key(append);
    db.later_one(
        "INSERT INTO lease(tenant, instance, attempt, executor, until, ended) VALUES($1, $2, $3, $4, $5, false)
         ON CONFLICT(tenant, instance) DO UPDATE
         SET attempt = excluded.attempt, executor = excluded.executor, until = excluded.until, ended = false
         WHERE excluded.attempt > lease.attempt",
        params![tenant, instance, i64::from(attempt.0), executor.as_str(), millis(until)],
        Fail::Contradiction("an attempt's number is not above that of the lease before"),
    )
    .await
}

/// Ends a lease, and returns the queue of a task that waited for that.
async fn end_lease(db: &Db, append: &Append, attempt: AttemptNo) -> Result<Option<Name>, Fail> {
    let (tenant, instance) = key(append);
    db.later(
        "UPDATE lease SET ended = true WHERE tenant = $1 AND instance = $2 AND attempt = $3 AND NOT ended",
        params![tenant, instance, i64::from(attempt.0)],
    )
    .await?;
    let task = db
        .first("SELECT queue FROM task WHERE tenant = $1 AND instance = $2", params![tenant, instance])
        .await?;
    task.map(|row| name(&row, 0)).transpose()
}
