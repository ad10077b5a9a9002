//! One call from the ask to the report, whoever waits for it.
//!
//! Each step is on disk before it is taken. After a crash: one that was asked for is asked for again under the same key, and is not sent,
//! since its client has gone, unless humans are asked; one that waits goes on waiting; one that was sent is unknown; one that was answered is
//! reported.

use std::sync::Arc;
use std::time::Duration;

use gantral_api::wire::{Action, Document};
use gantral_core::json::{self, Object, Profile, Value};
use gantral_edge::call::{self, CallError};

use super::live::{Live, Progress};
use super::outcome::{done, not_executed, reported};
use super::send::Sends;
use super::{Governor, is_stateless, parameters};
use crate::authority::{Answer, Pending, Permit, code};
use crate::call::text_of;
use crate::catalogue::Tool;
use crate::message::Id;
use crate::port::{Lost, Port};
use crate::spool::{Kept, Outcome, Stage};

/// The name of the action.
const ACTION: &str = "mcp.call";
/// For how long one question for a decision is held.
const WAIT: Duration = Duration::from_secs(30);
/// The pauses between tries when the server does not answer, the last one repeated.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// A call on its way.
pub struct Drive {
    governor: Arc<Governor>,
    pub(super) live: Arc<Live>,
    pub(super) call: Kept,
    /// The client's request and its way to the server; none after a restart.
    pub(super) client: Option<(Id, Arc<dyn Port>)>,
    /// What policy is shown beside the call.
    attributes: Option<Value>,
    /// Whether an earlier process began it.
    resumed: bool,
}

impl Drive {
    /// A call that a client sent, or sent again.
    pub fn asked(
        governor: Arc<Governor>,
        live: Arc<Live>,
        call: Kept,
        client: (Id, Arc<dyn Port>),
        attributes: Option<Value>,
        resumed: bool,
    ) -> Self {
        Self { governor, live, call, client: Some(client), attributes, resumed }
    }

    /// A call that an earlier process left.
    pub fn left_behind(governor: Arc<Governor>, live: Arc<Live>, call: Kept) -> Self {
        Self { governor, live, call, client: None, attributes: None, resumed: true }
    }

    /// Goes on until nothing more is to be done.
    pub async fn run(mut self) {
        match self.call.stage.clone() {
            Stage::Asking | Stage::Unasked => self.ask().await,
            Stage::Fallen => {
                self.over(Outcome::Unknown { why: "the machine went down meanwhile".to_owned() });
            }
            Stage::Waiting { .. } => self.wait().await,
            Stage::Begun { .. } => {
                self.over(Outcome::Unknown {
                    why: "the interceptor ended while the server had it".to_owned(),
                });
            }
            Stage::Answered { permit, outcome } => {
                self.live.tell(Progress::Over(outcome.clone()));
                self.report(&permit, outcome).await;
            }
            Stage::Settled { outcome } => self.live.tell(Progress::Over(outcome)),
        }
        self.live.end();
        self.governor.sweep(&self.live);
    }

    async fn ask(&mut self) {
        let action = match self.action() {
            Ok(action) => action,
            Err(why) => return self.over(Outcome::NotDone { code: "call_unusable".to_owned(), why }),
        };
        let attributes = self.attributes.as_ref().and_then(|shown| Document::from_value(shown).ok());
        let asked = self.governor.authority.ask(action.clone(), attributes.clone());
        let (mut answer, flushed) = tokio::join!(asked, self.live.flushed());
        if let (true, Err(CallError::Running { instance: Some(instance) })) = (self.resumed, &answer) {
            // What an earlier process was allowed and did not begin is in the way of what is asked now.
            if self
                .governor
                .authority
                .not_begun((*instance).into(), not_executed("interrupted"))
                .await
                .is_ok()
            {
                answer = self.governor.authority.ask(action, attributes).await;
            }
        }
        match (answer, flushed) {
            (Ok(Answer::Go(permit, _live)), Err(error)) => {
                self.not_done(permit, "spool_unusable", error.to_string()).await;
            }
            (Ok(answer), _) => self.answered(answer).await,
            (Err(error), _) => self.unasked(&error),
        }
    }

    /// Without an answer nothing is done. What was asked for may stand at the server: the call is kept, so that the next try finds it.
    fn unasked(&self, error: &CallError) {
        let code = code(error);
        if error.is_refusal() {
            return self.over(Outcome::NotDone { code: code.to_owned(), why: error.to_string() });
        }
        if let Err(error) = self.live.keep(&Stage::Unasked) {
            tracing::warn!(%error, "a call without an answer cannot be kept");
        }
        let why = format!(
            "NOT EXECUTED [{code}]: {error}. Nothing runs without an answer of Gantral; try again later."
        );
        self.live.tell(Progress::Failed { code, why });
    }

