//! The rows that an append writes beside its artifacts.

use gantral_core::ids::{ActorId, AttemptNo, GateId, Name, Role};
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::columns::{joined, millis, name};
use super::writer::Fail;
use super::{enrolments, outbox, snapshots, spending};
use crate::append::Append;
use crate::effect::{Effect, GateRow};

/// Applies the effects in order, and returns the queue on which a task may have become ready.
/// `artifact` is the number of the append's last artifact.
pub(super) fn apply(connection: &Connection, append: &Append, artifact: i64) -> Result<Option<Name>, Fail> {
    let mut ready = None;
    for effect in &append.effects {
        match effect {
            Effect::OpenGate(gate) => open_gate(connection, append, gate)?,
            Effect::MoveGate { id, version, roles, deadline } => {
                move_gate(connection, append, *id, (*version, roles, *deadline))?;
            }
            Effect::CloseGate { id, resolution, decided_by, at } => {
                close_gate(connection, append, *id, (resolution, decided_by.as_ref(), *at))?;
            }
            Effect::PutGrant { id, expires_at } => {
                connection
                    .prepare_cached(
                        "INSERT INTO grant_row(tenant, instance, id, expires_at) VALUES(?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![
                        append.tenant.as_str(),
                        append.instance.as_bytes(),
                        id.as_bytes(),
                        millis(*expires_at),
                    ])?;
            }
            Effect::ConsumeGrant { id, attempt } => {
                let changed = connection
                    .prepare_cached(
                        "UPDATE grant_row SET consumed_by = ?4
                         WHERE tenant = ?1 AND id = ?2 AND instance = ?3 AND consumed_by IS NULL",
                    )?
                    .execute(params![
                        append.tenant.as_str(),
                        id.as_bytes(),
                        append.instance.as_bytes(),
                        attempt.0
                    ])?;
                only_one(changed, "a grant is consumed before it is made")?;
            }
            Effect::Reserve { grant, amount, at } => {
                spending::reserve(connection, append, *grant, *amount, *at)?;
            }
            Effect::Settle { grant, cost } => spending::settle(connection, append, *grant, *cost)?,
            Effect::CountRule { rule, at } => spending::count_rule(connection, append, rule, *at)?,
            Effect::PutSnapshot { commitment, label, salt, plaintext } => {
                snapshots::put(connection, artifact, commitment, *label, salt, plaintext)?;
            }
            Effect::PutEvidence { digest, content } => {
                enrolments::keep_evidence(connection, append, digest, content)?;
            }
            Effect::PutTask { queue, team, ready_at } => {
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO task(tenant, instance, queue, team, ready_at)
                         VALUES(?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        append.tenant.as_str(),
                        append.instance.as_bytes(),
                        queue.as_str(),
                        team.as_str(),
                        millis(*ready_at),
                    ])?;
                ready = Some(queue.clone());
            }
            Effect::AssignTask { attempt, executor, lease_until } => {
                drop_task(connection, append)?;
                assign(connection, append, *attempt, executor, *lease_until)?;
                ready = None;
            }
            Effect::EndLease { attempt } => {
                ready = end_lease(connection, append, *attempt)?.or(ready);
            }
            Effect::DropTask => {
                drop_task(connection, append)?;
                ready = None;
            }
            Effect::Remind { gate, since, at } => outbox::schedule(connection, append, *gate, *since, *at)?,
            Effect::Tell(tell) => outbox::tell(connection, &append.tenant, tell)?,
        }
    }
    Ok(ready)
}

pub(super) fn only_one(changed: usize, what: &'static str) -> Result<(), Fail> {
    if changed == 1 { Ok(()) } else { Err(Fail::Contradiction(what)) }
}

fn open_gate(connection: &Connection, append: &Append, gate: &GateRow) -> rusqlite::Result<()> {
    let GateRow { id, version, workflow, team, roles, action_name, deadline, opened_at, context } = gate;
    connection
        .prepare_cached(
            "INSERT INTO gate(tenant, id, instance, version, workflow, team, roles, action_name, deadline,
               opened_at, context, open)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1)",
        )?
        .execute(params![
            append.tenant.as_str(),
            id.as_bytes(),
            append.instance.as_bytes(),
            version,
            workflow.as_str(),
            team.as_str(),
            joined(roles),
            action_name.as_str(),
            millis(*deadline),
            millis(*opened_at),
            context.as_bytes(),
        ])?;
    put_roles(connection, append, *id, roles, *deadline)
}

fn put_roles(
    connection: &Connection,
    append: &Append,
    id: GateId,
    roles: &[Role],
    deadline: UnixMillis,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO gate_role(tenant, role, open, deadline, gate) VALUES(?1, ?2, 1, ?3, ?4)",
    )?;
    for role in roles {
        insert.execute(params![append.tenant.as_str(), role.as_str(), millis(deadline), id.as_bytes()])?;
    }
    Ok(())
}

