//! Governed calls: asked for and carried out by the program that an action passes through.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::authority::{rest, tagged};
use super::{Action, Document, EvidenceItem, ObservedVerdict, Receipt, text};

/// Body of `POST /v1/calls`: one action of an agent's session, named before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskCall {
    /// The workflow, one without a command.
    pub workflow: text::WorkflowId,
    /// Its version; the active one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<text::Name>,
    /// The session of the agent, under which its calls are found together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<text::SessionId>,
    /// What is to be done.
    pub action: Action,
    /// The step of the work, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<text::Name>,
    /// What made the agent ask, in a word of the policy contract (`PR`, `INCIDENT`, `PAYMENT`, `OTHER`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<text::Name>,
    /// What the action is expected to cost: an exact number in the unit that the policy counts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, format = "decimal")]
    pub cost_estimate: Option<Document>,
    /// Further facts for the policy, as claimed by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Document>,
}

/// Answer of `POST /v1/calls` and of `POST /v1/calls/{id}/take`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "answer", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CallAnswer {
    /// The call may be carried out (status 200).
    Allow(CallAllowed),
    /// Humans decide, or have decided and it is to be taken; see `status` (status 202).
    RequireHuman(CallWaiting),
    /// The call is refused, by policy or by humans, and has ended (status 200).
    Deny(CallDenied),
}

/// A call that may be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallAllowed {
    /// The call.
    pub instance_id: text::InstanceId,
    /// Whether the answer is enforced; false under SHADOW, where every call is answered so.
    pub enforced: bool,
    /// The grant that was used up; absent under SHADOW, where none ever exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<text::GrantId>,
    /// The action as authorised, with defaults filled in and as humans changed it: carry out this one.
    pub action: Action,
    /// The salt that opens the commitment to this action in the artifacts.
    pub action_salt: text::Salt,
    /// Until when it must start. Absent where the grant is not used up yet, because it must be logged first: take the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act_by: Option<text::Time>,
    /// What would have been answered; only under SHADOW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedVerdict>,
    /// Why, in the policy author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// The artifacts of the call before these, from its beginning, as envelopes: with `artifacts` they are the whole chain, and whoever
    /// holds the pinned key verifies it before acting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub earlier: Vec<Document>,
    /// The delegations of the keys that signed, as envelopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub delegations: Vec<Document>,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// A call that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallWaiting {
    /// The call.
    pub instance_id: text::InstanceId,
    /// WAITING_FOR_HUMAN; or APPROVED or OVERRIDDEN, of a call that was joined and is to be taken.
    pub status: text::State,
    /// The gate.
    pub gate_id: text::GateId,
    /// When the gate escalates or closes.
    pub expires_at: text::Time,
    /// Where a human decides.
    pub url: String,
    /// Who may decide now.
    pub roles: Vec<text::Role>,
    /// Why, in the policy author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// Whether the same call was open already and is joined.
    pub joined: bool,
    /// What the write sealed; nothing where a call was joined or still waits.
    pub artifacts: Vec<Receipt>,
}

/// A call that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallDenied {
    /// The call.
    pub instance_id: text::InstanceId,
    /// Why it ended: `denied` by policy, `rejected` by humans, `timeout`, `withdrawn`, `cancelled`, `expired`.
    pub cause: text::Cause,
    /// Policy's reasons, in its author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// Whether humans refused the same call a short while ago, so that nobody was asked again.
    pub remembered: bool,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// Body of `POST /v1/calls/{id}/settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleCall {
    /// The grant that was used up; absent for a call that was only observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<text::GrantId>,
    /// SUCCEEDED or FAILED; only the engine says UNKNOWN.
    pub status: text::OutcomeStatus,
    /// What the action returned. Committed to, and kept erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Document>,
    /// What it cost, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// References to captured evidence, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub evidence: Vec<EvidenceItem>,
}

impl SettleCall {
    /// Returns the report of what came of a call, without cost and captured evidence.
    pub fn of(
        grant_id: Option<text::GrantId>,
        status: gantral_core::state::OutcomeStatus,
        result: Option<Document>,
    ) -> Self {
        Self { grant_id, status: status.into(), result, cost: None, evidence: Vec::new() }
    }
}

/// Answer of `POST /v1/calls/{id}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallKept {
    /// Until when the call counts as being carried out, without another sign of life.
    pub lease_expires_at: text::Time,
}

impl<'de> Deserialize<'de> for CallAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use gantral_core::policy::Verdict;
        let (tag, raw) = tagged(deserializer)?;
        match tag.into_inner() {
            Verdict::Allow => rest(&raw).map(Self::Allow),
            Verdict::RequireHuman => rest(&raw).map(Self::RequireHuman),
            Verdict::Deny => rest(&raw).map(Self::Deny),
        }
    }
}
