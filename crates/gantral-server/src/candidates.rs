//! Policies that are evaluated beside those in force, and what they make of the asks that come in.
//!
//! Which they are is kept in the store; what was counted is kept in memory, and begins anew when the server starts. Of several servers each
//! counts the asks of all, so that any of them can be asked. Nothing here is on the way of an ask: `follow` reads what was committed, from the ledger, as anybody else does.

mod evaluator;
mod follow;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantral_core::time::UnixMillis;
use gantral_engine::{RecordedAsk, RecordedGate};
use gantral_evidence::governance::Scope;
use gantral_policy::compare::Said;
use gantral_store::{CandidateScope, Change, Changes, PolicyCandidate, StoreError};
use tokio::sync::{mpsc, watch};

use crate::app::App;
use crate::metrics::{CandidateAsk, Metrics};
use crate::tally::Tally;

pub(crate) use follow::run_candidates;

/// How many asks may wait for one candidate, before those that come are dropped and counted.
const WAITING_MAX: usize = 256;

/// The candidates of all tenants.
pub(crate) struct Candidates {
    /// `None` until they were read.
    roster: watch::Sender<Option<Vec<Arc<Named>>>>,
    /// Held while the store and the roster are changed, so that the roster is never older than the store.
    changing: tokio::sync::Mutex<()>,
    /// The commits since the first candidate was named, for whoever follows them: so that no ask is missed after the answer.
    commits: Mutex<Option<Changes>>,
}

impl Default for Candidates {
    fn default() -> Self {
        Self {
            roster: watch::Sender::new(None),
            changing: tokio::sync::Mutex::default(),
            commits: Mutex::default(),
        }
    }
}

/// One candidate, with the asks that wait for it.
pub(crate) struct Named {
    pub counting: Arc<Counting>,
    queue: mpsc::Sender<RecordedAsk>,
    /// Taken by whoever evaluates.
    asks: Mutex<Option<mpsc::Receiver<RecordedAsk>>>,
}

/// One candidate, and what was counted of it.
pub(crate) struct Counting {
    pub candidate: PolicyCandidate,
    pub scope: Scope,
    pub from: UnixMillis,
    tally: Mutex<Tally>,
    dropped: AtomicU64,
}

impl Candidates {
    /// Returns the candidates, reading them if nobody has, or if another server may have named others.
    ///
    /// # Errors
    /// The store's; may be asked again.
    pub(crate) async fn named(&self, app: &App) -> Result<Vec<Arc<Named>>, StoreError> {
        let known = self.roster.borrow().clone();
        match known {
            Some(named) if !app.engine().store().is_shared() => Ok(named),
            Some(_) | None => self.change(app, async { Ok(()) }).await.map(|((), named)| named),
        }
    }

    /// Changes what the store says, and follows it. What is named already goes on counting.
    ///
    /// # Errors
    /// Those of the change and of the store; may be asked again.
    pub(crate) async fn change<T>(
        &self,
        app: &App,
        change: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<(T, Vec<Arc<Named>>), StoreError> {
        let _changing = self.changing.lock().await;
        let store = app.engine().store();
        let changed = change.await?;
        let rows = store.policy_candidates().await?;
        let before = self.roster.borrow().clone().unwrap_or_default();
        if before.is_empty() && !rows.is_empty() {
            *locked(&self.commits) = Some(store.subscribe());
        }
        let now = app.0.clock.now();
        let named = rows.into_iter().map(|row| {
            let known = before.iter().find(|named| named.counting.candidate == row);
            known.map_or_else(|| Arc::new(Named::new(row, now)), Arc::clone)
        });
        let named: Vec<_> = named.collect();
        self.roster.send_if_modified(|known| {
            let alike = |known: &Vec<Arc<Named>>| {
                known.len() == named.len()
                    && known.iter().zip(&named).all(|(one, other)| Arc::ptr_eq(one, other))
            };
            let moved = !known.as_ref().is_some_and(alike);
            if moved {
                *known = Some(named.clone());
            }
            moved
        });
        Ok((changed, named))
    }
}

impl Named {
    fn new(candidate: PolicyCandidate, now: UnixMillis) -> Self {
        let (queue, asks) = mpsc::channel(WAITING_MAX);
        let scope = match candidate.scope.clone() {
            CandidateScope::Tenant => Scope::Tenant,
            CandidateScope::Team(team) => Scope::Team(team),
            CandidateScope::Workflow(workflow) => Scope::Workflow(workflow),
        };
        let counting =
            Counting { candidate, scope, from: now, tally: Mutex::default(), dropped: AtomicU64::new(0) };
        Self { counting: Arc::new(counting), queue, asks: Mutex::new(Some(asks)) }
    }

    /// Tells whether what was committed may be an ask of the scope.
    fn covers(&self, change: &Change) -> bool {
        let PolicyCandidate { tenant, scope, .. } = &self.counting.candidate;
        *tenant == change.tenant
            && match scope {
                CandidateScope::Tenant => true,
                CandidateScope::Team(team) => *team == change.team,
                CandidateScope::Workflow(workflow) => *workflow == change.workflow,
            }
    }

    /// Has an ask wait, or drops it where too many do.
    fn offer(&self, ask: &RecordedAsk, metrics: &Metrics) {
        if ask.at >= self.counting.from && self.queue.try_send(ask.clone()).is_err() {
            self.counting.drop_asks(1, metrics);
        }
    }

    /// Returns how many asks wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity().saturating_sub(self.queue.capacity())
    }
}

impl Counting {
    /// Returns what was counted so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        locked(&self.tally)
    }

    /// Returns how many asks were dropped, with one for each batch of commits that was missed.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn drop_asks(&self, asks: u64, metrics: &Metrics) {
        self.dropped.fetch_add(asks, Ordering::Relaxed);
        metrics.candidate(CandidateAsk::Dropped, asks);
    }

    fn leave_out(&self, metrics: &Metrics) {
        self.tally().leave_out(1);
        metrics.candidate(CandidateAsk::LeftOut, 1);
    }

    fn count(&self, gate: &RecordedGate, recorded: &Said, said: &Said, metrics: &Metrics) {
        self.tally().count_newest(gate, recorded, said);
        let outcome = if said.is_ok() { CandidateAsk::Evaluated } else { CandidateAsk::Failed };
        metrics.candidate(outcome, 1);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
