//! Messages about gates, and reminders.

use std::sync::Arc;

use gantral_core::ids::{GateId, Name, Role, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{count, int, millis, rows, split};
use super::effects::only_one;
use super::writer::Fail;
use crate::append::Append;
use crate::decoded::{self, MESSAGE, REMINDER};
use crate::duty::Held;
use crate::error::StoreError;
use crate::outbox::{
    Addressee, Attempted, Counted, DEAD_MAX, DeadLetters, DueReminder, Gathered, OutboxCount, OutboxRow,
    OutboxTurn, Reminded, Tell,
};
use crate::page::PAGE_MAX;
use crate::proposals::NewProposal;

/// The most messages that are gathered at once.
const GATHERED_MAX: usize = 1_000;

impl SqliteStore {
    pub(crate) async fn outbox(&self, turn: OutboxTurn, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {MESSAGE} FROM outbox o INDEXED BY outbox_next
                 WHERE o.recipient = ?1 AND o.dead = 0 AND (o.due_at <= ?2 OR o.due_at > ?3)
                   AND NOT EXISTS(SELECT 1 FROM outbox e INDEXED BY outbox_subject
                                  WHERE e.recipient = o.recipient AND e.subject = o.subject AND e.dead = 0
                                    AND e.number < o.number)
                 ORDER BY o.number LIMIT ?4"
            ))?;
            let found = select.query_map(
                params![
                    turn.recipient.as_str(),
                    millis(turn.now),
                    millis(turn.latest),
                    rows(limit.min(PAGE_MAX))
                ],
                |row| decoded::message(row),
            )?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn gathered(
        &self,
        recipient: Name,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Gathered>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {MESSAGE}, CASE WHEN o.proposes IS NULL THEN g.resolution
                   ELSE coalesce(p.ending, CASE WHEN p.expires_at <= ?2 THEN 'expired' END) END
                 FROM outbox o INDEXED BY outbox_next
                   LEFT JOIN gate g ON g.tenant = o.tenant AND g.id = o.subject
                   LEFT JOIN proposal p ON p.tenant = o.tenant AND p.id = o.subject
                 WHERE o.recipient = ?1 AND o.dead = 0 ORDER BY o.number LIMIT ?3"
            ))?;
            let key = params![recipient.as_str(), millis(now), rows(limit.min(GATHERED_MAX))];
            Ok(select.query_map(key, |row| decoded::gathered(row))?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn told(
        &self,
        recipient: Name,
        since: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT coalesce(sum(count), 0) FROM told WHERE recipient = ?1 AND at > ?2 AND at <= ?3",
                )?
                .query_row(params![recipient.as_str(), millis(since), millis(now)], |row| count(row, 0))?)
        })
        .await
    }

    pub(crate) async fn settle_outbox(
        &self,
        held: Held,
        recipient: Name,
        attempted: Vec<Attempted>,
        counted: Option<Counted>,
    ) -> Result<bool, StoreError> {
        let duties = Arc::clone(&self.inner.duties);
        self.write(move |connection, _| {
            if !duties.has(&held) {
                return Ok(false);
            }
            for attempt in &attempted {
                settle(connection, attempt)?;
            }
            if let Some(counted) = counted {
                note(connection, &recipient, counted)?;
            }
            if attempted.iter().any(|attempt| matches!(attempt, Attempted::Dead { .. })) {
                make_room(connection, &recipient)?;
            }
            Ok(true)
        })
        .await
    }

    pub(crate) async fn give_up(
        &self,
        recipient: Name,
        queued_before: UnixMillis,
        failure: String,
    ) -> Result<usize, StoreError> {
        self.write(move |connection, _| {
            let given_up = connection
                .prepare_cached(
                    "UPDATE outbox SET dead = 1, failure = coalesce(failure, ?3)
                     WHERE recipient = ?1 AND dead = 0 AND queued_at <= ?2",
                )?
                .execute(params![recipient.as_str(), millis(queued_before), failure])?;
            make_room(connection, &recipient)?;
            Ok(given_up)
        })
        .await
    }

    pub(crate) async fn dead_letters(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {MESSAGE} FROM outbox o WHERE o.tenant = ?1 AND o.dead = 1 AND o.number > ?2
                 ORDER BY o.number LIMIT ?3"
            ))?;
            let limit = rows(limit.min(PAGE_MAX));
            let found =
                select.query_map(params![tenant.as_str(), int(after), limit], |row| decoded::message(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn retry_dead(
        &self,
        tenant: TenantId,
        which: DeadLetters,
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        self.write(move |connection, _| {
            let retried = connection
                .prepare_cached(
                    "UPDATE outbox SET dead = 0, attempts = 0, queued_at = ?2, due_at = ?2
                     WHERE tenant = ?1 AND dead = 1 AND (?3 IS NULL OR recipient = ?3) AND (?4 IS NULL OR number = ?4)",
                )?
                .execute(params![
                    tenant.as_str(),
                    millis(now),
                    which.recipient.as_ref().map(Name::as_str),
                    which.number.map(int),
                ])?;
            Ok(retried)
        })
        .await
    }

    pub(crate) async fn forget_recipients(&self, keep: Vec<(TenantId, Name)>) -> Result<usize, StoreError> {
        self.write(move |connection, _| {
            let known = |tenant: &str, name: &str| {
                keep.iter().any(|(of, kept)| of.as_str() == tenant && kept.as_str() == name)
            };
            let mut select = connection.prepare_cached("SELECT DISTINCT tenant, recipient FROM outbox")?;
            let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let found = found.collect::<rusqlite::Result<Vec<(String, String)>>>()?;
            let mut forgotten = 0;
            for (tenant, recipient) in found.iter().filter(|(tenant, name)| !known(tenant, name)) {
                forgotten += connection
                    .prepare_cached("DELETE FROM outbox WHERE tenant = ?1 AND recipient = ?2")?
                    .execute(params![tenant, recipient])?;
            }
            // How often somebody was told who is told no more.
            let mut select = connection.prepare_cached("SELECT DISTINCT recipient FROM told")?;
            let counted =
                select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            for recipient in
                counted.iter().filter(|name| !keep.iter().any(|(_, kept)| kept.as_str() == *name))
            {
                connection.prepare_cached("DELETE FROM told WHERE recipient = ?1")?.execute([recipient])?;
            }
            Ok(forgotten)
        })
        .await
    }

    pub(crate) async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT recipient, sum(dead = 0), min(CASE dead WHEN 0 THEN queued_at END), sum(dead = 1)
                 FROM outbox GROUP BY recipient",
            )?;
            let found = select.query_map([], |row| decoded::outbox_count(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn due_reminders(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<DueReminder>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {REMINDER} FROM gate
                 WHERE remind_at IS NOT NULL AND remind_at <= ?1 AND deadline > ?1 ORDER BY remind_at LIMIT ?2"
            ))?;
            let key = params![millis(now), rows(limit.min(PAGE_MAX))];
            let found = select.query_map(key, |row| decoded::reminder(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn remind(&self, reminded: Vec<Reminded>) -> Result<usize, StoreError> {
        self.write(move |connection, _| {
            let mut written = 0;
            for Reminded { found, next, tell: messages } in &reminded {
                let changed = connection
                    .prepare_cached(
                        "UPDATE gate SET remind_at = ?5
                         WHERE tenant = ?1 AND id = ?2 AND version = ?3 AND remind_at = ?4",
                    )?
                    .execute(params![
                        found.tenant.as_str(),
                        found.gate.as_bytes(),
                        found.version,
                        millis(found.due),
                        next.map(millis),
                    ])?;
                if changed == 1 {
                    for message in messages {
                        tell(connection, &found.tenant, message)?;
                    }
                    written += 1;
                }
            }
            Ok(written)
        })
        .await
    }
}

/// Writes when the reminder of an open gate is due.
pub(super) fn schedule(
    connection: &Connection,
    append: &Append,
    gate: GateId,
    since: UnixMillis,
    at: UnixMillis,
) -> Result<(), Fail> {
    let changed = connection
        .prepare_cached(
            "UPDATE gate SET since = ?4, remind_at = ?5 WHERE tenant = ?1 AND id = ?2 AND instance = ?3 AND open = 1",
        )?
        .execute(params![
            append.tenant.as_str(),
            gate.as_bytes(),
            append.instance.as_bytes(),
            millis(since),
            millis(at),
        ])?;
    only_one(changed, "the gate is not open at this instance")
}

/// Queues a message about a gate, as it stands now, for each recipient.
pub(super) fn tell(connection: &Connection, tenant: &TenantId, tell: &Tell) -> Result<(), Fail> {
    let asked = if tell.to.iter().all(|to| to.roles.is_empty()) {
        Vec::new()
    } else {
        asked_roles(connection, tenant, tell.gate)?
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox(recipient, tenant, kind, percent, at, subject, instance, version, workflow, team, roles,
           action_name, opened_at, deadline, resolution, queued_at, attempts, due_at, dead)
         SELECT ?3, tenant, ?4, ?5, ?6, id, instance, version, workflow, team, roles, action_name, opened_at,
           deadline, resolution, ?6, 0, ?6, 0
         FROM gate WHERE tenant = ?1 AND id = ?2",
    )?;
    let is_told = |to: &&Addressee| to.roles.is_empty() || to.roles.iter().any(|role| asked.contains(role));
    for recipient in tell.to.iter().filter(is_told) {
        let written = insert.execute(params![
            tenant.as_str(),
            tell.gate.as_bytes(),
            recipient.name.as_str(),
            tell.kind.as_str(),
            tell.percent,
            millis(tell.at),
        ])?;
        only_one(written, "a message is about a gate that is not there")?;
    }
    Ok(())
}

/// Queues a message about a proposal that is being made, for each recipient.
pub(super) fn tell_proposal(connection: &Connection, made: &NewProposal) -> rusqlite::Result<()> {
    let Some(tell) = &made.tell else { return Ok(()) };
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox(recipient, tenant, kind, at, subject, opened_at, deadline, proposes, scope, scope_name, queued_at,
           attempts, due_at, dead)
         VALUES(?1, ?2, ?3, ?4, ?5, ?4, ?6, ?7, ?8, ?9, ?4, 0, ?4, 0)",
    )?;
    for recipient in &tell.to {
        insert.execute(params![
            recipient.as_str(),
            made.tenant.as_str(),
            tell.kind.as_str(),
            millis(made.at),
            made.id.as_bytes(),
            millis(made.expires_at),
            tell.proposes.as_str(),
            tell.scope.as_str(),
            tell.scope_name.as_ref().map(Name::as_str),
        ])?;
    }
    Ok(())
}

/// Counts a message against how often a recipient is told.
fn note(connection: &Connection, recipient: &Name, counted: Counted) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM told WHERE recipient = ?1 AND at <= ?2")?
        .execute(params![recipient.as_str(), millis(counted.since)])?;
    connection
        .prepare_cached(
            "INSERT INTO told(recipient, at, count) VALUES(?1, ?2, 1)
             ON CONFLICT(recipient, at) DO UPDATE SET count = count + 1",
        )?
        .execute(params![recipient.as_str(), millis(counted.at)])?;
    Ok(())
}

/// Returns the roles that a gate asks, or asked when it closed.
fn asked_roles(connection: &Connection, tenant: &TenantId, gate: GateId) -> rusqlite::Result<Vec<Role>> {
    let mut select = connection.prepare_cached("SELECT roles FROM gate WHERE tenant = ?1 AND id = ?2")?;
    let found =
        select.query_row(params![tenant.as_str(), gate.as_bytes()], |row| split(row, 0)).optional()?;
    Ok(found.unwrap_or_default())
}

/// Drops the oldest dead letters of a recipient that has more than it may.
fn make_room(connection: &Connection, recipient: &Name) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM outbox WHERE number IN
               (SELECT number FROM outbox WHERE recipient = ?1 AND dead = 1
                ORDER BY number DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![recipient.as_str(), rows(DEAD_MAX)])?;
    Ok(())
}

fn settle(connection: &Connection, attempted: &Attempted) -> rusqlite::Result<()> {
    match attempted {
        Attempted::Delivered { number } => {
            connection.prepare_cached("DELETE FROM outbox WHERE number = ?1")?.execute([int(*number)])?;
        }
        Attempted::Failed { number, due_at, failure } => {
            connection
                .prepare_cached(
                    "UPDATE outbox SET attempts = attempts + 1, due_at = ?2, failure = ?3 WHERE number = ?1",
                )?
                .execute(params![int(*number), millis(*due_at), failure])?;
        }
        Attempted::Dead { number, tried, failure } => {
            connection
                .prepare_cached(
                    "UPDATE outbox SET attempts = attempts + ?3, dead = 1, failure = ?2 WHERE number = ?1",
                )?
                .execute(params![int(*number), failure, tried])?;
        }
    }
    Ok(())
}
