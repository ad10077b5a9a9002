//! Appends that come while others are being committed go together, in one transaction.
//!
//! One that comes while few are under way is committed at once, alone. Where more come, they wait for the next transaction: one commit and one statement for
//! each table then serve all of them. What goes together only ever says yes: whatever is refused, is held by somebody else or fails is done again,
//! alone, so that each append is answered as if there were no others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use gantral_core::ids::TenantId;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::append::{Checked, before_all, check, moved, write};
use super::db::Db;
use super::writer::{After, Fail};
use super::{PostgresStore, facts, numbers, usage};
use crate::append::{Append, AppendOutcome};
use crate::effect::{Effect, Guard};
use crate::error::StoreError;
use crate::usage::Delta;

/// How many transactions of appends are under way at once before the next append waits: while one is flushed, the next is prepared.
const UNDER_WAY: usize = 2;
/// How long those that come after one under way wait for it: many times what it takes, unless it waits for a row that somebody else holds.
const PATIENCE: Duration = Duration::from_millis(100);
/// How many appends go together at most: where more wait, a greater batch would serve them no sooner.
const TOGETHER_MAX: usize = 64;

/// The appends that wait, as many as there are callers, and how many transactions are under way.
#[derive(Default)]
pub(super) struct Batches(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    under_way: usize,
}

/// An append whose caller waits.
struct Waiting {
    append: Append,
    answer: oneshot::Sender<Result<AppendOutcome, StoreError>>,
}

impl Batches {
    fn state(&self) -> MutexGuard<'_, State> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        {
            let mut state = self.0.batches.state();
            state.waiting.push_back(Waiting { append, answer });
            if state.under_way < UNDER_WAY {
                state.under_way += 1;
                tokio::spawn(serve(self.clone()));
            }
        }
        // One that was taken and never answered was lost by a panic or with its runtime: nothing is known about it.
        answered.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown { reason: "the write ended in the middle".to_owned() })
        })
    }

    /// Takes what waits, of each instance one; says that nobody serves any more when nothing does.
    fn take_waiting(&self) -> Vec<Waiting> {
        let mut state = self.0.batches.state();
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        let mut instances = BTreeSet::new();
        for waiting in mem::take(&mut state.waiting) {
            let instance = (waiting.append.tenant.clone(), waiting.append.instance);
            if taken.len() < TOGETHER_MAX && instances.insert(instance) {
                taken.push(waiting);
            } else {
                left.push_back(waiting);
            }
        }
        state.waiting = left;
        if taken.is_empty() {
            state.under_way -= 1;
        }
        taken
    }
}

/// Commits what waits until nothing does.
async fn serve(store: PostgresStore) {
    loop {
        let taken = store.take_waiting();
        if taken.is_empty() {
            return;
        }
        // What takes longer goes on beside what comes after it.
        let _ = timeout(PATIENCE, tokio::spawn(commit(store.clone(), taken))).await;
    }
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
