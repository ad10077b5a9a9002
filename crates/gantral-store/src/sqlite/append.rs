//! The append: checked first, written after, so that a "no" writes nothing.
//!
//! The order of the checks is part of the contract: a request that was committed before is answered before anything
//! that it changed itself can refuse it.

use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::columns::{count, digest, int, maybe_digest, maybe_instant, millis};
use super::writer::{After, Fail};
use super::{effects, guards, registry, usage};
use crate::append::{
    Append, AppendOutcome, Head, IdempotencyLookup, IdempotencyRow, InstanceIndex, ModeCode, NewArtifact,
    StateCode,
};
use crate::packed::pack;
use crate::usage::Delta;

const NO_ARTIFACT: Fail = Fail::Contradiction("an append carries at least one artifact");

/// What of an instance's row an append compares.
struct Before {
    head: Head,
    /// The number of the head's row.
    number: i64,
    state: StateCode,
    mode: ModeCode,
    open: bool,
    waiting_since: Option<UnixMillis>,
    due_at: Option<UnixMillis>,
    call_key: Option<Digest>,
}

/// Runs one append inside the writer's transaction.
pub(super) fn run(
    connection: &Connection,
    append: &Append,
    after: &mut After,
) -> Result<AppendOutcome, Fail> {
    if let Some(row) = &append.idempotency {
        match registry::idempotency(connection, &append.tenant, &row.scope, &row.body, row.now)? {
            IdempotencyLookup::Fresh => {}
            IdempotencyLookup::Replayed(answer) => return Ok(AppendOutcome::Replayed(answer)),
            IdempotencyLookup::KeyReused => return Ok(AppendOutcome::KeyReused),
        }
    }
    let before = before(connection, append)?;
    let head = before.as_ref().map(|before| before.head);
    if head != append.expected {
        return Ok(AppendOutcome::Moved(head));
    }
    if let Some(guard) = guards::first_failure(connection, append)? {
        return Ok(AppendOutcome::GuardFailed(guard));
    }
    if let Some(holder) = call_key_holder(connection, append, before.as_ref())? {
        return Ok(AppendOutcome::CallKeyTaken(holder));
    }
    let delta = Delta::of(append, before.as_ref().is_some_and(|before| before.open));
    if let Some(guard) = usage::lacks_room(connection, append, delta)? {
        return Ok(AppendOutcome::GuardFailed(guard));
    }
    let head = append.head().ok_or(NO_ARTIFACT)?;
    let number = put_artifacts(connection, append, before.as_ref().map(|before| before.number))?;
    after.newest = Some(number);
    match &before {
        None => create(connection, append, head, number)?,
        Some(before) => update(connection, append, before, head, number)?,
    }
    let queue = effects::apply(connection, append, number)?;
    if let Some(row) = &append.idempotency {
        remember(connection, append, row, head)?;
    }
    usage::count(connection, &append.tenant, delta)?;
    after.changes.push(append.change(head, queue));
    Ok(AppendOutcome::Committed)
}

fn before(connection: &Connection, append: &Append) -> rusqlite::Result<Option<Before>> {
    connection
        .prepare_cached(
            "SELECT head_sequence, head_hash, state, mode, open, waiting_since, due_at, call_key, head_number
             FROM instance WHERE tenant = ?1 AND id = ?2",
        )?
        .query_row(params![append.tenant.as_str(), append.instance.as_bytes()], |row| {
            Ok(Before {
                head: Head { sequence: count(row, 0)?, hash: digest(row, 1)? },
                state: StateCode(row.get(2)?),
                mode: ModeCode(row.get(3)?),
                open: row.get(4)?,
                waiting_since: maybe_instant(row, 5)?,
                due_at: maybe_instant(row, 6)?,
                call_key: maybe_digest(row, 7)?,
                number: row.get(8)?,
            })
        })
        .optional()
}

/// Returns another open instance that holds the call key, when this append takes it.
fn call_key_holder(
    connection: &Connection,
    append: &Append,
    before: Option<&Before>,
) -> rusqlite::Result<Option<InstanceId>> {
    let Some(key) = append.index.call_key.filter(|_| append.index.open) else {
        return Ok(None);
    };
    if before.is_some_and(|before| before.open && before.call_key == Some(key)) {
        return Ok(None);
    }
    super::instances::call_holder(connection, &append.tenant, &key)
}

