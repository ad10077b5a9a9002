//! What changes the outbox.

use gantral_core::ids::{GateId, Name, TenantId};
use gantral_core::time::UnixMillis;

use super::super::PostgresStore;
use super::super::columns::{int, joined, millis, rows};
use super::super::db::{Db, params};
use super::super::duties;
use super::super::effects::NOT_OPEN;
use super::super::writer::Fail;
use crate::append::Append;
use crate::duty::Held;
use crate::error::StoreError;
use crate::outbox::{Attempted, Counted, DEAD_MAX, DeadLetters, Reminded, Tell};
use crate::proposals::NewProposal;

impl PostgresStore {
    pub(crate) async fn settle_outbox(
        &self,
        held: Held,
        recipient: Name,
        attempted: Vec<Attempted>,
        counted: Option<Counted>,
    ) -> Result<bool, StoreError> {
        let state = (held, recipient, attempted, counted);
        self.write(state, |(held, recipient, attempted, counted), db, after| {
            Box::pin(async move {
                if !duties::has(db, held).await? {
                    after.forgets = true;
                    return Ok(false);
                }
                settle(db, attempted).await?;
                if let Some(counted) = counted {
                    note(db, recipient, *counted).await?;
                }
                if attempted.iter().any(|attempt| matches!(attempt, Attempted::Dead { .. })) {
                    make_room(db, recipient).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    pub(crate) async fn give_up(
        &self,
        recipient: Name,
        queued_before: UnixMillis,
        failure: String,
    ) -> Result<usize, StoreError> {
        self.write((recipient, queued_before, failure), |(recipient, queued_before, failure), db, _| {
            Box::pin(async move {
                let given_up = db
                    .execute(
                        "UPDATE outbox SET dead = true, failure = coalesce(failure, $3)
                         WHERE recipient = $1 AND NOT dead AND queued_at <= $2",
                        params![recipient.as_str(), millis(*queued_before), failure],
                    )
                    .await?;
                make_room(db, recipient).await?;
                Ok(size(given_up))
            })
        })
        .await
    }

    pub(crate) async fn retry_dead(
        &self,
        tenant: TenantId,
        which: DeadLetters,
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        self.write((tenant, which, now), |(tenant, which, now), db, _| {
            Box::pin(async move {
                let retried = db
                    .execute(
                        "UPDATE outbox SET dead = false, attempts = 0, queued_at = $2, due_at = $2
                         WHERE tenant = $1 AND dead AND ($3::text IS NULL OR recipient = $3)
                           AND ($4::bigint IS NULL OR number = $4)",
                        params![
                            tenant.as_str(),
                            millis(*now),
                            which.recipient.as_ref().map(Name::as_str),
                            which.number.map(int),
                        ],
                    )
                    .await?;
                Ok(size(retried))
            })
        })
        .await
    }

    pub(crate) async fn forget_recipients(&self, keep: Vec<(TenantId, Name)>) -> Result<usize, StoreError> {
        self.write(keep, |keep, db, _| {
            Box::pin(async move {
                let tenants: Vec<&str> = keep.iter().map(|(tenant, _)| tenant.as_str()).collect();
                let names: Vec<&str> = keep.iter().map(|(_, name)| name.as_str()).collect();
                let forgotten = db
                    .execute(
                        "DELETE FROM outbox o WHERE NOT EXISTS
                           (SELECT 1 FROM unnest($1::text[], $2::text[]) AS keep(tenant, recipient)
                            WHERE keep.tenant = o.tenant AND keep.recipient = o.recipient)",
                        params![tenants, names],
                    )
                    .await?;
                // How often somebody was told who is told no more.
                db.execute("DELETE FROM told WHERE recipient <> ALL($1::text[])", params![names]).await?;
                Ok(size(forgotten))
            })
        })
        .await
    }

    pub(crate) async fn remind(&self, mut reminded: Vec<Reminded>) -> Result<usize, StoreError> {
        // Two that remind of the same gates lock them in the same order, and so do not wait for each other in a circle.
        reminded.sort_by_key(|one| (one.found.tenant.clone(), one.found.gate));
        self.write(reminded, |reminded, db, _| {
            Box::pin(async move {
                let mut written = 0;
                for Reminded { found, next, tell: messages } in reminded {
                    let changed = db
                        .execute(
                            "UPDATE gate SET remind_at = $5
                             WHERE tenant = $1 AND id = $2 AND version = $3 AND remind_at = $4",
                            params![
                                found.tenant.as_str(),
                                found.gate.as_bytes().as_slice(),
                                i64::from(found.version),
                                millis(found.due),
                                next.map(millis),
                            ],
                        )
                        .await?;
                    if changed == 1 {
                        for message in messages {
                            tell(db, &found.tenant, message).await?;
                        }
                        written += 1;
                    }
                }
                Ok(written)
            })
        })
        .await
    }
}

/// Writes when the reminder of an open gate is due.
pub(in super::super) async fn schedule(
    db: &Db,
    append: &Append,
    gate: GateId,
    since: UnixMillis,
    at: UnixMillis,
) -> Result<(), Fail> {
    db.row_or(
        "UPDATE gate g SET since = n.since, remind_at = n.remind_at
         FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[])
           AS n(tenant, gate, instance, since, remind_at)
         WHERE g.tenant = n.tenant AND g.id = n.gate AND g.instance = n.instance AND g.open",
        params![
            append.tenant.as_str(),
            gate.as_bytes().as_slice(),
            append.instance.as_bytes().as_slice(),
            millis(since),
            millis(at),
        ],
        NOT_OPEN,
    )
    .await
}

/// Queues a message about a gate, as it stands when it is written, for each recipient that is told of its roles. The row of the gate is held: by the
/// lock of its instance, or itself.
pub(in super::super) async fn tell(db: &Db, tenant: &TenantId, tell: &Tell) -> Result<(), Fail> {
    for to in &tell.to {
        // A gate that is not there has no `subject`, which is refused.
        db.row(
            "INSERT INTO outbox(recipient, tenant, kind, percent, at, subject, instance, version, workflow, team, roles,
               action_name, opened_at, deadline, resolution, queued_at, attempts, due_at, dead)
             SELECT n.recipient, n.tenant, n.kind, n.percent, n.at, g.id, g.instance, g.version, g.workflow, g.team, g.roles,
               g.action_name, g.opened_at, g.deadline, g.resolution, n.at, 0, n.at, false
             FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
                 WITH ORDINALITY AS n(tenant, gate, recipient, roles, kind, percent, at, place)
               LEFT JOIN gate g ON g.tenant = n.tenant AND g.id = n.gate
             WHERE g.id IS NULL OR n.roles = '' OR string_to_array(g.roles, ' ') && string_to_array(n.roles, ' ')
             ORDER BY n.place",
            params![
                tenant.as_str(),
                tell.gate.as_bytes().as_slice(),
                to.name.as_str(),
                joined(&to.roles),
                tell.kind.as_str(),
                tell.percent.map(i64::from),
                millis(tell.at),
            ],
        )
        .await?;
    }
    Ok(())
}

/// Queues a message about a proposal that is being made, for each recipient.
pub(in super::super) async fn tell_proposal(db: &Db, made: &NewProposal) -> Result<(), Fail> {
    let Some(tell) = &made.tell else { return Ok(()) };
    let recipients: Vec<&str> = tell.to.iter().map(Name::as_str).collect();
    db.execute(
        "INSERT INTO outbox(recipient, tenant, kind, at, subject, opened_at, deadline, proposes, scope, scope_name, queued_at,
           attempts, due_at, dead)
         SELECT told.recipient, $2, $3, $4, $5, $4, $6, $7, $8, $9, $4, 0, $4, false
         FROM unnest($1::text[]) WITH ORDINALITY AS told(recipient, place) ORDER BY told.place",
        params![
            recipients,
            made.tenant.as_str(),
            tell.kind.as_str(),
            millis(made.at),
            made.id.as_bytes().as_slice(),
            millis(made.expires_at),
            tell.proposes.as_str(),
            tell.scope.as_str(),
            tell.scope_name.as_ref().map(Name::as_str),
        ],
    )
    .await
    .map(drop)
}

/// Counts a message against how often a recipient is told.
async fn note(db: &Db, recipient: &Name, counted: Counted) -> Result<(), Fail> {
    db.execute(
        "DELETE FROM told WHERE recipient = $1 AND at <= $2",
        params![recipient.as_str(), millis(counted.since)],
    )
    .await?;
    db.execute(
        "INSERT INTO told(recipient, at, count) VALUES($1, $2, 1)
         ON CONFLICT(recipient, at) DO UPDATE SET count = told.count + 1",
        params![recipient.as_str(), millis(counted.at)],
    )
    .await
    .map(drop)
}

/// Drops the oldest dead letters of a recipient that has more than it may.
async fn make_room(db: &Db, recipient: &Name) -> Result<(), Fail> {
    db.execute(
        "DELETE FROM outbox WHERE number IN
           (SELECT number FROM outbox WHERE recipient = $1 AND dead ORDER BY number DESC OFFSET $2)",
        params![recipient.as_str(), rows(DEAD_MAX)],
    )
    .await
    .map(drop)
}

/// Writes what came of attempts, each of another message: one statement for each kind of end, however many there are.
async fn settle(db: &Db, attempted: &[Attempted]) -> Result<(), Fail> {
    let (mut delivered, mut dead, mut failed) = (Vec::new(), Dead::default(), Failed::default());
    for attempt in attempted {
        match attempt {
            Attempted::Delivered { number } => delivered.push(int(*number)),
            Attempted::Failed { number, due_at, failure } => {
                failed.numbers.push(int(*number));
                failed.due.push(millis(*due_at));
                failed.failures.push(failure);
            }
            Attempted::Dead { number, tried, failure } => {
                dead.numbers.push(int(*number));
                dead.tried.push(i64::from(*tried));
                dead.failures.push(failure);
            }
        }
    }
    if !delivered.is_empty() {
        db.execute("DELETE FROM outbox WHERE number = ANY($1)", params![delivered]).await?;
    }
    if !failed.numbers.is_empty() {
        db.execute(
            "UPDATE outbox o SET attempts = o.attempts + 1, due_at = f.due_at, failure = f.failure
             FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS f(number, due_at, failure) WHERE o.number = f.number",
            params![failed.numbers, failed.due, failed.failures],
        )
        .await?;
    }
    if !dead.numbers.is_empty() {
        db.execute(
            "UPDATE outbox o SET attempts = o.attempts + d.tried, dead = true, failure = d.failure
             FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS d(number, tried, failure) WHERE o.number = d.number",
            params![dead.numbers, dead.tried, dead.failures],
        )
        .await?;
    }
    Ok(())
}

/// The columns of attempts that failed.
#[derive(Default)]
struct Failed<'a> {
    numbers: Vec<i64>,
    due: Vec<i64>,
    failures: Vec<&'a str>,
}

/// The columns of messages that are given up.
#[derive(Default)]
struct Dead<'a> {
    numbers: Vec<i64>,
    tried: Vec<i64>,
    failures: Vec<&'a str>,
}

fn size(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
