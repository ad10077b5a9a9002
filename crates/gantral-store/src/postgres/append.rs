//! The append: checked first, written after, so that a "no" writes nothing.
//!
//! The order of the checks is part of the contract: a request that was committed before is answered before anything
//! that it changed itself can refuse it.

use std::slice;

use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::time::UnixMillis;
use tokio_postgres::Row;

use super::columns::{count, digest, get, int, maybe_digest, maybe_instant, millis, placed, small};
use super::db::{Db, params};
use super::facts::{self, Facts};
use super::writer::{After, Fail};
use super::{PostgresStore, effects, guards, idempotency, instances, numbers, usage};
use crate::append::{
    Append, AppendOutcome, Head, IdempotencyLookup, InstanceIndex, ModeCode, NewArtifact, StateCode,
};
use crate::changes::Change;
use crate::error::StoreError;
use crate::packed::pack;
use crate::usage::Delta;

const NO_ARTIFACT: Fail = Fail::Contradiction("an append carries at least one artifact");

/// What [`Before::of`] reads of an instance `i`.
const BEFORE: &str = "i.head_sequence, i.head_hash, i.state, i.mode, i.open, i.waiting_since, i.due_at, i.call_key, i.head_number";
/// The column behind [`BEFORE`].
const PLACE: usize = 9;

