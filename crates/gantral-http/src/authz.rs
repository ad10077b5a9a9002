//! External authorization: another proxy, or a service itself, asks whether a request may go on, and carries it out.
//!
//! What stands here is no interceptor in full: it consumes a grant for whoever asks, and learns what came of it only if that is reported. Without a
//! report the outcome is UNKNOWN, which is the truth. So each permission is a call of its own: the same request that comes again is asked for
//! again, and an earlier one of which nobody reported is not in its way. While humans decide, it joins.

pub mod access;
pub mod door;
pub mod envoy;
mod grpc;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use gantral_api::client::Client;
use gantral_api::wire::{Action, Document, SettleCall};
use gantral_core::digest::Hasher;
use gantral_core::ids::{GrantId, InstanceId, SessionId, WorkflowId};
use gantral_core::json::{Object, Value};
use gantral_core::state::OutcomeStatus;
use gantral_edge::call::{Answer, CallError, Caller, CallerConfig, Permit, Wanted};
use gantral_edge::runner::Pinned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::answer::outcome;
use crate::reply::{self, Problem};
use crate::spool::Spool;

/// The longest time for which a check is held for humans: whoever asks has a client that waits as well.
pub const HOLD_MAX: Duration = Duration::from_secs(300);
/// For how long one question for a decision is held.
const TURN: Duration = Duration::from_secs(30);
/// For how long a report is waited for, with signs of life meanwhile: longer than requests usually take. A later one counts too.
const REPORT_WITHIN: Duration = Duration::from_secs(120);
/// The most permissions of which a report is waited for, and checks that are under way.
const CALLS_MAX: usize = 4096;
/// The pauses between tries to report.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// What an authorizer is made of.
pub struct AuthorizerConfig {
    /// The server that is asked.
    pub client: Client,
    /// The workflow of requests.
    pub workflow: WorkflowId,
    /// The workflow of evaluations of access.
    pub access: WorkflowId,
    /// Keys and tenant, brought here out of band.
    pub pinned: Pinned,
    /// For how long a check is held for humans.
    pub hold: Duration,
    /// Who this is, so that a client keeps its session.
    pub spool: Spool,
}

/// Asks for others.
pub struct Authorizer {
    config: AuthorizerConfig,
    places: Arc<Semaphore>,
    /// What was added to the session of a request that waits, because an earlier one of which nobody reported has the plain one.
    others: Mutex<HashMap<String, (String, Instant)>>,
    kept: Mutex<HashMap<InstanceId, Kept>>,
}

/// A permission of which a report is waited for.
struct Kept {
    _permit: Box<Permit>,
    _place: OwnedSemaphorePermit,
}

/// What is asked about: each has a workflow of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A request over HTTP.
    Request,
    /// An evaluation of access.
    Access,
}

/// A permission: the grant is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// The call.
    pub instance: InstanceId,
    /// The grant; none where policy is only observed.
    pub grant: Option<GrantId>,
}

/// What somebody says came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The service answered with this status.
    Answered(StatusCode),
    /// It was done, or it was not.
    Done(bool),
    /// It never reached the service.
    NotSent,
}

impl core::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authorizer").field("workflow", &self.config.workflow).finish_non_exhaustive()
    }
}

impl Authorizer {
    /// Begins to ask for others.
    pub fn new(mut config: AuthorizerConfig) -> Arc<Self> {
        config.hold = config.hold.min(HOLD_MAX);
        let places = Arc::new(Semaphore::new(CALLS_MAX));
        Arc::new(Self { config, places, others: Mutex::default(), kept: Mutex::default() })
    }

    /// Returns who this is.
    pub fn spool(&self) -> &Spool {
        &self.config.spool
    }

