//! Governed calls: what stands in the path of an action asks, carries it out once it may, and says what came of it.
//!
//! Nothing is believed that a pinned key did not sign: the answer that lets an action start holds the whole chain, and it is verified here
//! before anybody acts. While a [`Permit`] lives, the call is kept; when its holder vanishes, the server seals that nobody knows what came
//! of it. Source: `spec/calls.md`.

mod verify;

use std::sync::Arc;
use std::time::Duration;

use gantral_api::client::{Client, ClientError};
use gantral_api::problem::{Code, Fault};
use gantral_api::wire::{
    Action, AskCall, CallAllowed, CallAnswer, CallDenied, CallWaiting, Document, EvidenceItem,
    IdempotencyKey, Moved, SettleCall, text,
};
use gantral_core::digest::Hasher;
use gantral_core::ids::{GrantId, InstanceId, SessionId, WorkflowId};
use gantral_core::state::{OutcomeStatus, State};
use gantral_core::time::DurationMs;
use tokio::task::AbortHandle;

pub use self::verify::{Unbelieved, verify};
use crate::journal::{Journal, JournalError};
use crate::runner::Pinned;

/// How often a call that is carried out shows a sign of life: three times in a lease.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// The longest that one request waits for humans; the server's own limit.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// Why a call may not be carried out, or what came of it could not be said.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server refused, or did not answer. Nothing may be done; whether to repeat, its code says.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The same call is being carried out at this moment, or nobody knows what came of it. It may be asked for again later.
    #[error("the same call is being carried out, or nobody knows yet what came of it")]
    Running {
        /// The call, if the server named it.
        instance: Option<InstanceId>,
    },
    /// The answer is not what pinned keys signed. The server, or somebody between, is at fault.
    #[error("the answer is not believed: {0}")]
    Unbelieved(#[from] Unbelieved),
    /// The receipts could not be kept. Nothing may be done on their ground.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl CallError {
    /// Tells whether it was refused, and would be again: repeating it is of no use.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Client(error @ ClientError::Problem(_)) => error.fault() == Fault::Caller,
            Self::Client(_) | Self::Journal(_) => false,
            Self::Running { .. } | Self::Unbelieved(_) => true,
        }
    }
}

/// Who asks, of whom, and for what workflow.
#[derive(Debug, Clone)]
pub struct CallerConfig {
    /// The workflow that the calls belong to.
    pub workflow: WorkflowId,
    /// The session of the agent.
    pub session: Option<SessionId>,
    /// Keys and tenant, brought here out of band.
    pub pinned: Pinned,
    /// Where receipts are kept before anybody acts on them, if they are.
    pub journal: Option<Journal>,
}

/// One call, before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What is to be done.
    pub action: Action,
    /// The step, in the agent's words.
    pub step: Option<text::Name>,
    /// What made the agent ask, in a word of the policy contract.
    pub trigger: Option<text::Name>,
    /// What it is expected to cost: an exact number.
    pub cost_estimate: Option<Document>,
    /// Further facts for policy, as claimed.
    pub attributes: Option<Document>,
}

