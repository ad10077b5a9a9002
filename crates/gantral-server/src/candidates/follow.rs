//! The task that follows what is committed, and has the candidates evaluated.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use gantral_core::digest::CommitmentLabel;
use gantral_engine::{EngineError, RecordedAsk, RecordedGate};
use gantral_policy::compare::Said;
use gantral_policy::output;
use gantral_store::{Change, Changes, Wake};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::evaluator::Evaluator;
use super::{Counting, Named, locked};
use crate::app::App;

/// How many commits are read at once: as many as the store's readers answer in about the time of one.
const READ_AT_ONCE: usize = 8;
/// How long to wait before the store is asked again what it could not say.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked whether another server has named a candidate.
const NAMED_ELSEWHERE: Duration = Duration::from_secs(2);

/// Evaluates the candidates until `shutdown` turns true.
pub(crate) async fn run_candidates(app: App, mut shutdown: watch::Receiver<bool>) {
    tokio::select! {
        () = follow(&app) => {}
        _ = shutdown.wait_for(|stop| *stop) => {}
    }
}

async fn follow(app: &App) {
    while let Err(error) = app.0.candidates.named(app).await {
        tracing::error!(%error, "the policy candidates cannot be read");
        tokio::time::sleep(AGAIN).await;
    }
    let mut roster = app.0.candidates.roster.subscribe();
    roster.mark_changed();
    let evaluator = Arc::new(Evaluator::default());
    // They end with the candidates whose asks they take, and all of them with this future.
    let mut seats = JoinSet::new();
    let mut named: Vec<Arc<Named>> = Vec::new();
    let mut commits: Option<Changes> = None;
    let shared = app.engine().store().is_shared();
    let mut elsewhere = tokio::time::interval(NAMED_ELSEWHERE);
    elsewhere.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // What was named goes before what was committed since.
            biased;
            moved = roster.changed() => {
                if moved.is_err() {
                    return;
                }
                named = roster.borrow_and_update().clone().unwrap_or_default();
                let fresh = locked(&app.0.candidates.commits).take();
                commits = if named.is_empty() { None } else { commits.or(fresh) };
                for one in &named {
                    if let Some(asks) = locked(&one.asks).take() {
                        let counting = Arc::clone(&one.counting);
                        seats.spawn(evaluate(app.clone(), counting, asks, Arc::clone(&evaluator)));
                    }
                }
                if named.is_empty() {
                    evaluator.end().await;
                }
            }
            wake = next(&mut commits) => match wake {
                Wake::Committed(changes) => hand_out(app, &named, &changes).await,
                Wake::Lagged(missed) => {
                    named.iter().for_each(|one| one.counting.drop_asks(missed, &app.0.metrics));
                }
                Wake::Closed => return,
            },
            _ = elsewhere.tick(), if shared => {
                // What is found is sent to the roster.
                if let Err(error) = app.0.candidates.named(app).await {
                    tracing::warn!(%error, "the policy candidates cannot be read");
                }
            }
            Some(_) = seats.join_next() => {}
        }
    }
}

async fn next(commits: &mut Option<Changes>) -> Wake {
    match commits {
        Some(commits) => commits.next().await,
        None => pending().await,
    }
}

/// Gives the asks among what was committed to the candidates of their scope.
async fn hand_out(app: &App, named: &[Arc<Named>], changes: &[Change]) {
    let concerned = changes.iter().filter(|&change| named.iter().any(|one| one.covers(change)));
    let reads: Vec<_> = concerned.map(|change| asks_of(app.clone(), change.clone())).collect();
    let mut read = stream::iter(reads).buffered(READ_AT_ONCE);
    while let Some((change, asks)) = read.next().await {
        let asks =
            asks.inspect_err(|error| tracing::error!(%error, "an ask cannot be read for the candidates"));
        for one in named.iter().filter(|one| one.covers(&change)) {
            match &asks {
                Ok(asks) => asks.iter().for_each(|ask| one.offer(ask, &app.0.metrics)),
                Err(_) => one.counting.drop_asks(1, &app.0.metrics),
            }
        }
    }
}

/// Reads the asks among what one append committed.
async fn asks_of(app: App, change: Change) -> (Change, Result<Vec<RecordedAsk>, EngineError>) {
    let places = (change.first, change.head.sequence);
    let asks = app.engine().recorded_between(&change.tenant, change.instance, places).await;
    (change, asks)
}

/// Evaluates one candidate for the asks that wait for it, until it is named no longer.
async fn evaluate(
    app: App,
    counting: Arc<Counting>,
    mut asks: mpsc::Receiver<RecordedAsk>,
    evaluator: Arc<Evaluator>,
) {
    let metrics = &app.0.metrics;
    let version = counting.candidate.version;
    let mut warm = false;
    while let Some(ask) = asks.recv().await {
        // Nobody looks at what is left of a candidate that was cleared.
        if asks.is_closed() {
            return;
        }
        let (gate, recorded) = match recorded(&app, &counting, &ask).await {
            Ok(Found::Ask(found)) => *found,
            Ok(Found::OutOfReach) => continue,
            Ok(Found::Erased) => {
                counting.leave_out(metrics);
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "an ask cannot be read for a candidate");
                counting.drop_asks(1, metrics);
                continue;
            }
        };
        let Ok(input) = gate.input_under(version) else {
            counting.leave_out(metrics);
            continue;
        };
        match evaluator.ask(&app, version, &input, &mut warm).await {
            Ok(said) => counting.count(&gate, &recorded, &said, metrics),
            Err(error) => {
                tracing::error!(%error, "the policy candidates cannot be evaluated");
                counting.drop_asks(1, metrics);
            }
        }
    }
}

/// What there is of an ask.
enum Found {
    /// The ask, and what the policy in force said.
    Ask(Box<(RecordedGate, Said)>),
    /// A narrower scope has a policy of its own: nothing would change for this ask.
    OutOfReach,
    /// What policy saw, or what it said, is there no longer.
    Erased,
}

async fn recorded(app: &App, counting: &Counting, ask: &RecordedAsk) -> Result<Found, EngineError> {
    let (engine, tenant) = (app.engine(), &counting.candidate.tenant);
    let Some(gate) = engine.recorded_gate(tenant, ask).await? else { return Ok(Found::Erased) };
    if !engine.would_reach(tenant, &counting.scope, &gate.workflow).await? {
        return Ok(Found::OutOfReach);
    }
    let said = match (gate.policy.failure, gate.policy.decision) {
        (Some(failure), _) => Err(failure),
        (None, Some(decision)) => {
            let kept = engine.opened(tenant, gate.instance, CommitmentLabel::Decision, decision).await?;
            let Some(kept) = kept else { return Ok(Found::Erased) };
            output::read(&kept.plaintext).map_err(|error| error.failure())
        }
        (None, None) => return Ok(Found::Erased),
    };
    Ok(Found::Ask(Box::new((gate, said))))
}
