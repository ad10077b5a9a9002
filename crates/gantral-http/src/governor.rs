//! Governs requests: each is asked for, sent once if it may be, reported, and answered.
//!
//! A request belongs to nobody's connection. Whoever sends it waits for it a while; it goes on without them. While humans decide, and until
//! somebody has read the answer, the same request finds it. A request that policy let pass at once is over with its answer, and the same one
//! is a new one.

pub(crate) mod drive;
mod live;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body as ResponseBody;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use gantral_api::client::Client;
use gantral_core::digest::Hasher;
use gantral_core::ids::{SessionId, WorkflowId};
use gantral_edge::call::{Caller, CallerConfig};
use gantral_edge::runner::Pinned;
use tokio::time::Instant;

use crate::answer::{Answer, follow};
use crate::ask::{Asked, Body};
use crate::reply::{self, Problem};
use crate::request::Head;
use crate::spool::{Record, Spool, Told};
use crate::upstream::Upstream;
use drive::Drive;
pub use live::Room;
use live::{Holds, Live, Progress, Ready};

/// The longest time for which a request is held open for humans: what stands before us often gives up after a minute.
pub const HOLD_MAX: Duration = Duration::from_secs(300);
/// The most requests that are under way or wait: each keeps its headers in memory.
const CALLS_MAX: usize = 1024;
/// The most bytes of bodies that wait in files.
const SCRATCH_BYTES_MAX: u64 = 1 << 30;
/// How long an answer is kept that humans made wait: a day, so that who looks once a day finds it.
const KEPT_AFTER_WAIT: Duration = Duration::from_secs(24 * 3600);
/// How long an answer is kept whose client went away: as long as a client may try again.
const KEPT: Duration = Duration::from_secs(600);
/// How often what is too old is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How a client is told that humans decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// By 202: it is kept, and carried out once it is approved.
    Accepted,
    /// By 503, for clients that take any other answer for done.
    Unavailable,
}

impl Pending {
    const fn status(self) -> StatusCode {
        match self {
            Self::Accepted => StatusCode::ACCEPTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What a governor is made of.
pub struct GovernorConfig {
    /// What the service is called in actions.
    pub service: String,
    /// For how long a request is held open for humans.
    pub hold: Duration,
    /// How a client is told that humans decide.
    pub pending: Pending,
    /// The server that is asked.
    pub client: Client,
    /// The workflow.
    pub workflow: WorkflowId,
    /// Keys and tenant, brought here out of band.
    pub pinned: Pinned,
    /// Where calls are kept.
    pub spool: Spool,
    /// The service.
    pub upstream: Upstream,
}

/// Governs the requests to one service.
pub struct Governor {
    config: GovernorConfig,
    scratch: Arc<AtomicU64>,
    lives: Mutex<HashMap<String, Arc<Live>>>,
}

/// A request that is governed.
#[derive(Debug)]
pub struct Governed {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Body,
    /// The room that the body takes.
    pub room: Option<Room>,
    /// What is asked.
    pub asked: Asked,
    /// The session of its client.
    pub session: SessionId,
}

impl core::fmt::Debug for Governor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Governor").field("service", &self.config.service).finish_non_exhaustive()
    }
}

enum Found {
    /// It is waited for.
    Joined(Holds),
    /// Another one has to be over first.
    After(Arc<Live>),
    /// Whether it can be joined is not known yet.
    Asking(Arc<Live>),
}

impl Governor {
    /// Begins to govern. What an earlier process owes is reported by [`Self::take_up`].
    pub fn new(mut config: GovernorConfig) -> Arc<Self> {
        config.hold = config.hold.min(HOLD_MAX);
        Arc::new(Self { config, scratch: Arc::default(), lives: Mutex::default() })
    }

    /// Returns what the service is called.
    pub fn service(&self) -> &str {
        &self.config.service
    }

    /// Returns the service.
    pub fn upstream(&self) -> &Upstream {
        &self.config.upstream
    }

    /// Returns where calls are kept.
    pub fn spool(&self) -> &Spool {
        &self.config.spool
    }

    /// Takes room for a body in a file; `None` while there is too little.
    pub fn room(&self, bytes: u64) -> Option<Room> {
        Room::take(&self.scratch, bytes, SCRATCH_BYTES_MAX)
    }

