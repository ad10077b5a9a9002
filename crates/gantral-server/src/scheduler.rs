//! The loop that makes time prompt. Deadlines hold without it; it only seals them sooner.
//!
//! Of several servers one does it, the one that has the duty ([`Duty::Tick`]). Were two of them to do it at the same moment, each step would
//! still be sealed once: the head of its instance is compared. So what is sealed here needs no number of a lease.

use std::time::Duration;

use gantral_store::{Duty, OnDuty};
use tokio::sync::watch;

use crate::app::App;
use crate::clock::seed;
use crate::turns::in_turn;

/// How often due gates and lost leases are looked for.
const TICK: Duration = Duration::from_millis(250);

/// Ticks whenever it is this server's duty, until `shutdown` turns true.
pub async fn run_scheduler(app: App, shutdown: watch::Receiver<bool>) {
    in_turn(&app, Duty::Tick, shutdown, |app, on_duty| Box::pin(tick(app, on_duty))).await;
}

/// Ticks until another server may.
async fn tick(app: &App, on_duty: &OnDuty) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = on_duty.lost() => return,
        }
        if app.0.standing.behind().is_some() {
            continue;
        }
        let Ok(seed) = seed() else {
            tracing::error!("no randomness: the scheduler waits");
            continue;
        };
        // Said by whoever is asked whether this server is ready.
        let Ok(now) = app.now() else { continue };
        match app.engine().tick(now, seed).await {
            Ok(ticked) => app.0.metrics.ticked(&ticked),
            Err(error) => tracing::error!(%error, "the scheduler cannot read the ledger"),
        }
    }
}
