//! Appends that come while others are being committed go together, in one transaction.
//!
//! One that comes while few are under way is committed at once, alone. Where more come, they wait for the next transaction: one commit and one statement for
//! each table then serve all of them. What goes together only ever says yes: whatever is refused, is held by somebody else or fails is done again,
//! alone, so that each append is answered as if there were no others.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join_all, try_join_all};
use gantral_core::ids::TenantId;
use tokio::sync::oneshot;

use super::append::{Checked, before_all, check, moved, write};
use super::db::Db;
use super::queue::serve;
use super::writer::{After, Fail};
use super::{PostgresStore, facts, numbers, usage};
use crate::append::{Append, AppendOutcome};
use crate::effect::{Effect, Guard};
use crate::error::StoreError;
use crate::usage::Delta;

/// An append whose caller waits.
pub(super) struct Waiting {
    append: Append,
    answer: oneshot::Sender<Result<AppendOutcome, StoreError>>,
}

impl PostgresStore {
    pub(crate) async fn append(&self, append: Append) -> Result<AppendOutcome, StoreError> {
        if let Err(what) = append.check() {
            return Err(StoreError::Contradiction { what: what.to_owned() });
        }
        if !goes_together(&append) {
            return self.append_alone(append).await;
        }
        let (answer, answered) = oneshot::channel();
        if self.0.appends.add(Waiting { append, answer }) {
            let store = self.clone();
            tokio::spawn(async move { serve(|| next(&store), |taken| commit(store.clone(), taken)).await });
        }
        // One that was taken and never answered was lost by a panic or with its runtime: nothing is known about it.
        answered.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown { reason: "the write ended in the middle".to_owned() })
        })
    }
}

/// Takes what waits, of each instance one.
fn next(store: &PostgresStore) -> Vec<Waiting> {
    let mut instances = BTreeSet::new();
    store.0.appends.take(|waiting| instances.insert((waiting.append.tenant.clone(), waiting.append.instance)))
}

/// Commits several at once, and each of those that cannot be alone. Whoever no longer waits for the answer need not be told.
async fn commit(store: PostgresStore, mut taken: Vec<Waiting>) {
    if taken.len() > 1 {
        taken = together(&store, taken).await;
    }
    let store = &store;
    let alone = taken.into_iter().map(async |Waiting { append, answer }| {
        let _ = answer.send(store.append_alone(append).await);
    });
    join_all(alone).await;
}

/// Commits several at once; returns those of which nothing was kept.
async fn together(store: &PostgresStore, taken: Vec<Waiting>) -> Vec<Waiting> {
    let (appends, answers): (Vec<_>, Vec<_>) =
        taken.into_iter().map(|waiting| (waiting.append, waiting.answer)).unzip();
    let committed =
        store.write(appends.clone(), |appends, db, after| Box::pin(run(db, appends, after))).await;
    let mut left = Vec::new();
    for (place, (append, answer)) in appends.into_iter().zip(answers).enumerate() {
        match &committed {
            Ok(committed) if committed.contains(&place) => {
                let _ = answer.send(Ok(AppendOutcome::Committed));
            }
            Ok(_) | Err(StoreError::Contradiction { .. } | StoreError::Failed { .. }) => {
                left.push(Waiting { append, answer });
            }
            Err(error) => {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
    left
}

/// Tells whether an append waits for no row that others of its transaction hold, and reads nothing behind what it writes.
fn goes_together(append: &Append) -> bool {
    let counts = |guard: &Guard| matches!(guard, Guard::Totals { .. } | Guard::Room(_));
    let adds = |effect: &Effect| matches!(effect, Effect::Reserve { .. } | Effect::CountRule { .. });
    !append.guards.iter().any(counts) && !append.effects.iter().any(adds)
}

/// Runs several appends, each of another instance, inside one transaction; returns the places of those that it commits.
async fn run(db: &Db, appends: &[Append], after: &mut After) -> Result<BTreeSet<usize>, Fail> {
    // Somebody else was first, as to one of them. Alone each finds out whether that concerns it.
    after.forgets = after.is_repeated;
    if after.is_repeated {
        return Ok(BTreeSet::new());
    }
    let checked = check_all(db, appends).await?;
    after.forgets = checked.is_empty();
    if after.forgets {
        return Ok(BTreeSet::new());
    }
    let artifacts = checked.values().map(|(append, _)| append.artifacts.len()).sum();
    after.numbers = numbers::take(db, artifacts).await?;
    let (mut rest, mut lanes) = (after.numbers.as_slice(), Vec::new());
    let mut deltas: BTreeMap<&TenantId, Delta> = BTreeMap::new();
    for (append, checked) in checked.values() {
        let (numbers, behind) = rest.split_at_checked(append.artifacts.len()).unwrap_or_default();
        rest = behind;
        let lane = db.beside();
        after.changes.push(write(&lane, append, checked, numbers).await?);
        lanes.push(lane);
        deltas.entry(&append.tenant).or_default().add(checked.delta);
    }
    db.take_over(&lanes);
    for (tenant, delta) in deltas {
        usage::count(db, tenant, delta).await?;
    }
    Ok(checked.into_keys().collect())
}

/// Looks which of several appends nothing speaks against, and holds the rows of their instances; by their places.
async fn check_all<'a>(
    db: &Db,
    appends: &'a [Append],
) -> Result<BTreeMap<usize, (&'a Append, Checked)>, Fail> {
    let before = before_all(db, appends).await?;
    let upon_head: Vec<_> = appends
        .iter()
        .zip(before)
        .enumerate()
        .filter_map(|(place, (append, before))| Some((place, append, before?)))
        .filter(|(_, append, before)| moved(append, before.as_ref()).is_none())
        .collect();
    let asking: Vec<&Append> = upon_head.iter().map(|(_, append, _)| *append).collect();
    let facts = facts::read(db, &asking).await?;
    let checks = upon_head.into_iter().zip(facts).map(async |((place, append, before), facts)| {
        Ok::<_, Fail>((place, append, check(db, append, before, facts).await?))
    });
    let checked = try_join_all(checks).await?.into_iter();
    Ok(checked
        .filter_map(|(place, append, checked)| Some((place, (append, checked.ok()?))))
        // What was spent is counted in rows that many change.
        .filter(|(_, (_, checked))| !checked.facts.has_reserved)
        .collect())
}