impl Wanted {
    /// Returns an action with nothing said beside it.
    pub const fn of(action: Action) -> Self {
        Self { action, step: None, trigger: None, cost_estimate: None, attributes: None }
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Answer {
    /// It may be carried out, now and once.
    Go(Box<Permit>),
    /// Humans have to decide.
    Waits(Box<CallWaiting>),
    /// It is refused, for good.
    Denied(Box<CallDenied>),
}

/// Makes governed calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client,
    config: Arc<CallerConfig>,
}

impl Caller {
    /// Makes a caller; nothing is sent.
    pub fn new(client: Client, config: CallerConfig) -> Self {
        Self { client, config: Arc::new(config) }
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for a call, before it is done. The same call joins while it is open.
    ///
    /// # Errors
    /// [`CallError`]; without an answer nothing may be done.
    pub async fn ask(&self, wanted: Wanted) -> Result<Answer, CallError> {
        let name = wanted.action.name.clone();
        let target = wanted.action.target.clone();
        let ask = AskCall {
            workflow: self.config.workflow.clone().into(),
            version: None,
            session_id: self.config.session.clone().map(Into::into),
            action: wanted.action,
            step: wanted.step,
            trigger: wanted.trigger,
            cost_estimate: wanted.cost_estimate,
            attributes: wanted.attributes,
        };
        let answer = match self.client.ask_call(&ask).await {
            Ok(answer) => answer,
            Err(error) => return Err(joined(error)),
        };
        match answer {
            CallAnswer::RequireHuman(waiting) if is_decided(&waiting) => {
                self.take(*waiting.instance_id, Duration::ZERO).await
            }
            // It is in force once the log covers it.
            CallAnswer::Allow(allowed) if allowed.enforced && allowed.act_by.is_none() => {
                self.take(*allowed.instance_id, Duration::ZERO).await
            }
            CallAnswer::Allow(allowed) if allowed.action.name != name || allowed.action.target != target => {
                Err(Unbelieved::Action.into())
            }
            answer => self.answered(answer),
        }
    }

    /// Begins a call that humans granted, waiting up to `wait` for them; at most 60 s for each request.
    ///
    /// # Errors
    /// [`CallError`]; without an answer nothing may be done. Whoever takes a call that somebody else of the same client is carrying out is
    /// refused.
    pub async fn take(&self, id: InstanceId, wait: Duration) -> Result<Answer, CallError> {
        let wait = u64::try_from(wait.min(HOLD_MAX).as_millis()).unwrap_or_default();
        let wait = (wait > 0).then(|| DurationMs::new(wait).into());
        self.answered(self.client.take_call(id.into(), wait).await?)
    }

    /// Takes a call back that waits for humans.
    ///
    /// # Errors
    /// [`CallError`]; it may be repeated.
    pub async fn withdraw(&self, id: InstanceId) -> Result<Moved, CallError> {
        Ok(self.client.withdraw(id.into()).await?)
    }

    /// Says what came of a call, also after a restart; ends it.
    ///
    /// # Errors
    /// [`CallError`]; it may be repeated until it succeeds: the same report is sealed once.
    pub async fn settle(&self, id: InstanceId, report: &SettleCall) -> Result<Moved, CallError> {
        // The same report under the same key: it is sealed once, however often it is sent, and from whichever process.
        let unsendable = |why: String| ClientError::Unsendable { why };
        let body = serde_json::to_vec(report).map_err(|error| unsendable(error.to_string()))?;
        let digest = Hasher::new("gantral/call/v1").bytes(id.as_bytes()).bytes(&body).finish();
        let key = IdempotencyKey::parse(&digest.to_hex()).map_err(|error| unsendable(error.to_string()))?;
        let moved = self.client.with_key(key).settle_call(id.into(), report).await?;
        self.keep(|journal| journal.append(&moved.artifacts))?;
        Ok(moved)
    }

    fn answered(&self, answer: CallAnswer) -> Result<Answer, CallError> {
        match answer {
            CallAnswer::Allow(allowed) => {
                verify(&allowed, &self.config.pinned, &self.config.workflow)?;
                self.keep(|journal| journal.append(&allowed.artifacts))?;
                Ok(Answer::Go(Box::new(Permit::of(self.clone(), allowed))))
            }
            CallAnswer::RequireHuman(waiting) => {
                self.keep(|journal| journal.append(&waiting.artifacts))?;
                Ok(Answer::Waits(Box::new(waiting)))
            }
            CallAnswer::Deny(denied) => {
                self.keep(|journal| journal.append(&denied.artifacts))?;
                Ok(Answer::Denied(Box::new(denied)))
            }
        }
    }

    fn keep(&self, append: impl FnOnce(&Journal) -> Result<(), JournalError>) -> Result<(), JournalError> {
        self.config.journal.as_ref().map_or(Ok(()), append)
    }
}

/// The permission to carry one action out, now and once, with what was verified of it. Kept while it lives.
#[derive(Debug)]
pub struct Permit {
    caller: Caller,
    instance: InstanceId,
    grant: Option<GrantId>,
    action: Action,
    enforced: bool,
    keeper: AbortHandle,
}

impl Permit {
    fn of(caller: Caller, allowed: CallAllowed) -> Self {
        let instance = *allowed.instance_id;
        let client = caller.client.clone();
        // A lease that is lost takes nothing back that was begun: the outcome is reported late.
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP_EVERY).await;
                if let Err(error) = client.keep_call(instance.into()).await {
                    tracing::warn!(%instance, %error, "a call cannot be kept");
                }
            }
        });
        Self {
            caller,
            instance,
            grant: allowed.grant_id.map(text::Text::into_inner),
            action: allowed.action,
            enforced: allowed.enforced,
            keeper: keeper.abort_handle(),
        }
    }

    /// Returns the call.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Returns the grant that was used up; none for what is only observed. Use it as the idempotency key of whatever is called.
    pub fn grant(&self) -> Option<GrantId> {
        self.grant
    }

    /// Returns the action as authorised: defaults are filled in, and a human may have changed it. Carry out this one.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// Tells whether the action was held until it was authorised; false where policy is only observed.
    pub fn is_enforced(&self) -> bool {
        self.enforced
    }

    /// Says what came of it, and ends the call.
    ///
    /// # Errors
    /// As [`Caller::settle`].
    pub async fn settle(&self, status: OutcomeStatus, result: Option<Document>) -> Result<Moved, CallError> {
        self.settle_with(status, result, Vec::new()).await
    }

    /// As [`Self::settle`], and names what was captured: at most `EVIDENCE_ITEMS_MAX` pieces.
    ///
    /// # Errors
    /// As [`Caller::settle`].
    pub async fn settle_with(
        &self,
        status: OutcomeStatus,
        result: Option<Document>,
        evidence: Vec<EvidenceItem>,
    ) -> Result<Moved, CallError> {
        let report = SettleCall { evidence, ..SettleCall::of(self.grant.map(Into::into), status, result) };
        self.caller.settle(self.instance, &report).await
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn is_decided(waiting: &CallWaiting) -> bool {
    matches!(*waiting.status, State::Approved | State::Overridden)
}

/// Tells a call that somebody carries out from other refusals.
fn joined(error: ClientError) -> CallError {
    match error.problem() {
        Some(problem) if problem.code() == Code::CallKeyTaken => {
            let named = problem.member("instance_id").and_then(|id| id.as_str().map(InstanceId::parse));
            CallError::Running { instance: named.and_then(Result::ok) }
        }
        _ => error.into(),
    }
}
