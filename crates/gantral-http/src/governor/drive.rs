//! One request from the ask to the report, whoever waits for it.
//!
//! Crash points: before it is sent nothing is on disk, and what Gantral holds for taken is settled as not sent when the request comes again; once it
//! may have been sent the record says so, and it is never sent again; once it is answered the report is owed, and the next process makes it.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use gantral_api::wire::{CallWaiting, Document, SettleCall, ShowInstance};
use gantral_core::ids::InstanceId;
use gantral_core::json::{Object, Value};
use gantral_core::state::OutcomeStatus;
use gantral_edge::call::{Answer, CallError, Caller, Permit};
use reqwest::Response;
use tokio::sync::watch;

use super::live::{Live, Progress, Ready};
use super::{Governed, Governor, kept_until};
use crate::answer::{self, Read, Received, headers_of, outcome, receive};
use crate::ask::{Approved, Kept};
use crate::reply::Problem;
use crate::spool::{Owed, Record, Told};
use crate::upstream::{Lost, Sending};

/// For how long one question for a decision is held.
const TURN: Duration = Duration::from_secs(30);
/// The pauses between tries when Gantral does not answer, the last one repeated.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// A request on its way.
pub struct Drive {
    governor: Arc<Governor>,
    live: Arc<Live>,
    governed: Governed,
    caller: Caller,
    /// Whether an earlier process may have sent it.
    perhaps_sent: bool,
}

impl Drive {
    /// A request that a client sent.
    pub fn new(
        governor: Arc<Governor>,
        live: Arc<Live>,
        governed: Governed,
        caller: Caller,
        perhaps_sent: bool,
    ) -> Self {
        Self { governor, live, governed, caller, perhaps_sent }
    }

    /// Goes on until nothing more is to be done.
    pub async fn run(self) {
        match self.ask().await {
            Ok(answer) => self.answered(answer).await,
            Err(error) => self.refuse(Problem::unasked(&error), matches!(error, CallError::Running { .. })),
        }
        self.live.end();
        self.governor.look(&self.live);
    }

    async fn ask(&self) -> Result<Answer, CallError> {
        let wanted = self.governed.asked.wanted.clone();
        let answer = self.caller.ask(wanted.clone()).await;
        if self.perhaps_sent && answer.is_ok() {
            // Somebody found out what came of the earlier one.
            self.governor.forget(&self.live.key);
        }
        match answer {
            // What is written down before anything is sent is not there: an earlier process was allowed to send it, and did not.
            Err(CallError::Running { instance: Some(instance) }) if !self.perhaps_sent => {
                settle_unsent(&self.caller, instance).await?;
                self.caller.ask(wanted).await
            }
            answer => answer,
        }
    }

    async fn answered(&self, answer: Answer) {
        match answer {
            Answer::Go(permit) => self.send(&permit).await,
            Answer::Denied(denied) => self.refuse(Problem::denied(&denied), false),
            Answer::Waits(waiting) => self.wait(waiting).await,
        }
    }

    /// Waits for humans for as long as the gate is open.
    async fn wait(&self, waiting: Box<CallWaiting>) {
        let mut waiting = waiting;
        let mut pauses = PAUSES.iter();
        loop {
            self.live.tell(Progress::Waiting(Arc::new((*waiting).clone())));
            match self.caller.take(*waiting.instance_id, TURN).await {
                Ok(Answer::Waits(still)) => {
                    pauses = PAUSES.iter();
                    waiting = still;
                }
                Ok(Answer::Go(permit)) => return self.send(&permit).await,
                Ok(Answer::Denied(denied)) => return self.refuse(Problem::denied(&denied), false),
                Err(error) if error.is_refusal() => return self.refuse(Problem::unasked(&error), false),
                Err(error) => {
                    tracing::warn!(%error, "no answer about a request that waits");
                    pause(&mut pauses).await;
                }
            }
        }
    }

