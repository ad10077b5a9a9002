//! The rows that an append writes beside its artifacts, under the lock of its instance.

use gantral_core::ids::{ActorId, AttemptNo, GateId, Name, Role};
use gantral_core::time::UnixMillis;

use super::columns::{joined, millis};
use super::db::{Db, params};
use super::facts::Facts;
use super::writer::Fail;
use super::{enrolments, outbox, snapshots, spending};
use crate::append::Append;
use crate::effect::{Effect, GateRow};

/// Why a gate is not moved or closed.
pub(super) const NOT_OPEN: Fail = Fail::Contradiction("the gate is not open at this instance");

/// Says which `gate_role r` are those of the open gates `$3` of the instances `$2` of the tenants `$1`.
macro_rules! open_roles {
    () => {
        "unnest($1::text[], $2::bytea[], $3::bytea[]) AS n(tenant, instance, gate)
           JOIN gate g ON g.tenant = n.tenant AND g.id = n.gate AND g.instance = n.instance AND g.open
         WHERE r.tenant = g.tenant AND r.gate = g.id AND r.open AND r.deadline = g.deadline
           AND r.role = ANY(string_to_array(g.roles, ' '))"
    };
}

/// Applies the effects in order behind the append's artifacts, and returns the queue on which a task may have become ready. What is written is left for
/// later, as far as nothing has to be read behind it. What opens commitments stands with the newest artifact, by its number.
pub(super) async fn apply(
    db: &Db,
    append: &Append,
    newest: i64,
    facts: &Facts,
) -> Result<Option<Name>, Fail> {
    let (mut ready, mut task) = (None, facts.task.as_ref().map(|(queue, _)| queue.clone()));
    let mut may_settle = facts.has_reserved;
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
                db.row(
                    "INSERT INTO grant_row(tenant, instance, id, expires_at)
                     SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[])",
                    params![tenant, instance, id.as_bytes().as_slice(), millis(*expires_at)],
                )
                .await?;
            }
            Effect::ConsumeGrant { id, attempt } => {
                let (tenant, instance) = key(append);
                db.row_or(
                    "UPDATE grant_row g SET consumed_by = n.attempt
                     FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[]) AS n(tenant, instance, id, attempt)
                     WHERE g.tenant = n.tenant AND g.instance = n.instance AND g.id = n.id AND g.consumed_by IS NULL",
                    params![tenant, instance, id.as_bytes().as_slice(), i64::from(attempt.0)],
                    Fail::Contradiction("a grant is consumed before it is made"),
                )
                .await?;
            }
            Effect::Reserve { grant, amount, at } => {
                spending::reserve(db, append, *grant, *amount, *at).await?;
                may_settle = true;
            }
            Effect::Settle { grant, cost } if may_settle => {
                spending::settle(db, append, *grant, *cost).await?;
            }
            // Nothing is reserved for it.
            Effect::Settle { .. } => {}
            Effect::CountRule { rule, at } => spending::count_rule(db, append, rule, *at).await?,
            Effect::PutSnapshot { commitment, label, salt, plaintext } => {
                snapshots::put(db, newest, commitment, *label, (salt, plaintext)).await?;
            }
            Effect::PutEvidence { digest, content } => {
                enrolments::keep_evidence(db, append, digest, content).await?;
            }
            Effect::PutTask { queue, team, ready_at } => {
                let (tenant, instance) = key(append);
                db.row(
                    "INSERT INTO task(tenant, instance, queue, team, ready_at)
                     SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::bigint[])
                     ON CONFLICT(tenant, instance) DO UPDATE
                     SET queue = excluded.queue, team = excluded.team, ready_at = excluded.ready_at, released = false",
                    params![tenant, instance, queue.as_str(), team.as_str(), millis(*ready_at)],
                )
                .await?;
                ready = Some(queue.clone());
                task = ready.clone();
            }
            Effect::AssignTask { attempt, executor, lease_until } => {
                drop_task(db, append).await?;
                assign(db, append, *attempt, executor, *lease_until).await?;
                (ready, task) = (None, None);
            }
            Effect::EndLease { attempt } => {
                end_lease(db, append, *attempt).await?;
                // A task that waited for that may be claimed now.
                ready = task.clone().or(ready);
            }
            Effect::DropTask => {
                drop_task(db, append).await?;
                (ready, task) = (None, None);
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
    db.row(
        "INSERT INTO gate(tenant, id, instance, version, workflow, team, roles, action_name, deadline, opened_at, context, open)
         SELECT *, true FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::text[],
           $8::text[], $9::bigint[], $10::bigint[], $11::bytea[])",
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
        db.row(
            "INSERT INTO gate_role(tenant, role, deadline, gate, open)
             SELECT *, true FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) ON CONFLICT DO NOTHING",
            params![tenant, role.as_str(), millis(deadline), gate],
        )
        .await?;
    }
    Ok(())
}