    /// Answers a request: with the answer of the service, or with why there is none.
    pub async fn answer(self: &Arc<Self>, governed: Governed) -> Response {
        let method = governed.head.method.clone();
        let deadline = Instant::now() + self.config.hold;
        match self.join(governed, deadline).await {
            Ok(holds) => self.wait(holds, &method, deadline).await,
            Err(problem) => problem.into_response(),
        }
    }

    /// Reports what an earlier process owes, and forgets what is too old, now and from time to time. Ends never.
    pub async fn take_up(self: Arc<Self>) {
        loop {
            match self.config.spool.keys() {
                Ok(keys) => keys.iter().for_each(|key| self.take_up_one(key)),
                Err(error) => tracing::warn!(%error, "what was left cannot be read"),
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Waits until everything that was sent is answered and reported, so long at most.
    pub async fn quiet(&self, within: Duration) {
        let busy = || self.lives().values().any(|live| live.is_under_way());
        let deadline = Instant::now() + within;
        while busy() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn take_up_one(self: &Arc<Self>, key: &str) {
        let mut lives = self.lives();
        if lives.contains_key(key) {
            return;
        }
        match self.config.spool.read(key) {
            Ok(Some(Record::Over { owed, told })) => {
                if let Ok(live) = self.left(key, &told) {
                    lives.insert(key.to_owned(), live.clone());
                    tokio::spawn(drive::report_left(self.clone(), live, owed, told));
                }
            }
            Ok(Some(Record::Settled { until_ms, .. })) if until_ms < now_ms() => self.forget(key),
            Ok(Some(Record::Settled { .. } | Record::Begun) | None) => {}
            Err(error) => tracing::warn!(%error, "a call that was left cannot be read"),
        }
    }

    fn lives(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        // Whoever panicked left whole values.
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns who asks for a client.
    fn caller(&self, session: SessionId) -> Caller {
        let config = CallerConfig {
            workflow: self.config.workflow.clone(),
            session: Some(session),
            pinned: self.config.pinned.clone(),
            journal: None,
        };
        Caller::new(self.config.client.clone(), config)
    }

    /// Finds the same request, or begins it.
    async fn join(self: &Arc<Self>, governed: Governed, deadline: Instant) -> Result<Holds, Problem> {
        let key = Hasher::new("gantral/http/call/v1")
            .text(governed.session.as_str())
            .bytes(&governed.asked.canonical())
            .finish()
            .to_hex();
        let mut governed = Some(governed);
        loop {
            let changed = match self.find(&key, &mut governed)? {
                Found::Joined(holds) => return Ok(holds),
                Found::After(live) => tokio::time::timeout_at(deadline, live.ended()).await,
                Found::Asking(live) => tokio::time::timeout_at(deadline, live.asked()).await,
            };
            if changed.is_err() {
                let detail = "the same request is being carried out";
                return Err(Problem::new(StatusCode::CONFLICT, "call_key_taken", detail).again());
            }
        }
    }

    fn find(self: &Arc<Self>, key: &str, governed: &mut Option<Governed>) -> Result<Found, Problem> {
        let mut lives = self.lives();
        if let Some(live) = lives.get(key) {
            match &*live.progress().borrow() {
                Progress::Asking => return Ok(Found::Asking(live.clone())),
                Progress::Waiting(_) => return Ok(Found::Joined(Holds::of(self, live))),
                Progress::Begun | Progress::Ready(_) => {}
            }
            let open = !live.is_delivered() && (live.has_waited() || !live.is_held());
            if open {
                return Ok(Found::Joined(Holds::of(self, live)));
            }
            if !live.is_ended() {
                return Ok(Found::After(live.clone()));
            }
            // Its client still reads, from a file that it has open.
            if let Some(live) = lives.remove(key) {
                self.forget_unless_begun(&live);
            }
        }
        if lives.len() >= CALLS_MAX {
            let detail = "too many requests wait or are under way";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_calls", detail).again());
        }
        let live = self.begin(key, governed).map_err(|error| {
            tracing::error!(%error, "what is kept of a call cannot be read");
            let detail = "the call cannot be kept, and is not asked for without";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "spool_unusable", detail)
        })?;
        lives.insert(key.to_owned(), live.clone());
        Ok(Found::Joined(Holds::of(self, &live)))
    }

    /// Begins a request, or takes up what is known of it.
    fn begin(self: &Arc<Self>, key: &str, governed: &mut Option<Governed>) -> io::Result<Arc<Live>> {
        let before = match self.config.spool.read(key)? {
            Some(Record::Settled { told, until_ms }) if until_ms >= now_ms() => {
                let live = self.left(key, &told)?;
                live.end();
                return Ok(live);
            }
            Some(Record::Over { owed, told }) => {
                let live = self.left(key, &told)?;
                tokio::spawn(drive::report_left(self.clone(), live.clone(), owed, told));
                return Ok(live);
            }
            Some(Record::Settled { .. }) => {
                self.forget(key);
                None
            }
            before @ (Some(Record::Begun) | None) => before,
        };
        let governed = governed.take().ok_or_else(|| io::Error::other("the request was begun before"))?;
        let live = Arc::new(Live::new(key));
        let caller = self.caller(governed.session.clone());
        let drive = Drive::new(self.clone(), live.clone(), governed, caller, before.is_some());
        tokio::spawn(drive.run());
        Ok(live)
    }

    /// Returns a call that an earlier process, or an earlier client, left.
    fn left(&self, key: &str, told: &Told) -> io::Result<Arc<Live>> {
        let ready = match told {
            Told::Answer(head) => Ready::Answer(Answer::kept(head, self.config.spool.open_body(key)?)?),
            Told::Problem(problem) => Ready::Problem(problem.clone()),
        };
        let live = Arc::new(Live::new(key));
        live.tell(Progress::Ready(ready));
        live.set_waited();
        Ok(live)
    }

    /// Waits for a request, humans no longer than until `deadline`.
    async fn wait(self: &Arc<Self>, holds: Holds, method: &Method, deadline: Instant) -> Response {
        let mut progress = holds.live().progress();
        loop {
            let now = progress.borrow_and_update().clone();
            let until = match now {
                Progress::Ready(Ready::Problem(problem)) => {
                    holds.live().delivered();
                    return problem.into_response();
                }
                Progress::Ready(Ready::Answer(answer)) => return passed_on(answer, method, holds),
                Progress::Waiting(waiting) if Instant::now() >= deadline => {
                    return reply::waits(&waiting, self.config.pending.status()).into_response();
                }
                Progress::Waiting(_) => Some(deadline),
                Progress::Asking | Progress::Begun => None,
            };
            let changed = match until {
                Some(until) => tokio::time::timeout_at(until, progress.changed()).await.unwrap_or(Ok(())),
                None => progress.changed().await,
            };
            if changed.is_err() {
                let detail = "the request was interrupted";
                return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "interrupted", detail).into_response();
            }
        }
    }

    /// Looks whether a call is over and read, or over and nobody is there to read it.
    fn look(&self, live: &Arc<Live>) {
        let mut lives = self.lives();
        if !live.is_ended() || !lives.get(&live.key).is_some_and(|found| Arc::ptr_eq(found, live)) {
            return;
        }
        if live.is_delivered() {
            self.forget_unless_begun(live);
            lives.remove(&live.key);
        } else if !live.is_held() {
            lives.remove(&live.key);
        }
    }

    /// What was sent, and of which nothing is known, is remembered until Gantral knows more.
    fn forget_unless_begun(&self, live: &Live) {
        if !live.is_unknown() {
            self.forget(&live.key);
        }
    }

    fn forget(&self, key: &str) {
        if let Err(error) = self.config.spool.forget(key) {
            tracing::warn!(%error, "a call that is over cannot be forgotten");
        }
    }
}

/// Passes the answer of the service on. Its last byte says that it was read.
fn passed_on(answer: Answer, method: &Method, holds: Holds) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let bodiless = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    let length = length_of(&answer.headers);
    let body = if bodiless {
        holds.live().delivered();
        ResponseBody::empty()
    } else {
        let read = move |at: u64, end: bool| {
            if end || length == Some(at) {
                holds.live().delivered();
            }
        };
        ResponseBody::from_stream(follow(answer.file, answer.received, read))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = answer.headers;
    response
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(axum::http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns until when an answer is kept that nobody has read.
fn kept_until(waited: bool) -> u64 {
    let kept = if waited { KEPT_AFTER_WAIT } else { KEPT };
    now_ms().saturating_add(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX))
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
