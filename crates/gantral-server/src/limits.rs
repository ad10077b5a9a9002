//! How much the server takes on at once. Beyond it: a clear 429, never a queue without an end.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use gantral_api::problem::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::problems::{Answer, Failure};

/// Requests that are worked on at once, long polls included.
const REQUESTS_MAX: usize = 8_192;

/// Policy bundles that are checked at once: each check is a worker process with memory of its own.
const CHECKS_MAX: usize = 2;

/// What is left of the limits.
pub(crate) struct Limits {
    requests: Arc<Semaphore>,
    checks: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
        }
    }
}

impl Limits {
    /// Lets one more bundle be checked, as long as the permit is held.
    pub(crate) fn check(&self) -> Answer<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.checks).try_acquire_owned();
        permit
            .map_err(|_| Failure::new(Code::TooManyRequests, "as many bundles as possible are being checked"))
    }
}

/// Refuses a request when as many as possible are worked on.
pub(crate) async fn bounded(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let Ok(_permit) = Arc::clone(&app.0.limits.requests).try_acquire_owned() else {
        return Err(Failure::new(
            Code::TooManyRequests,
            "the server works on as many requests as it takes at once",
        ));
    };
    Ok(next.run(request).await)
}