    async fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Go(permit, live) if self.client.is_none() && self.call.stage == Stage::Asking => {
                let why = "the interceptor ended before it was sent; it may be tried again".to_owned();
                self.not_done(permit, "interrupted", why).await;
                drop(live);
            }
            Answer::Go(permit, live) => self.begin(permit, live, false).await,
            Answer::Waiting(pending) => {
                self.call.stage = Stage::Waiting { pending };
                self.wait().await;
            }
            Answer::Denied(denial) => self.over(Outcome::Denied { denial }),
        }
    }

    /// Waits for humans for as long as the gate is open.
    async fn wait(&mut self) {
        let mut pauses = PAUSES.iter();
        let mut kept = None;
        while let Stage::Waiting { pending } = self.call.stage.clone() {
            if kept.as_ref() != Some(&pending) {
                if let Err(error) = self.live.keep(&self.call.stage) {
                    tracing::warn!(%error, "a call that waits cannot be kept");
                }
                self.live.tell(Progress::Waiting(pending.clone()));
                kept = Some(pending.clone());
            }
            match self.governor.authority.wait(&pending, WAIT).await {
                Ok(Answer::Waiting(pending)) => {
                    pauses = PAUSES.iter();
                    self.call.stage = Stage::Waiting { pending };
                }
                Ok(Answer::Go(permit, live)) => return self.begin(permit, live, true).await,
                Ok(Answer::Denied(denial)) => return self.over(Outcome::Denied { denial }),
                Err(CallError::Unbelieved(why)) => {
                    return self.over(Outcome::NotDone {
                        code: "answer_unbelieved".to_owned(),
                        why: why.to_string(),
                    });
                }
                Err(error) => {
                    if self.resumed && error.is_refusal() && self.lapsed(&pending).await {
                        return;
                    }
                    tracing::warn!(%error, "no answer about a call that waits");
                    let [.., last] = PAUSES;
                    tokio::time::sleep(*pauses.next().unwrap_or(&last)).await;
                }
            }
        }
    }

    /// An earlier process may have taken what humans granted, and ended before it sent anything: that is said, and nothing is sent.
    async fn lapsed(&mut self, pending: &Pending) -> bool {
        let settled = self.governor.authority.not_begun(pending.instance, not_executed("interrupted")).await;
        if !matches!(settled, Ok(true)) {
            return false;
        }
        let why = "it was approved, and the interceptor ended before it was sent; call it again to ask again"
            .to_owned();
        self.over(Outcome::NotDone { code: "interrupted".to_owned(), why });
        true
    }

    /// Sends the call as approved, once.
    async fn begin(&mut self, permit: Permit, live: Box<call::Permit>, waited: bool) {
        let arguments = match self.approved(&permit.action) {
            Ok(arguments) => arguments,
            Err(why) => return self.not_done(permit, "action_differs", why).await,
        };
        let (port, manner) = match self.way(waited).await {
            Ok(way) => way,
            Err((code, why)) => return self.not_done(permit, code, why).await,
        };
        let arguments = match self.restored(arguments) {
            Ok(arguments) => arguments,
            Err(why) => return self.not_done(permit, "withheld_gone", why).await,
        };
        self.call.stage = Stage::Begun { permit: permit.clone() };
        if let Err(error) = self.live.keep(&self.call.stage) {
            return self.not_done(permit, "spool_unusable", error.to_string()).await;
        }
        self.live.tell(Progress::Begun);
        match self.send(port.as_ref(), &arguments, manner).await {
            Ok(answer) => {
                let outcome = done(&answer);
                self.call.stage = Stage::Answered { permit: permit.clone(), outcome: outcome.clone() };
                if let Err(error) = self.live.keep(&self.call.stage) {
                    tracing::warn!(%error, "a result cannot be kept");
                }
                self.live.tell(Progress::Over(outcome.clone()));
                self.report(&permit, outcome).await;
            }
            Err(Lost::NotSent(why)) => self.not_done(permit, "server_gone", why).await,
            // Nothing is reported: nobody keeps the call any more, and the server seals that its outcome is UNKNOWN.
            Err(Lost::Unanswered(why)) => self.over(Outcome::Unknown { why }),
        }
        drop(live);
    }

    /// Returns the way to the server: that of the client, if it is still there. After a wait the schema must be the one that was approved.
    async fn way(&self, waited: bool) -> Result<(Arc<dyn Port>, Sends), (&'static str, String)> {
        if let (Some((_, port)), false) = (&self.client, waited) {
            return Ok((port.clone(), Sends::AsAsked));
        }
        let mut found = None;
        if let Some((_, port)) = &self.client {
            // An error means that the client has gone, and its server with it.
            found = self.listed(port).await.ok().map(|tool| (port.clone(), tool));
        }
        // One of several servers may have ended, which is started anew for this call.
        let found = found.filter(|(_, tool)| tool.is_some() || self.call.schema_digest.is_none());
        let (port, tool) = match found {
            Some(found) => found,
            None => self.opened().await.map_err(|lost| ("server_gone", lost.to_string()))?,
        };
        let sends = Sends::after_a_wait(tool.as_ref(), self.live.task().is_some());
        if tool.map(|tool| tool.digest) == self.call.schema_digest {
            Ok((port, sends))
        } else {
            let why =
                "the tool takes other arguments than those that were approved; call it again to ask again";
            Err(("schema_changed", why.to_owned()))
        }
    }

    async fn opened(&self) -> Result<(Arc<dyn Port>, Option<Tool>), Lost> {
        let stateless = is_stateless(self.meta().as_deref());
        let port = self.governor.opens.open(self.governor.clone(), stateless).await?;
        let tool = self.listed(&port).await?;
        Ok((port, tool))
    }

    /// Returns the tool as the server lists it now.
    async fn listed(&self, port: &Arc<dyn Port>) -> Result<Option<Tool>, Lost> {
        port.catalogue().changed();
        port.catalogue().tool(&self.call.tool, port.as_ref(), self.meta().as_deref()).await
    }

    async fn not_done(&mut self, permit: Permit, code: &str, why: String) {
        let outcome = Outcome::NotDone { code: code.to_owned(), why };
        self.call.stage = Stage::Answered { permit: permit.clone(), outcome: outcome.clone() };
        if let Err(error) = self.live.keep(&self.call.stage) {
            tracing::warn!(%error, "what came of a call cannot be kept");
        }
        self.live.tell(Progress::Over(outcome.clone()));
        self.report(&permit, outcome).await;
    }

    /// Reports until it is told; the client has its answer meanwhile.
    async fn report(&mut self, permit: &Permit, outcome: Outcome) {
        // Whoever waits for the answer is first.
        tokio::task::yield_now().await;
        // A server may repeat what it was called with.
        let (status, mut result) = reported(&outcome, !self.call.withheld);
        let mut short = self.call.withheld;
        let mut pauses = PAUSES.iter();
        loop {
            match self.governor.authority.settle(permit, status, result.clone()).await {
                Ok(()) => break,
                Err(error) if !error.is_refusal() => {
                    tracing::warn!(%error, "an outcome cannot be reported yet");
                    let [.., last] = PAUSES;
                    tokio::time::sleep(*pauses.next().unwrap_or(&last)).await;
                }
                // What looks like a secret is not taken, and what came of the call is to be known all the same.
                Err(_) if !short => {
                    short = true;
                    result = reported(&outcome, false).1;
                }
                Err(error) => {
                    tracing::error!(%error, "an outcome is not taken");
                    break;
                }
            }
        }
        self.keep_settled(outcome);
    }

    fn over(&self, outcome: Outcome) {
        self.keep_settled(outcome.clone());
        self.live.tell(Progress::Over(outcome));
    }

    /// Returns the arguments with what is withheld of them.
    fn restored(&self, arguments: Value) -> Result<Value, String> {
        if !self.call.withheld {
            return Ok(arguments);
        }
        let found = self.governor.spool.withheld(&self.call.key);
        let withheld =
            found.map_err(|error| format!("what is withheld of the call cannot be read: {error}"))?;
        withheld.restored(arguments).map_err(|error| error.to_string())
    }

    fn keep_settled(&self, outcome: Outcome) {
        if self.call.withheld
            && let Err(error) = self.governor.spool.erase_withheld(&self.call.key)
        {
            tracing::error!(%error, "what was withheld of a call cannot be erased");
        }
        if let Err(error) = self.live.keep(&Stage::Settled { outcome }) {
            tracing::warn!(%error, "what came of a call cannot be kept");
        }
    }

    pub(super) fn meta(&self) -> Option<String> {
        self.call.rest.iter().find(|(name, _)| name == "_meta").map(|(_, raw)| raw.clone())
    }

    /// Returns the canonical action of the call.
    fn action(&self) -> Result<Action, String> {
        let arguments = json::parse(self.call.arguments.as_bytes(), &Profile::DOCUMENT);
        let arguments = arguments.map_err(|error| error.to_string())?;
        let parameters = Value::Object(parameters(&self.governor.server, &self.call, arguments));
        let (server, tool) = self.governor.server.split(&self.call.tool);
        Ok(Action {
            name: ACTION.parse()?,
            target: format!("{server}/{tool}"),
            parameters: Document::from_value(&parameters).map_err(|error| error.to_string())?,
        })
    }

    /// Returns the arguments that were approved, of an action that is this call's in everything else.
    fn approved(&self, action: &Action) -> Result<Value, String> {
        let asked = self.action()?;
        let approved = action.parameters.to_value().map_err(|error| error.to_string())?;
        let arguments = approved.get("arguments").cloned().unwrap_or_else(|| Value::Object(Object::new()));
        let same = parameters(&self.governor.server, &self.call, arguments.clone());
        let named = action.name == asked.name && action.target == asked.target;
        if named && text_of(&Value::Object(same)) == text_of(&approved) && arguments.as_object().is_some() {
            Ok(arguments)
        } else {
            Err("what was approved is another tool, server or schema than this call's; only its arguments can be changed".to_owned())
        }
    }
}
