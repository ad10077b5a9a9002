//! The append: checked first, written after, so that a "no" writes nothing.
//!
//! The order of the checks is part of the contract: a request that was committed before is answered before anything
//! that it changed itself can refuse it.

use futures_util::future::join;
use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::time::UnixMillis;

use super::columns::{count, digest, get, int, maybe_digest, maybe_instant, millis, small};
use super::db::{Db, params};
use super::writer::{After, Fail};
use super::{PostgresStore, effects, guards, idempotency, instances, usage};
use crate::append::{
    Append, AppendOutcome, Head, IdempotencyLookup, InstanceIndex, ModeCode, NewArtifact, StateCode,
};
use crate::error::StoreError;
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

impl PostgresStore {
    pub(crate) async fn append(&self, append: Append) -> Result<AppendOutcome, StoreError> {
        if let Err(what) = append.check() {
            return Err(StoreError::Contradiction { what: what.to_owned() });
        }
        self.write(append, |append, db, after| Box::pin(run(db, append, after))).await
    }
}

/// Runs one append inside a transaction.
async fn run(db: &Db, append: &Append, after: &mut After) -> Result<AppendOutcome, Fail> {
    // Both are asked in one go, in this order; the first answer counts before the second.
    let (answer, before) = join(repeated(db, append), before(db, append)).await;
    let outcome = match answer? {
        Some(answer) => answer,
        None => match decided(db, append, before?, after).await? {
            AppendOutcome::Committed => return Ok(AppendOutcome::Committed),
            // A twin of this request may have committed since it was looked for, and have changed what refuses now.
            refusal => repeated(db, append).await?.unwrap_or(refusal),
        },
    };
    after.forgets = true;
    Ok(outcome)
}

/// Returns what a request is answered that was committed before.
async fn repeated(db: &Db, append: &Append) -> Result<Option<AppendOutcome>, Fail> {
    let Some(row) = &append.idempotency else { return Ok(None) };
    Ok(match idempotency::lookup(db, &append.tenant, &row.scope, &row.body, row.now).await? {
        IdempotencyLookup::Fresh => None,
        IdempotencyLookup::Replayed(answer) => Some(AppendOutcome::Replayed(answer)),
        IdempotencyLookup::KeyReused => Some(AppendOutcome::KeyReused),
    })
}

async fn decided(
    db: &Db,
    append: &Append,
    before: Option<Before>,
    after: &mut After,
) -> Result<AppendOutcome, Fail> {
    let head = before.as_ref().map(|before| before.head);
    if head != append.expected {
        return Ok(AppendOutcome::Moved(head));
    }
    if let Some(guard) = guards::first_failure(db, append).await? {
        return Ok(AppendOutcome::GuardFailed(guard));
    }
    if let Some(holder) = call_key_holder(db, append, before.as_ref()).await? {
        return Ok(AppendOutcome::CallKeyTaken(holder));
    }
    let delta = Delta::of(append, before.as_ref().is_some_and(|before| before.open));
    if let Some(guard) = usage::lacks_room(db, append, delta).await? {
        return Ok(AppendOutcome::GuardFailed(guard));
    }
    let head = append.head().ok_or(NO_ARTIFACT)?;
    // From here on nothing is decided, and nothing is waited for until the end. A second creator of the same instance, or a second holder of the call
    // key, then waits for the first, and begins anew.
    let mut previous = Previous::Number(before.as_ref().map(|before| before.number));
    for artifact in &append.artifacts {
        put_artifact(db, append.tenant.as_str(), append.instance.as_bytes(), artifact, previous).await?;
        previous = Previous::Newest;
    }
    match &before {
        None => create(db, append, head).await?,
        Some(before) => update(db, append, before, head).await?,
    }
    let queue = effects::apply(db, append).await?;
    if let Some(row) = &append.idempotency {
        idempotency::remember(db, append, row, head).await?;
    }
    usage::count(db, &append.tenant, delta).await?;
    after.numbers = numbers_of(db, append, head).await?;
    after.changes.push(append.change(head, queue));
    Ok(AppendOutcome::Committed)
}

/// Reads the row of the instance, and holds it until the transaction ends.
async fn before(db: &Db, append: &Append) -> Result<Option<Before>, Fail> {
    let found = db
        .first(
            "SELECT head_sequence, head_hash, state, mode, open, waiting_since, due_at, call_key, head_number
             FROM instance WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE",
            params![append.tenant.as_str(), append.instance.as_bytes().as_slice()],
        )
        .await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(Before {
        head: Head { sequence: count(&row, 0)?, hash: digest(&row, 1)? },
        state: StateCode(small(&row, 2)?),
        mode: ModeCode(small(&row, 3)?),
        open: get(&row, 4)?,
        waiting_since: maybe_instant(&row, 5)?,
        due_at: maybe_instant(&row, 6)?,
        call_key: maybe_digest(&row, 7)?,
        number: get(&row, 8)?,
    }))
}