    /// Sends the request as approved, once.
    async fn send(&self, permit: &Permit) {
        let approved = match self.governed.asked.approved(permit.action()) {
            Ok(approved) => approved,
            Err(differs) => {
                return self
                    .unsent(permit, StatusCode::CONFLICT, "action_differs", &differs.to_string())
                    .await;
            }
        };
        let url = match self.governor.upstream().target(&self.governed.head.path, approved.query.as_deref()) {
            Ok(url) => url,
            Err(bad) => return self.unsent(permit, bad.status(), bad.code(), &bad.to_string()).await,
        };
        let prepared = self.body(&approved).and_then(|body| {
            self.governor.spool().keep(&self.live.key, &Record::Begun)?;
            Ok((body, self.governor.spool().new_body(&self.live.key)?))
        });
        let (body, file) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::error!(%error, "a request that may be sent cannot be kept");
                let why = "the call cannot be kept, and is not sent without";
                return self.unsent(permit, StatusCode::SERVICE_UNAVAILABLE, "spool_unusable", why).await;
            }
        };
        self.live.tell(Progress::Begun);
        let head = &self.governed.head;
        let grant = permit.grant().map(|grant| grant.to_string());
        match self.governor.upstream().once(&head.method, url, head.headers.clone(), body, grant).await {
            Ok(response) => self.receive(permit, response, file).await,
            Err(lost @ Lost::NotSent) => {
                self.unsent(permit, StatusCode::BAD_GATEWAY, "service_unreachable", &lost.to_string()).await;
            }
            // Nothing is reported: nobody keeps the call any more, and the server seals that its outcome is UNKNOWN.
            Err(lost @ Lost::Unanswered) => self.refuse(
                Problem::unknown(lost.to_string()).with("instance_id", permit.instance().to_string()),
                true,
            ),
        }
    }

    fn body(&self, approved: &Approved) -> std::io::Result<Sending> {
        let body = &self.governed.body;
        Ok(match (&approved.body, &body.kept) {
            (Some(changed), _) => Sending::Bytes(changed.clone().into()),
            (None, _) if body.size == 0 && self.governed.head.length.is_none() => Sending::Nothing,
            (None, Kept::Memory(bytes)) => Sending::Bytes(bytes.clone()),
            (None, Kept::File(file)) => Sending::File(Arc::new(file.try_clone()?), body.size),
        })
    }

    /// Passes the answer on while it comes, and reports it.
    async fn receive(&self, permit: &Permit, response: Response, file: File) {
        let (told, received) = watch::channel(Received::default());
        let status = response.status();
        let headers = headers_of(&response);
        let file = Arc::new(file);
        let answer = answer::Answer { status: status.as_u16(), headers, file: file.clone(), received };
        let head = answer.head();
        self.live.tell(Progress::Ready(Ready::Answer(answer)));
        let read = receive(response, &file, &told).await;
        let Some(outcome) = outcome(status) else {
            // Somebody between says that it does not know.
            self.live.set_unknown();
            return;
        };
        self.over(permit, outcome, read.result(status.as_u16()), Told::Answer(head), &read).await;
    }

    /// Says that nothing was sent.
    async fn unsent(&self, permit: &Permit, status: StatusCode, code: &str, why: &str) {
        let problem =
            Problem::new(status, code, why).with("instance_id", permit.instance().to_string()).again();
        self.live.tell(Progress::Ready(Ready::Problem(problem.clone())));
        let whole = Read { sha256: String::new(), bytes: 0, whole: true };
        let result = Object::new().with("executed", false).with("code", code);
        self.over(permit, OutcomeStatus::Failed, result, Told::Problem(problem), &whole).await;
    }

    async fn over(&self, permit: &Permit, status: OutcomeStatus, result: Object, told: Told, read: &Read) {
        let owed = Owed {
            instance: permit.instance().into(),
            grant: permit.grant().map(Into::into),
            status: status.into(),
            result: Document::from_value(&Value::Object(result)).ok(),
            waited: self.live.has_waited(),
        };
        let record = Record::Over { owed: owed.clone(), told: told.clone() };
        if let Err(error) = self.governor.spool().keep(&self.live.key, &record) {
            tracing::warn!(%error, "what came of a request cannot be kept");
        }
        report(&self.governor, &self.live, &self.caller, owed, told, read.whole).await;
    }

    /// Tells that nothing is sent, or that nobody knows.
    fn refuse(&self, problem: Problem, unknown: bool) {
        if unknown {
            self.live.set_unknown();
        }
        self.live.tell(Progress::Ready(Ready::Problem(problem)));
    }
}

/// Reports what an earlier process owes.
pub async fn report_left(governor: Arc<Governor>, live: Arc<Live>, owed: Owed, told: Told) {
    // Reporting needs no session: the call is named.
    if let Ok(session) = governor.spool().session(&[]) {
        let caller = governor.caller(session);
        report(&governor, &live, &caller, owed, told, true).await;
    }
    live.end();
    governor.look(&live);
}

/// Reports until it is told; whoever waits has the answer meanwhile.
async fn report(governor: &Governor, live: &Live, caller: &Caller, owed: Owed, told: Told, whole: bool) {
    let report = SettleCall::of(owed.grant, *owed.status, owed.result);
    let mut pauses = PAUSES.iter();
    loop {
        match caller.settle(*owed.instance, &report).await {
            Ok(_) => break,
            Err(error) if error.is_refusal() => {
                tracing::error!(%error, "an outcome is not taken");
                break;
            }
            Err(error) => {
                tracing::warn!(%error, "an outcome cannot be reported yet");
                pause(&mut pauses).await;
            }
        }
    }
    // A part of an answer is kept for nobody.
    let until_ms = if whole { kept_until(owed.waited) } else { 0 };
    if let Err(error) = governor.spool().keep(&live.key, &Record::Settled { told, until_ms }) {
        tracing::warn!(%error, "what came of a request cannot be kept");
    }
}

/// Settles a call that an earlier process was allowed to carry out and, as is known here, did not begin.
async fn settle_unsent(caller: &Caller, instance: InstanceId) -> Result<(), CallError> {
    let shown = caller.client().instance(instance.into(), &ShowInstance { wait: None, after: None }).await?;
    let open = |status: OutcomeStatus| status != OutcomeStatus::Succeeded;
    let owed = shown.outcomes.last().filter(|outcome| outcome.status.is_none_or(|status| open(*status)));
    let Some(owed) = owed else { return Ok(()) };
    let result = Object::new().with("executed", false).with("code", "interrupted");
    let result = Document::from_value(&Value::Object(result)).ok();
    let report = SettleCall::of(Some(owed.grant_id), OutcomeStatus::Failed, result);
    caller.settle(instance, &report).await.map(|_| ())
}

async fn pause(pauses: &mut core::slice::Iter<'_, Duration>) {
    let [.., last] = PAUSES;
    tokio::time::sleep(*pauses.next().unwrap_or(&last)).await;
}