/// What of an instance's row an append compares.
pub(super) struct Before {
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

/// An append that nothing speaks against, with what was there before it.
pub(super) struct Checked {
    before: Option<Before>,
    /// What there was beside its instance.
    pub(super) facts: Facts,
    /// What it adds to what there is of its tenant.
    pub(super) delta: Delta,
}

impl PostgresStore {
    /// Commits alone.
    pub(super) async fn append_alone(&self, append: Append) -> Result<AppendOutcome, StoreError> {
        self.write(append, |append, db, after| Box::pin(run(db, append, after))).await
    }
}

/// Runs one append inside a transaction.
async fn run(db: &Db, append: &Append, after: &mut After) -> Result<AppendOutcome, Fail> {
    // Most requests are new. Where a twin of this one has been committed, its row refuses ours, and all of this begins anew.
    let answer = if after.is_repeated { repeated(db, append).await? } else { None };
    let outcome = match answer {
        Some(answer) => answer,
        None => match check_one(db, append).await? {
            Ok(checked) => {
                after.numbers = numbers::take(db, append.artifacts.len()).await?;
                let change = write(db, append, &checked, &after.numbers).await?;
                after.changes.push(change);
                usage::count(db, &append.tenant, checked.delta).await?;
                return Ok(AppendOutcome::Committed);
            }
            // A twin may have committed, and have changed what refuses now.
            Err(refusal) => repeated(db, append).await?.unwrap_or(refusal),
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

/// Looks whether anything speaks against an append, and holds the row of its instance.
async fn check_one(db: &Db, append: &Append) -> Result<Result<Checked, AppendOutcome>, Fail> {
    let before = before(db, append).await?;
    if let Some(moved) = moved(append, before.as_ref()) {
        return Ok(Err(moved));
    }
    let facts = facts::read(db, slice::from_ref(&append)).await?.pop().unwrap_or_default();
    check(db, append, before, facts).await
}

/// Tells that an append is not upon the head of its chain, if so.
pub(super) fn moved(append: &Append, before: Option<&Before>) -> Option<AppendOutcome> {
    let head = before.map(|before| before.head);
    (head != append.expected).then_some(AppendOutcome::Moved(head))
}

/// Looks whether anything speaks against an append that is upon the head of its chain.
pub(super) async fn check(
    db: &Db,
    append: &Append,
    before: Option<Before>,
    facts: Facts,
) -> Result<Result<Checked, AppendOutcome>, Fail> {
    if let Some(guard) = guards::first_failure(db, append, &facts).await? {
        return Ok(Err(AppendOutcome::GuardFailed(guard)));
    }
    if let Some(holder) = call_key_holder(db, append, before.as_ref()).await? {
        return Ok(Err(AppendOutcome::CallKeyTaken(holder)));
    }
    let delta = Delta::of(append, before.as_ref().is_some_and(|before| before.open));
    if let Some(guard) = usage::lacks_room(db, append, delta).await? {
        return Ok(Err(AppendOutcome::GuardFailed(guard)));
    }
    Ok(Ok(Checked { before, facts, delta }))
}

/// Writes what was checked, under as many numbers as it has artifacts. From here on nothing is decided, and nothing is waited for until the end. A
/// second creator of the same instance, or a second holder of the call key, then waits for the first, and begins anew.
pub(super) async fn write(
    db: &Db,
    append: &Append,
    checked: &Checked,
    numbers: &[i64],
) -> Result<Change, Fail> {
    let Checked { before, facts, .. } = checked;
    let head = append.head().ok_or(NO_ARTIFACT)?;
    let newest = *numbers.last().ok_or(NO_ARTIFACT)?;
    let mut previous = before.as_ref().map(|before| before.number);
    for (artifact, number) in append.artifacts.iter().zip(numbers) {
        let chain = append.instance.as_bytes();
        put_artifact(db, append.tenant.as_str(), chain, artifact, Numbered { previous, number: *number })
            .await?;
        previous = Some(*number);
    }
    match before {
        None => create(db, append, head, newest).await?,
        Some(before) => update(db, append, before, head, newest).await?,
    }
    let queue = effects::apply(db, append, newest, facts).await?;
    if let Some(row) = &append.idempotency {
        idempotency::remember(db, append, row, head).await?;
    }
    Ok(append.change(head, queue))
}

/// Reads the row of the instance, and holds it until the transaction ends.
async fn before(db: &Db, append: &Append) -> Result<Option<Before>, Fail> {
    let found = db
        .first(
            &format!("SELECT {BEFORE} FROM instance i WHERE i.tenant = $1 AND i.id = $2 FOR NO KEY UPDATE"),
            params![append.tenant.as_str(), append.instance.as_bytes().as_slice()],
        )
        .await?;
    found.as_ref().map(Before::of).transpose()
}

/// Reads the rows of the instances of several appends, in their order, and holds those that nobody else holds. `None` in the place of those that
/// somebody else does.
pub(super) async fn before_all(db: &Db, appends: &[Append]) -> Result<Vec<Option<Option<Before>>>, Fail> {
    let tenants: Vec<&str> = appends.iter().map(|append| append.tenant.as_str()).collect();
    let ids: Vec<&[u8]> = appends.iter().map(|append| append.instance.as_bytes().as_slice()).collect();
    let found = db
        .query(
            &format!(
                "SELECT {BEFORE}, n.place - 1 FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS n(tenant, id, place)
                   JOIN instance i ON i.tenant = n.tenant AND i.id = n.id
                 FOR NO KEY UPDATE OF i SKIP LOCKED"
            ),
            params![tenants, ids],
        )
        .await?;
    // One that is not to be there is held by nobody.
    let mut all: Vec<_> = appends.iter().map(|append| append.expected.is_none().then_some(None)).collect();
    for row in &found {
        *placed(&mut all, row, PLACE)? = Some(Some(Before::of(row)?));
    }
    Ok(all)
}

impl Before {
    /// Reads a row of [`BEFORE`].
    fn of(row: &Row) -> Result<Self, Fail> {
        Ok(Self {
            head: Head { sequence: count(row, 0)?, hash: digest(row, 1)? },
            state: StateCode(small(row, 2)?),
            mode: ModeCode(small(row, 3)?),
            open: get(row, 4)?,
            waiting_since: maybe_instant(row, 5)?,
            due_at: maybe_instant(row, 6)?,
            call_key: maybe_digest(row, 7)?,
            number: get(row, 8)?,
        })
    }
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

/// The number of an artifact, and that of the one before it in its chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered {
    pub(super) previous: Option<i64>,
    pub(super) number: i64,
}

/// Writes one artifact behind another one.
pub(super) async fn put_artifact(
    db: &Db,
    tenant: &str,
    chain: &[u8; 16],
    artifact: &NewArtifact,
    Numbered { previous, number }: Numbered,
) -> Result<(), Fail> {
    db.row(
        "INSERT INTO artifact(number, previous, tenant, instance, sequence, hash, envelope, terminal, signer)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[], $6::bytea[], $7::bytea[],
           $8::boolean[], $9::bytea[])",
        params![
            number,
            previous,
            tenant,
            chain.as_slice(),
            int(artifact.sealed.sequence),
            artifact.sealed.hash.as_bytes().as_slice(),
            pack(&artifact.sealed.envelope).as_ref(),
            artifact.ends_chain,
            artifact.signer.as_slice(),
        ],
    )
    .await
}

async fn create(db: &Db, append: &Append, head: Head, number: i64) -> Result<(), Fail> {
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
    db.row(
        "INSERT INTO instance(tenant, id, head_sequence, head_hash, state, mode, open, waiting_since, due_at,
           call_key, team, workflow, workflow_version, session, created_by, created_at, head_number)
         SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::boolean[],
           $8::bigint[], $9::bigint[], $10::bytea[], $11::text[], $12::text[], $13::bytea[], $14::text[], $15::text[],
           $16::bigint[], $17::bigint[])",
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
            number,
        ],
    )
    .await
}

/// Moves the head. Columns that stand in an index are written only when they change, so that the server need not touch the indexes.
async fn update(db: &Db, append: &Append, before: &Before, head: Head, number: i64) -> Result<(), Fail> {
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
            .row(
                "UPDATE instance i SET head_sequence = n.sequence, head_hash = n.hash, head_number = n.number
                 FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[])
                   AS n(tenant, id, sequence, hash, number)
                 WHERE i.tenant = n.tenant AND i.id = n.id",
                params![tenant, id, sequence, hash, number],
            )
            .await;
    }
    db.row(
        "UPDATE instance i SET head_sequence = n.sequence, head_hash = n.hash, head_number = n.number, state = n.state,
           mode = n.mode, open = n.open, waiting_since = n.waiting_since, due_at = n.due_at, call_key = n.call_key
         FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[],
             $9::bigint[], $10::bigint[], $11::bytea[])
           AS n(tenant, id, sequence, hash, number, state, mode, open, waiting_since, due_at, call_key)
         WHERE i.tenant = n.tenant AND i.id = n.id",
        params![
            tenant,
            id,
            sequence,
            hash,
            number,
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