/// Returns another open instance that holds the call key, when this append takes it.
async fn call_key_holder(
    db: &Db,
    append: &Append,
    before: Option<&Before>,
) -> Result<Option<InstanceId>, Fail> {
    let Some(key) = append.index.call_key.filter(|_| append.index.open) else {
        return Ok(None);
    };
    if before.is_some_and(|before| before.open && before.call_key == Some(key)) {
        return Ok(None);
    }
    instances::call_holder(db, &append.tenant, &key).await
}

/// Which artifact stands before one in its chain.
#[derive(Debug, Clone, Copy)]
pub(super) enum Previous {
    /// The one that has this number; none before the first.
    Number(Option<i64>),
    /// The one that this transaction wrote last.
    Newest,
}

/// Writes one artifact behind another one.
pub(super) async fn put_artifact(
    db: &Db,
    tenant: &str,
    chain: &[u8; 16],
    artifact: &NewArtifact,
    previous: Previous,
) -> Result<(), Fail> {
    let (newest, number) = match previous {
        Previous::Number(number) => (false, number),
        Previous::Newest => (true, None),
    };
    db.later(
        "INSERT INTO artifact(tenant, instance, sequence, hash, envelope, previous, terminal, signer)
         VALUES($1, $2, $3, $4, $5, CASE WHEN $9 THEN currval('artifact_number') ELSE $6 END, $7, $8)",
        params![
            tenant,
            chain.as_slice(),
            int(artifact.sealed.sequence),
            artifact.sealed.hash.as_bytes().as_slice(),
            artifact.sealed.envelope,
            number,
            artifact.ends_chain,
            artifact.signer.as_slice(),
            newest,
        ],
    )
    .await
}

/// Returns the numbers of the artifacts that were written, rising. Sends everything that was left for later before.
async fn numbers_of(db: &Db, append: &Append, head: Head) -> Result<Vec<i64>, Fail> {
    let rows = db
        .query(
            "SELECT number FROM artifact WHERE tenant = $1 AND instance = $2 AND sequence >= $3 ORDER BY sequence",
            params![
                append.tenant.as_str(),
                append.instance.as_bytes().as_slice(),
                int(append.first(head))
            ],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

async fn create(db: &Db, append: &Append, head: Head) -> Result<(), Fail> {
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
    db.later(
        "INSERT INTO instance(tenant, id, head_sequence, head_hash, state, mode, open, waiting_since, due_at,
           call_key, team, workflow, workflow_version, session, created_by, created_at, head_number)
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, currval('artifact_number'))",
        params![
            append.tenant.as_str(),
            append.instance.as_bytes().as_slice(),
            int(head.sequence),
            head.hash.as_bytes().as_slice(),
            i64::from(state.0),
            i64::from(mode.0),
            open,
            waiting_since.map(millis),
            due_at.map(millis),
            call_key.as_ref().map(|key| key.as_bytes().as_slice()),
            team.as_str(),
            workflow.as_str(),
            workflow_version.as_bytes().as_slice(),
            session.as_ref().map(|session| session.as_str()),
            created_by.as_str(),
            millis(*created_at),
        ],
    )
    .await
}

/// Moves the head. Columns that stand in an index are written only when they change, so that the server need not touch the indexes.
async fn update(db: &Db, append: &Append, before: &Before, head: Head) -> Result<(), Fail> {
    let index = &append.index;
    let same = before.state == index.state
        && before.mode == index.mode
        && before.open == index.open
        && before.waiting_since == index.waiting_since
        && before.due_at == index.due_at
        && before.call_key == index.call_key;
    let (tenant, id) = (append.tenant.as_str(), append.instance.as_bytes().as_slice());
    let (sequence, hash) = (int(head.sequence), head.hash.as_bytes().as_slice());
    if same {
        return db
            .later(
                "UPDATE instance SET head_sequence = $3, head_hash = $4, head_number = currval('artifact_number')
                 WHERE tenant = $1 AND id = $2",
                params![tenant, id, sequence, hash],
            )
            .await;
    }
    db.later(
        "UPDATE instance SET head_sequence = $3, head_hash = $4, state = $5, mode = $6, open = $7,
           waiting_since = $8, due_at = $9, call_key = $10, head_number = currval('artifact_number')
         WHERE tenant = $1 AND id = $2",
        params![
            tenant,
            id,
            sequence,
            hash,
            i64::from(index.state.0),
            i64::from(index.mode.0),
            index.open,
            index.waiting_since.map(millis),
            index.due_at.map(millis),
            index.call_key.as_ref().map(|key| key.as_bytes().as_slice()),
        ],
    )
    .await
}