/// Returns the roles and the deadline of the instance's open gate.
fn open_roles(connection: &Connection, append: &Append, id: GateId) -> Result<(Vec<Role>, UnixMillis), Fail> {
    connection
        .prepare_cached(
            "SELECT roles, deadline FROM gate WHERE tenant = ?1 AND id = ?2 AND instance = ?3 AND open = 1",
        )?
        .query_row(params![append.tenant.as_str(), id.as_bytes(), append.instance.as_bytes()], |row| {
            Ok((super::columns::split(row, 0)?, super::columns::instant(row, 1)?))
        })
        .optional()?
        .ok_or(Fail::Contradiction("the gate is not open at this instance"))
}

fn move_gate(
    connection: &Connection,
    append: &Append,
    id: GateId,
    (version, roles, deadline): (u32, &[Role], UnixMillis),
) -> Result<(), Fail> {
    let (old_roles, old_deadline) = open_roles(connection, append, id)?;
    let mut delete = connection.prepare_cached(
        "DELETE FROM gate_role WHERE tenant = ?1 AND role = ?2 AND open = 1 AND deadline = ?3 AND gate = ?4",
    )?;
    for role in &old_roles {
        delete.execute(params![
            append.tenant.as_str(),
            role.as_str(),
            millis(old_deadline),
            id.as_bytes()
        ])?;
    }
    let changed = connection
        .prepare_cached(
            "UPDATE gate SET version = ?3, roles = ?4, deadline = ?5, remind_at = NULL
             WHERE tenant = ?1 AND id = ?2 AND open = 1",
        )?
        .execute(params![append.tenant.as_str(), id.as_bytes(), version, joined(roles), millis(deadline)])?;
    only_one(changed, "the gate is not open at this instance")?;
    Ok(put_roles(connection, append, id, roles, deadline)?)
}

fn close_gate(
    connection: &Connection,
    append: &Append,
    id: GateId,
    (resolution, decided_by, at): (&Name, Option<&ActorId>, UnixMillis),
) -> Result<(), Fail> {
    let (roles, deadline) = open_roles(connection, append, id)?;
    let mut close = connection.prepare_cached(
        "UPDATE gate_role SET open = 0
         WHERE tenant = ?1 AND role = ?2 AND open = 1 AND deadline = ?3 AND gate = ?4",
    )?;
    for role in &roles {
        close.execute(params![append.tenant.as_str(), role.as_str(), millis(deadline), id.as_bytes()])?;
    }
    let changed = connection
        .prepare_cached(
            "UPDATE gate SET open = 0, resolution = ?3, decided_by = ?4, closed_at = ?5, remind_at = NULL
             WHERE tenant = ?1 AND id = ?2 AND open = 1",
        )?
        .execute(params![
            append.tenant.as_str(),
            id.as_bytes(),
            resolution.as_str(),
            decided_by.map(ActorId::as_str),
            millis(at),
        ])?;
    only_one(changed, "the gate is not open at this instance")
}

fn drop_task(connection: &Connection, append: &Append) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM task WHERE tenant = ?1 AND instance = ?2")?
        .execute(params![append.tenant.as_str(), append.instance.as_bytes()])?;
    Ok(())
}

fn assign(
    connection: &Connection,
    append: &Append,
    attempt: AttemptNo,
    executor: &ActorId,
    until: UnixMillis,
) -> Result<(), Fail> {
    let changed = connection
        .prepare_cached(
            "INSERT INTO lease(tenant, instance, attempt, executor, until, ended) VALUES(?1, ?2, ?3, ?4, ?5, 0)
             ON CONFLICT(tenant, instance) DO UPDATE
             SET attempt = excluded.attempt, executor = excluded.executor, until = excluded.until, ended = 0
             WHERE excluded.attempt > lease.attempt",
        )?
        .execute(params![
            append.tenant.as_str(),
            append.instance.as_bytes(),
            attempt.0,
            executor.as_str(),
            millis(until),
        ])?;
    only_one(changed, "an attempt's number is not above that of the lease before")
}

/// Ends a lease, and returns the queue of a task that waited for that.
fn end_lease(connection: &Connection, append: &Append, attempt: AttemptNo) -> rusqlite::Result<Option<Name>> {
    let key = params![append.tenant.as_str(), append.instance.as_bytes(), attempt.0];
    connection
        .prepare_cached(
            "UPDATE lease SET ended = 1 WHERE tenant = ?1 AND instance = ?2 AND attempt = ?3 AND ended = 0",
        )?
        .execute(key)?;
    connection
        .prepare_cached("SELECT queue FROM task WHERE tenant = ?1 AND instance = ?2")?
        .query_row(params![append.tenant.as_str(), append.instance.as_bytes()], |row| name(row, 0))
        .optional()
}
