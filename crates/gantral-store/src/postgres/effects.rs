//! The rows that an append writes beside its artifacts, under the lock of its instance.

use gantral_core::ids::{ActorId, AttemptNo, GateId, Name, Role};
use gantral_core::time::UnixMillis;

use super::columns::{instant, joined, millis, name, split};
use super::db::{Db, params};
use super::writer::Fail;
use super::{enrolments, outbox, snapshots, spending};
use crate::append::Append;
use crate::effect::{Effect, GateRow};

/// Applies the effects in order, and returns the queue on which a task may have become ready.
/// `artifact` is the number of the append's last artifact.
pub(super) async fn apply(db: &Db, append: &Append, artifact: i64) -> Result<Option<Name>, Fail> {
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
                db.execute(
                    "INSERT INTO grant_row(tenant, instance, id, expires_at) VALUES($1, $2, $3, $4)",
                    params![tenant, instance, id.as_bytes().as_slice(), millis(*expires_at)],
                )
                .await?;
            }
            Effect::ConsumeGrant { id, attempt } => {
                let (tenant, instance) = key(append);
                let changed = db
                    .execute(
                        "UPDATE grant_row SET consumed_by = $4
                         WHERE tenant = $1 AND instance = $2 AND id = $3 AND consumed_by IS NULL",
                        params![tenant, instance, id.as_bytes().as_slice(), i64::from(attempt.0)],
                    )
                    .await?;
                only_one(changed, "a grant is consumed before it is made")?;
            }
            Effect::Reserve { grant, amount, at } => {
                spending::reserve(db, append, *grant, *amount, *at).await?;
            }
            Effect::Settle { grant, cost } => spending::settle(db, append, *grant, *cost).await?,
            Effect::CountRule { rule, at } => spending::count_rule(db, append, rule, *at).await?,
            Effect::PutSnapshot { commitment, label, salt, plaintext } => {
                snapshots::put(db, artifact, commitment, *label, salt, plaintext).await?;
            }
            Effect::PutEvidence { digest, content } => {
                enrolments::keep_evidence(db, append, digest, content).await?;
            }
            Effect::PutTask { queue, team, ready_at } => {
                let (tenant, instance) = key(append);
                db.execute(
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

pub(super) fn only_one(changed: u64, what: &'static str) -> Result<(), Fail> {
    if changed == 1 { Ok(()) } else { Err(Fail::Contradiction(what)) }
}

async fn open_gate(db: &Db, append: &Append, gate: &GateRow) -> Result<(), Fail> {
    let GateRow { id, version, workflow, team, roles, action_name, deadline, opened_at, context } = gate;
    let (tenant, instance) = key(append);
    db.execute(
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
        db.execute(
            "INSERT INTO gate_role(tenant, role, open, deadline, gate) VALUES($1, $2, true, $3, $4)
             ON CONFLICT DO NOTHING",
            params![tenant, role.as_str(), millis(deadline), gate],
        )
        .await?;
    }
    Ok(())
}

/// Returns the roles and the deadline of the instance's open gate, and holds it.
async fn open_roles(db: &Db, append: &Append, id: GateId) -> Result<(Vec<Role>, UnixMillis), Fail> {
    let (tenant, instance) = key(append);
    let row = db
        .first(
            "SELECT roles, deadline FROM gate WHERE tenant = $1 AND id = $2 AND instance = $3 AND open
             FOR NO KEY UPDATE",
            params![tenant, id.as_bytes().as_slice(), instance],
        )
        .await?
        .ok_or(Fail::Contradiction("the gate is not open at this instance"))?;
    Ok((split(&row, 0)?, instant(&row, 1)?))
}

async fn move_gate(
    db: &Db,
    append: &Append,
    id: GateId,
    (version, roles, deadline): (u32, &[Role], UnixMillis),
) -> Result<(), Fail> {
    let (tenant, gate) = (append.tenant.as_str(), id.as_bytes().as_slice());
    let (old_roles, old_deadline) = open_roles(db, append, id).await?;
    for role in &old_roles {
        db.execute(
            "DELETE FROM gate_role WHERE tenant = $1 AND role = $2 AND open AND deadline = $3 AND gate = $4",
            params![tenant, role.as_str(), millis(old_deadline), gate],
        )
        .await?;
    }
    let changed = db
        .execute(
            "UPDATE gate SET version = $3, roles = $4, deadline = $5, remind_at = NULL
             WHERE tenant = $1 AND id = $2 AND open",
            params![tenant, gate, i64::from(version), joined(roles), millis(deadline)],
        )
        .await?;
    only_one(changed, "the gate is not open at this instance")?;
    put_roles(db, append, id, roles, deadline).await
}

async fn close_gate(
    db: &Db,
    append: &Append,
    id: GateId,
    (resolution, decided_by, at): (&Name, Option<&ActorId>, UnixMillis),
) -> Result<(), Fail> {
    let (tenant, gate) = (append.tenant.as_str(), id.as_bytes().as_slice());
    let (roles, deadline) = open_roles(db, append, id).await?;
    for role in &roles {
        db.execute(
            "UPDATE gate_role SET open = false
             WHERE tenant = $1 AND role = $2 AND open AND deadline = $3 AND gate = $4",
            params![tenant, role.as_str(), millis(deadline), gate],
        )
        .await?;
    }
    let changed = db
        .execute(
            "UPDATE gate SET open = false, resolution = $3, decided_by = $4, closed_at = $5, remind_at = NULL
             WHERE tenant = $1 AND id = $2 AND open",
            params![tenant, gate, resolution.as_str(), decided_by.map(ActorId::as_str), millis(at)],
        )
        .await?;
    only_one(changed, "the gate is not open at this instance")
}

async fn drop_task(db: &Db, append: &Append) -> Result<(), Fail> {
    let (tenant, instance) = key(append);
    db.execute("DELETE FROM task WHERE tenant = $1 AND instance = $2", params![tenant, instance]).await?;
    Ok(())
}

async fn assign(
    db: &Db,
    append: &Append,
    attempt: AttemptNo,
    executor: &ActorId,
    until: UnixMillis,
) -> Result<(), Fail> {
    let (tenant, instance) = key(append);
    let changed = db
        .execute(
            "INSERT INTO lease(tenant, instance, attempt, executor, until, ended) VALUES($1, $2, $3, $4, $5, false)
             ON CONFLICT(tenant, instance) DO UPDATE
             SET attempt = excluded.attempt, executor = excluded.executor, until = excluded.until, ended = false
             WHERE excluded.attempt > lease.attempt",
            params![tenant, instance, i64::from(attempt.0), executor.as_str(), millis(until)],
        )
        .await?;
    only_one(changed, "an attempt's number is not above that of the lease before")
}

/// Ends a lease, and returns the queue of a task that waited for that.
async fn end_lease(db: &Db, append: &Append, attempt: AttemptNo) -> Result<Option<Name>, Fail> {
    let (tenant, instance) = key(append);
    db.execute(
        "UPDATE lease SET ended = true WHERE tenant = $1 AND instance = $2 AND attempt = $3 AND NOT ended",
        params![tenant, instance, i64::from(attempt.0)],
    )
    .await?;
    let task = db
        .first("SELECT queue FROM task WHERE tenant = $1 AND instance = $2", params![tenant, instance])
        .await?;
    task.map(|row| name(&row, 0)).transpose()
}
