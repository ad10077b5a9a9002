//! The loop that makes time prompt. Deadlines hold without it; it only seals them sooner.

use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;
use crate::clock::seed;

/// How often due gates and lost leases are looked for.
const TICK: Duration = Duration::from_millis(250);

/// Ticks until `shutdown` turns true.
pub async fn run_scheduler(app: App, mut shutdown: watch::Receiver<bool>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        if app.0.standing.behind().is_some() {
            continue;
        }
        let Ok(seed) = seed() else {
            tracing::error!("no randomness: the scheduler waits");
            continue;
        };
        match app.engine().tick(app.0.clock.now(), seed).await {
            Ok(ticked) => app.0.metrics.ticked(&ticked),
            Err(error) => tracing::error!(%error, "the scheduler cannot read the ledger"),
        }
    }
}