async fn move_gate(
    db: &Db,
    append: &Append,
    id: GateId,
    (version, roles, deadline): (u32, &[Role], UnixMillis),
) -> Result<(), Fail> {
    let ((tenant, instance), gate) = (key(append), id.as_bytes().as_slice());
    db.row(concat!("DELETE FROM gate_role r USING ", open_roles!()), params![tenant, instance, gate]).await?;
    db.row_or(
        "UPDATE gate g SET version = n.version, roles = n.roles, deadline = n.deadline, remind_at = NULL
         FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::text[], $6::bigint[])
           AS n(tenant, instance, gate, version, roles, deadline)
         WHERE g.tenant = n.tenant AND g.id = n.gate AND g.instance = n.instance AND g.open",
        params![tenant, instance, gate, i64::from(version), joined(roles), millis(deadline)],
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
    db.row(
        concat!("UPDATE gate_role r SET open = false FROM ", open_roles!()),
        params![tenant, instance, gate],
    )
    .await?;
    db.row_or(
        "UPDATE gate g SET open = false, resolution = n.resolution, decided_by = n.decided_by, closed_at = n.at, remind_at = NULL
         FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bigint[])
           AS n(tenant, instance, gate, resolution, decided_by, at)
         WHERE g.tenant = n.tenant AND g.id = n.gate AND g.instance = n.instance AND g.open",
        params![tenant, instance, gate, resolution.as_str(), decided_by.map(ActorId::as_str), millis(at)],
        NOT_OPEN,
    )
    .await
}

async fn drop_task(db: &Db, append: &Append) -> Result<(), Fail> {
    let (tenant, instance) = key(append);
    db.row(
        "DELETE FROM task t USING unnest($1::text[], $2::bytea[]) AS n(tenant, instance)
         WHERE t.tenant = n.tenant AND t.instance = n.instance",
        params![tenant, instance],
    )
    .await
}

async fn assign(
    db: &Db,
    append: &Append,
    attempt: AttemptNo,
    executor: &ActorId,
    until: UnixMillis,
) -> Result<(), Fail> {
    let (tenant, instance) = key(append);
    db.row_or(
        "INSERT INTO lease(tenant, instance, attempt, executor, until, ended)
         SELECT *, false FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::text[], $5::bigint[])
         ON CONFLICT(tenant, instance) DO UPDATE
         SET attempt = excluded.attempt, executor = excluded.executor, until = excluded.until, ended = false
         WHERE excluded.attempt > lease.attempt",
        params![tenant, instance, i64::from(attempt.0), executor.as_str(), millis(until)],
        Fail::Contradiction("an attempt's number is not above that of the lease before"),
    )
    .await
}

async fn end_lease(db: &Db, append: &Append, attempt: AttemptNo) -> Result<(), Fail> {
    let (tenant, instance) = key(append);
    db.row(
        "UPDATE lease l SET ended = true FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS n(tenant, instance, attempt)
         WHERE l.tenant = n.tenant AND l.instance = n.instance AND l.attempt = n.attempt AND NOT l.ended",
        params![tenant, instance, i64::from(attempt.0)],
    )
    .await
}
