//! How much the server takes on at once. Beyond it: a clear 429, never a queue without an end.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use gantral_api::problem::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::problems::{Answer, Failure};

/// How much a server takes on at once. Whatever comes beyond it is refused with 429 and may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Requests under `/v1` that are worked on, long polls included.
    pub requests: usize,
    /// Long polls that are held: fewer than `requests`, so that those who wait never keep those out who decide.
    pub waits: usize,
    /// Policy bundles that are checked: each check is a worker process with memory of its own.
    pub checks: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { requests: 8_192, waits: 6_144, checks: 2 }
    }
}

/// What is left of the capacity.
pub(crate) struct Limits {
    requests: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    checks: Arc<Semaphore>,
}

impl From<Capacity> for Limits {
    fn from(capacity: Capacity) -> Self {
        // A number beyond what a semaphore counts is no limit anyway.
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            requests: semaphore(capacity.requests),
            waits: semaphore(capacity.waits),
            checks: semaphore(capacity.checks),
        }
    }
}

impl Limits {
    /// Lets one more long poll be held, as long as the permit is held.
    pub(crate) fn wait(&self) -> Answer<OwnedSemaphorePermit> {
        one_of(&self.waits, "the server holds as many waiting requests as it takes at once")
    }

    /// Lets one more bundle be checked, as long as the permit is held.
    pub(crate) fn check(&self) -> Answer<OwnedSemaphorePermit> {
        one_of(&self.checks, "as many bundles as possible are being checked")
    }
}

fn one_of(permits: &Arc<Semaphore>, none_left: &str) -> Answer<OwnedSemaphorePermit> {
    Arc::clone(permits).try_acquire_owned().map_err(|_| Failure::new(Code::TooManyRequests, none_left))
}

/// Refuses a request when as many as possible are worked on.
pub(crate) async fn bounded(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let _permit = one_of(&app.0.limits.requests, "the server works on as many requests as it takes at once")?;
    Ok(next.run(request).await)
}
