//! Asking for one call, waiting for humans, and saying what came of it, in forms that can be kept on disk. Holds no secret.

use std::time::Duration;

use gantral_api::wire::{Action, CallDenied, CallWaiting, Document, SettleCall, ShowInstance, text};
use gantral_core::state::OutcomeStatus;
use gantral_edge::call::{self, CallError, Caller, Wanted};
use serde::{Deserialize, Serialize};

/// Who asks, in the session of this interceptor.
#[derive(Debug, Clone)]
pub struct Authority(Caller);

/// The answer.
#[derive(Debug)]
pub enum Answer {
    /// It may be done, once, now: the grant is used up. The call is kept as long as the second is held.
    Go(Permit, Box<call::Permit>),
    /// Humans decide.
    Waiting(Pending),
    /// No.
    Denied(Denial),
}

/// A call that waits for humans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The instance.
    pub instance: text::InstanceId,
    /// The gate.
    pub gate: text::GateId,
    /// Until when.
    pub expires_at: text::Time,
    /// Where a human decides.
    pub url: String,
    /// Who is asked.
    pub roles: Vec<text::Role>,
    /// Why, in the policy author's words.
    pub reasons: Vec<String>,
}

/// What may be done, and under which grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// The instance.
    pub instance: text::InstanceId,
    /// The grant; none where policy is only observed.
    pub grant: Option<text::GrantId>,
    /// The action as approved.
    pub action: Action,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// A stable word.
    pub code: String,
    /// Why, in the words of policy.
    pub reasons: Vec<String>,
}

impl Authority {
    /// Asks by this caller.
    pub const fn new(caller: Caller) -> Self {
        Self(caller)
    }

    /// Asks.
    ///
    /// # Errors
    /// Without an answer nothing is authorised: never forward on an error.
    pub async fn ask(&self, action: Action, attributes: Option<Document>) -> Result<Answer, CallError> {
        let wanted = Wanted { attributes, ..Wanted::of(action) };
        self.0.ask(wanted).await.map(answer)
    }

    /// Waits for humans, so long at most, and goes on with what they decided.
    ///
    /// # Errors
    /// May be repeated; on an error nothing may be done.
    pub async fn wait(&self, pending: &Pending, up_to: Duration) -> Result<Answer, CallError> {
        self.0.take(*pending.instance, up_to).await.map(answer)
    }

    /// Takes a call back that waits.
    ///
    /// # Errors
    /// May be repeated. One that was decided meanwhile is not taken back.
    pub async fn withdraw(&self, pending: &Pending) -> Result<(), CallError> {
        self.0.withdraw(*pending.instance).await.map(|_| ())
    }

    /// Says what came of it, and that all is done.
    ///
    /// # Errors
    /// May be repeated until it succeeds: the report is sealed once.
    pub async fn settle(
        &self,
        permit: &Permit,
        status: OutcomeStatus,
        result: Option<Document>,
    ) -> Result<(), CallError> {
        let report = SettleCall::of(permit.grant, status, result);
        self.0.settle(*permit.instance, &report).await.map(|_| ())
    }

    /// Settles a call that an earlier process of ours was allowed to begin and, as is known here, did not: it failed. Tells whether there was one.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub async fn not_begun(
        &self,
        instance: text::InstanceId,
        result: Option<Document>,
    ) -> Result<bool, CallError> {
        let shown = self.0.client().instance(instance, &ShowInstance { wait: None, after: None }).await?;
        let succeeded = OutcomeStatus::Succeeded;
        let Some(owed) =
            shown.outcomes.last().filter(|outcome| outcome.status.is_none_or(|status| *status != succeeded))
        else {
            return Ok(false);
        };
        let report = SettleCall::of(Some(owed.grant_id), OutcomeStatus::Failed, result);
        self.0.settle(*instance, &report).await.map(|_| true)
    }
}

fn answer(answer: call::Answer) -> Answer {
    match answer {
        call::Answer::Go(live) => {
            let permit = Permit {
                instance: live.instance().into(),
                grant: live.grant().map(Into::into),
                action: live.action().clone(),
            };
            Answer::Go(permit, live)
        }
        call::Answer::Waits(waiting) => {
            let CallWaiting { instance_id, gate_id, expires_at, url, roles, reasons, .. } = *waiting;
            Answer::Waiting(Pending { instance: instance_id, gate: gate_id, expires_at, url, roles, reasons })
        }
        call::Answer::Denied(denied) => {
            let CallDenied { cause, reasons, .. } = *denied;
            Answer::Denied(Denial { code: cause.to_string(), reasons })
        }
    }
}

/// Returns the stable word of an error.
pub(crate) fn code(error: &CallError) -> &'static str {
    match error {
        CallError::Client(error) => error.code().map_or("unreachable", |code| code.as_str()),
        CallError::Running { .. } => "call_key_taken",
        CallError::Unbelieved(_) => "answer_unbelieved",
        CallError::Journal(_) => "journal_unusable",
    }
}
