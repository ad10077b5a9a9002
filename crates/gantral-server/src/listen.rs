//! Where the server listens, and how it serves: beside the answers, the scheduler, the policy candidates, what lets the logs grow, what archives, what
//! carries messages, and what keeps the keys of identity providers current.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gantral_engine::NotifiedMember;
use gantral_identity::{DevelopmentRefused, development_allowed};
use gantral_listen::{ListenError as SocketError, Listening, ServeLimits, TlsFiles};
use gantral_notify::{Member, Now, Road, Shown, Unread};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::archive::Archiving;
use crate::candidates::run_candidates;
use crate::logs::Keeping;
use crate::retention::run_retention;
use crate::router::router;
use crate::scheduler::run_scheduler;

/// How long requests under way may take to end once the server stops; long polls are cut.
const DRAIN: Duration = Duration::from_secs(10);
/// How long what runs beside the answers may take to end after them: a write or two.
const END_WITHIN: Duration = Duration::from_secs(3);
/// Requests are limited where they are answered (`crate::limits`); a connection that sends nothing is closed.
const LIMITS: ServeLimits =
    ServeLimits { connections_max: None, headers_within: Duration::from_secs(75), drain: DRAIN };

/// Why the server does not listen. Whoever runs it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The development issuer would be trusted from elsewhere.
    #[error(transparent)]
    Development(#[from] DevelopmentRefused),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// Binds an address; port 0 picks a free one. In development it must be loopback, even with TLS.
///
/// # Errors
/// [`ListenError`]; nothing is bound then.
pub async fn listen(
    address: SocketAddr,
    tls: Option<&TlsFiles>,
    development: bool,
) -> Result<Listening, ListenError> {
    if development {
        development_allowed(&address)?;
    }
    Ok(Listening::bind(address, tls).await?)
}

/// Serves until `shutdown` turns true, then drains. The scheduler, the policy candidates, the couriers and the keys of identity providers
/// run beside it.
///
/// # Errors
/// When the socket fails.
pub async fn serve(app: App, listening: Listening, shutdown: watch::Receiver<bool>) -> std::io::Result<()> {
    let keeping = app.take_keeping().map(|keeping| tokio::spawn(keep(keeping, shutdown.clone())));
    let scheduler = tokio::spawn(run_scheduler(app.clone(), shutdown.clone()));
    let candidates = tokio::spawn(run_candidates(app.clone(), shutdown.clone()));
    let archiving = tokio::spawn(archive(app.clone(), shutdown.clone()));
    let carrying = tokio::spawn(carry(app.clone(), shutdown.clone()));
    let following = tokio::spawn(follow(app.clone(), shutdown.clone()));
    let retaining = tokio::spawn(run_retention(app.clone(), shutdown.clone()));
    let sharing = tokio::spawn(share(app.clone()));
    let (serving, ended) = oneshot::channel::<()>();
    let tracing = tokio::spawn(trace(app.clone(), ended));
    let served = gantral_listen::serve(router(app), listening, LIMITS, shutdown).await;
    // The spans of the requests that were drained are carried too.
    drop(serving);
    // It never ends by itself.
    sharing.abort();
    let _ = sharing.await;
    let until = Instant::now() + END_WITHIN;
    for mut beside in [scheduler, candidates, archiving, carrying, following, tracing, retaining] {
        // Each ends by itself, and gives its duty back to whoever goes on.
        if timeout_at(until, &mut beside).await.is_ok() {
            continue;
        }
        beside.abort();
        // Whoever opens the ledger next must not find it still at work.
        let _ = beside.await;
    }
    if let Some(mut keeping) = keeping {
        // A round that has begun is ended, unless the disk hangs.
        if tokio::time::timeout(DRAIN, &mut keeping).await.is_err() {
            keeping.abort();
        }
    }
    served
}

/// Archives until `shutdown` turns true.
async fn archive(app: App, shutdown: watch::Receiver<bool>) {
    if let Some(archiver) = app.0.archive.as_ref().and_then(Archiving::take) {
        archiver.run(stopped(shutdown)).await;
    }
}

/// Carries messages until `shutdown` turns true.
async fn carry(app: App, shutdown: watch::Receiver<bool>) {
    let shared = &app.0;
    let clock = Arc::clone(&shared.clock);
    let now: Now = Arc::new(move || clock.now());
    let may_write = || app.may_write().is_ok();
    let engine = shared.engine.clone();
    let shown: Shown = Arc::new(move |tenant, gate| {
        let engine = engine.clone();
        Box::pin(async move {
            let found = engine.notified_members(&tenant, gate).await;
            let member = |of: NotifiedMember| Member { pointer: of.pointer, value: of.value };
            let found = found.map(|found| found.into_iter().map(member).collect());
            found.map_err(|error| Unread(error.to_string()))
        })
    });
    let (store, duties, source) = (shared.engine.store(), &shared.duties, &*shared.public_url);
    let road = Road { store, duties, source, now, shown };
    shared.couriers.run(road, may_write, stopped(shutdown)).await;
}

/// Keeps the keys of identity providers current until `shutdown` turns true.
async fn follow(app: App, shutdown: watch::Receiver<bool>) {
    app.0.providers.run(&app.0.verifier, stopped(shutdown)).await;
}

/// Carries spans until the requests under way when the server was stopped have ended, or have been given the time to.
async fn trace(app: App, ended: oneshot::Receiver<()>) {
    let exporter = app.0.telemetry.take();
    drop(app);
    if let Some(exporter) = exporter {
        // It ends by being dropped.
        exporter.run(async { drop(ended.await) }).await;
    }
}

/// Keeps what all servers upon one ledger must know of it the same, for ever.
async fn share(app: App) {
    app.0.standing.keep_shared(app.engine().store()).await;
}

/// Lets the logs grow until `shutdown` turns true.
async fn keep(keeping: Keeping, shutdown: watch::Receiver<bool>) {
    keeping.run(stopped(shutdown)).await;
}

/// Waits until `shutdown` turns true.
async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // A dropped sender means that whoever started the server is gone.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