    /// Asks whether something may be done, and uses the grant up if it may. `is_same` tells whether what was approved is what whoever asks will do:
    /// nothing can be changed for them.
    ///
    /// # Errors
    /// Why not. Nothing may be done then; what waits is joined by the same question.
    pub async fn authorise(
        self: &Arc<Self>,
        about: About,
        wanted: Wanted,
        session: SessionId,
        is_same: impl Fn(&Action) -> bool,
    ) -> Result<Pass, Problem> {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Problem::new(unavailable, "too_many_calls", "too many requests are under way").again()
        })?;
        let deadline = Instant::now() + self.config.hold;
        let key = key(&wanted.action, &session);
        let (caller, mut answer) = self.ask(about, &key, wanted, &session).await?;
        loop {
            let waiting = match answer {
                Answer::Go(permit) => return self.pass(&key, permit, place, is_same).await,
                Answer::Denied(denied) => {
                    self.others().remove(&key);
                    return Err(Problem::denied(&denied));
                }
                Answer::Waits(waiting) => waiting,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Not 202: whoever asks takes any 2xx for a permission.
                return Err(reply::waits(&waiting, StatusCode::FORBIDDEN));
            }
            let taken = caller.take(*waiting.instance_id, left.min(TURN)).await;
            answer = taken.map_err(|error| Problem::unasked(&error))?;
        }
    }

    async fn ask(
        &self,
        about: About,
        key: &str,
        wanted: Wanted,
        session: &SessionId,
    ) -> Result<(Caller, Answer), Problem> {
        let other = self.others().get(key).map(|(other, _)| other.clone());
        let caller = self.caller(about, session, other.as_deref())?;
        match caller.ask(wanted.clone()).await {
            // An earlier permission for the same: whether it was used is not known here, and this is another request.
            Err(CallError::Running { .. }) => {
                let other = self.another(key)?;
                let caller = self.caller(about, session, Some(&other))?;
                let answer = caller.ask(wanted).await.map_err(|error| Problem::unasked(&error))?;
                Ok((caller, answer))
            }
            answer => Ok((caller, answer.map_err(|error| Problem::unasked(&error))?)),
        }
    }

    /// Lets it go on, if it is what was approved.
    async fn pass(
        self: &Arc<Self>,
        key: &str,
        permit: Box<Permit>,
        place: OwnedSemaphorePermit,
        is_same: impl Fn(&Action) -> bool,
    ) -> Result<Pass, Problem> {
        self.others().remove(key);
        let pass = Pass { instance: permit.instance(), grant: permit.grant() };
        if !is_same(permit.action()) {
            let told = self.came(pass, Came::NotSent).await;
            if let Err(error) = told {
                tracing::warn!(%error, "that nothing was done cannot be reported");
            }
            let detail =
                "a human changed the request, and it cannot be changed here: nothing was let through";
            let problem = Problem::new(StatusCode::FORBIDDEN, "action_differs", detail);
            return Err(problem.with("instance_id", pass.instance.to_string()));
        }
        self.kept().insert(pass.instance, Kept { _permit: permit, _place: place });
        let keeper = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(REPORT_WITHIN).await;
            if let Some(authorizer) = keeper.upgrade() {
                authorizer.kept().remove(&pass.instance);
            }
        });
        Ok(pass)
    }

    /// Reports what came of a permission. A status that says that nobody knows is not reported.
    ///
    /// # Errors
    /// As [`Caller::settle`]; it may be repeated.
    pub async fn came(&self, pass: Pass, came: Came) -> Result<(), CallError> {
        let (status, result) = match came {
            Came::Answered(status) => {
                let Some(outcome) = outcome(status) else { return Ok(()) };
                (outcome, Object::new().with("status", u64::from(status.as_u16())))
            }
            Came::Done(true) => (OutcomeStatus::Succeeded, Object::new()),
            Came::Done(false) => (OutcomeStatus::Failed, Object::new()),
            Came::NotSent => (OutcomeStatus::Failed, Object::new().with("executed", false)),
        };
        let result = Document::from_value(&Value::Object(result.with("reported", true))).ok();
        let report = SettleCall::of(pass.grant.map(Into::into), status, result);
        // Reporting needs no session: the call is named.
        self.reporter().settle(pass.instance, &report).await?;
        self.kept().remove(&pass.instance);
        Ok(())
    }

    /// Reports in the background, and tries again for a while. Nobody waits for it: what cannot be reported is UNKNOWN.
    pub fn came_later(self: &Arc<Self>, pass: Pass, came: Came) {
        let authorizer = self.clone();
        tokio::spawn(async move {
            for pause in PAUSES {
                match authorizer.came(pass, came).await {
                    Ok(()) => return,
                    Err(error) if error.is_refusal() => {
                        return tracing::warn!(%error, "an outcome is not taken");
                    }
                    Err(error) => tracing::warn!(%error, "an outcome cannot be reported yet"),
                }
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Returns another session for the same request, remembered while it waits.
    fn another(&self, key: &str) -> Result<String, Problem> {
        let number = getrandom::u32().map_err(|error| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "spool_unusable", error.to_string())
        })?;
        let other = format!("{number:08x}");
        let mut others = self.others();
        if others.len() >= CALLS_MAX {
            // Nothing waits longer than a day, by far.
            others.retain(|_, (_, since)| since.elapsed() < Duration::from_secs(24 * 3600));
        }
        if others.len() >= CALLS_MAX {
            let detail = "too many requests wait";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_calls", detail).again());
        }
        others.insert(key.to_owned(), (other.clone(), Instant::now()));
        Ok(other)
    }

    fn caller(&self, about: About, session: &SessionId, other: Option<&str>) -> Result<Caller, Problem> {
        let named = other.map(|other| SessionId::parse(&format!("{session}-{other}"))).transpose();
        let named = named.map_err(|error| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "spool_unusable", error.to_string())
        })?;
        Ok(self.caller_of(about, Some(named.unwrap_or_else(|| session.clone()))))
    }

    fn reporter(&self) -> Caller {
        self.caller_of(About::Request, None)
    }

    fn caller_of(&self, about: About, session: Option<SessionId>) -> Caller {
        let workflow = match about {
            About::Request => &self.config.workflow,
            About::Access => &self.config.access,
        };
        let (workflow, pinned) = (workflow.clone(), self.config.pinned.clone());
        Caller::new(self.config.client.clone(), CallerConfig { workflow, session, pinned, journal: None })
    }

    fn others(&self) -> MutexGuard<'_, HashMap<String, (String, Instant)>> {
        // Whoever panicked left whole values.
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<InstanceId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(action: &Action, session: &SessionId) -> String {
    let hasher = Hasher::new("gantral/http/check/v1").text(session.as_str()).text(action.name.as_str());
    hasher.text(&action.target).text(action.parameters.as_str()).finish().to_hex()
}