/// Writes the artifacts behind the one that has the number `previous`, and returns the number of the last.
fn put_artifacts(connection: &Connection, append: &Append, mut previous: Option<i64>) -> Result<i64, Fail> {
    for artifact in &append.artifacts {
        previous = Some(put_artifact(
            connection,
            append.tenant.as_str(),
            append.instance.as_bytes(),
            artifact,
            previous,
        )?);
    }
    previous.ok_or(NO_ARTIFACT)
}

/// Writes one artifact behind the one that has the number `previous`, and returns its own.
pub(super) fn put_artifact(
    connection: &Connection,
    tenant: &str,
    chain: &[u8; 16],
    artifact: &NewArtifact,
    previous: Option<i64>,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO artifact(tenant, instance, sequence, hash, envelope, previous, terminal, signer)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            tenant,
            chain,
            int(artifact.sealed.sequence),
            artifact.sealed.hash.as_bytes(),
            pack(&artifact.sealed.envelope),
            previous,
            artifact.ends_chain,
            artifact.signer,
        ])?;
    Ok(connection.last_insert_rowid())
}

fn create(connection: &Connection, append: &Append, head: Head, number: i64) -> rusqlite::Result<()> {
    let InstanceIndex {
        state,
        mode,
        team,
        workflow,
        workflow_version,
        session,
        created_by,
        created_at,
        waiting_since,
        due_at,
        call_key,
        open,
    } = &append.index;
    connection
        .prepare_cached(
            "INSERT INTO instance(tenant, id, head_sequence, head_hash, state, mode, open, waiting_since, due_at,
               call_key, team, workflow, workflow_version, session, created_by, created_at, head_number)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params![
            append.tenant.as_str(),
            append.instance.as_bytes(),
            int(head.sequence),
            head.hash.as_bytes(),
            state.0,
            mode.0,
            open,
            waiting_since.map(millis),
            due_at.map(millis),
            call_key.as_ref().map(Digest::as_bytes),
            team.as_str(),
            workflow.as_str(),
            workflow_version.as_bytes(),
            session.as_ref().map(|session| session.as_str()),
            created_by.as_str(),
            millis(*created_at),
            number,
        ])?;
    Ok(())
}

/// Moves the head; columns that stand in an index are written only when they change, since SQLite rewrites the index
/// of every column that is named.
fn update(
    connection: &Connection,
    append: &Append,
    before: &Before,
    head: Head,
    number: i64,
) -> rusqlite::Result<()> {
    let index = &append.index;
    let key = (append.tenant.as_str(), append.instance.as_bytes());
    let same = before.state == index.state
        && before.mode == index.mode
        && before.open == index.open
        && before.waiting_since == index.waiting_since
        && before.due_at == index.due_at
        && before.call_key == index.call_key;
    if same {
        connection
            .prepare_cached(
                "UPDATE instance SET head_sequence = ?3, head_hash = ?4, head_number = ?5
                 WHERE tenant = ?1 AND id = ?2",
            )?
            .execute(params![key.0, key.1, int(head.sequence), head.hash.as_bytes(), number])?;
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE instance SET head_sequence = ?3, head_hash = ?4, state = ?5, mode = ?6, open = ?7,
               waiting_since = ?8, due_at = ?9, call_key = ?10, head_number = ?11
             WHERE tenant = ?1 AND id = ?2",
        )?
        .execute(params![
            key.0,
            key.1,
            int(head.sequence),
            head.hash.as_bytes(),
            index.state.0,
            index.mode.0,
            index.open,
            index.waiting_since.map(millis),
            index.due_at.map(millis),
            index.call_key.as_ref().map(Digest::as_bytes),
            number,
        ])?;
    Ok(())
}

/// Writes the idempotency row; it can only replace one that has expired.
fn remember(
    connection: &Connection,
    append: &Append,
    row: &IdempotencyRow,
    head: Head,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency(scope, body, instance, first_sequence, last_sequence, status, answer,
               expires_at)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            row.scope.digest(&append.tenant).as_bytes(),
            row.body.as_bytes(),
            append.instance.as_bytes(),
            int(append.first(head)),
            int(head.sequence),
            row.status,
            row.answer,
            millis(row.expires_at),
        ])?;
    Ok(())
}
