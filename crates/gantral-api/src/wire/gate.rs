//! Gates: what waits for humans, and what humans say.

use gantral_core::json::Value;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Document, Receipt, RequesterView, WorkflowRef, text};

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GateState {
    /// Humans may decide.
    Open,
    /// Authorised as asked.
    Approved,
    /// Authorised as changed.
    Overridden,
    /// Refused by a human, or closed by timeout, withdrawal or cancellation; see `cause`.
    Rejected,
}

/// One vote, or rejection, that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoteView {
    /// The human.
    pub person: text::ActorId,
    /// The role under which the vote was given.
    pub role: text::Role,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<text::Time>,
}

/// One stage of a gate: all of its groups must be filled, and every stage before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateStage {
    /// The groups, all of them needed; one human fills one seat of the whole gate.
    pub all_of: Vec<GateGroup>,
}

/// So many distinct humans who hold one of these roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateGroup {
    /// Any of these roles counts.
    pub any_of: Vec<text::Role>,
    /// How many humans.
    pub count: u32,
}

/// One gate with everything that an approver must see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateView {
    /// The gate.
    pub gate_id: text::GateId,
    /// Its version; a decision names the version that was seen.
    pub version: u32,
    /// The instance that asks.
    pub instance_id: text::InstanceId,
    /// Its workflow version.
    pub workflow: WorkflowRef,
    /// The owning team.
    pub team: text::TeamId,
    /// The action that is asked for: exactly what would run.
    pub action: Action,
    /// The commitment to that action which the artifacts carry.
    pub asked_action_commitment: text::Digest,
    /// The snapshot: the exact document that policy evaluated.
    pub context: Document,
    /// The commitment to the snapshot which the artifacts carry.
    pub context_commitment: text::Digest,
    /// Who may decide now.
    pub roles: Vec<text::Role>,
    /// How many distinct humans must agree, over all stages.
    pub required: u32,
    /// Who must agree, stage after stage.
    pub stages: Vec<GateStage>,
    /// The stage that is open, counted from 0; absent when the gate is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_stage: Option<u32>,
    /// The votes that count so far.
    pub votes: Vec<VoteView>,
    /// How many distinct humans must reject before that refuses; with 1 any rejection is final.
    pub required_rejections: u32,
    /// The rejections that were counted so far. They stand for as long as the gate is open.
    pub rejections: Vec<VoteView>,
    /// When the gate escalates or closes.
    pub deadline: text::Time,
    /// The instant that no extension passes.
    pub latest_deadline: text::Time,
    /// Why a human is asked, in the policy author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// The policy version that asked.
    pub policy_version_id: text::PolicyVersionId,
    /// Who asked.
    pub requested_by: text::ActorId,
    /// On whose behalf, from the outermost on.
    pub requester: Vec<RequesterView>,
    /// When.
    pub opened_at: text::Time,
    /// How many characters a justification has at least.
    pub justification_min: u32,
    /// The least evidence of a decision: with `webauthn` an approver's own authenticator signs it.
    pub required_evidence: text::HumanEvidence,
    /// Who may decide alone in an emergency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub break_glass_roles: Vec<text::Role>,
    /// How many characters the justification of such a decision has at least.
    pub break_glass_justification_min: u32,
    /// Where it stands.
    pub state: GateState,
    /// Why it was refused; present when REJECTED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<text::Cause>,
    /// Digest of what an approver is shown; sealed with each vote.
    pub display_digest: text::Digest,
}

/// Something that whoever asked says: nobody checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Of what: `step`, `trigger`, or the name of an attribute.
    pub name: String,
    /// What: a text as it is, anything else as JSON.
    pub words: String,
}

impl GateView {
    /// Returns what whoever asked says of it beside the action, which policy was told too: step, trigger, and attributes. Untrusted text.
    /// A step that is called as the action, and the trigger `OTHER`, are what nobody said.
    pub fn claims(&self) -> Vec<Assertion> {
        let Ok(told) = self.context.to_value() else { return Vec::new() };
        let said = |name: &str, value: Option<&Value>| {
            let words = match value? {
                Value::String(text) => text.clone(),
                other => String::from_utf8_lossy(&other.to_canonical()).into_owned(),
            };
            Some(Assertion { name: name.to_owned(), words })
        };
        let context = told.get("context");
        let step = said("step", told.get("execution").and_then(|execution| execution.get("step")));
        let step = step.filter(|step| step.words != self.action.name.as_str());
        let trigger = said("trigger", context.and_then(|context| context.get("trigger")));
        let trigger = trigger.filter(|trigger| trigger.words != "OTHER");
        let attributes = match context.and_then(|context| context.get("attributes")) {
            Some(Value::Object(members)) => {
                members.iter().filter_map(|(name, value)| said(name, Some(value))).collect()
            }
            Some(_) | None => Vec::new(),
        };
        step.into_iter().chain(trigger).chain(attributes).collect()
    }
}

/// One gate in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateSummary {
    /// The gate.
    pub gate_id: text::GateId,
    /// Its version.
    pub version: u32,
    /// The instance that asks.
    pub instance_id: text::InstanceId,
    /// Its workflow version.
    pub workflow: WorkflowRef,
    /// The owning team.
    pub team: text::TeamId,
    /// The name of the action.
    pub action_name: text::Name,
    /// What it acts on.
    pub target: String,
    /// Who may decide now.
    pub roles: Vec<text::Role>,
    /// How many distinct humans must agree.
    pub required: u32,
    /// How many votes count so far.
    pub votes: u32,
    /// How many distinct humans must reject before that refuses.
    pub required_rejections: u32,
    /// How many have rejected so far.
    pub rejections: u32,
    /// Who asked.
    pub requested_by: text::ActorId,
    /// When.
    pub opened_at: text::Time,
    /// When it escalates or closes.
    pub deadline: text::Time,
    /// Where it stands.
    pub state: GateState,
}

/// One page of gates, earliest deadline first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatePage {
    /// The gates.
    pub items: Vec<GateSummary>,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Query of `GET /v1/gates`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateList {
    /// Only gates that stand so; `open` is the one value of this version, and the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<GateFilter>,
    /// Only gates at which the caller may decide now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
    /// The cursor of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most items, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which gates a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateFilter {
    /// Gates at which humans may decide.
    Open,
}

/// Body of `POST /v1/gates/{gate_id}/decisions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// What is said.
    pub decision: text::DecisionKind,
    /// The version of the gate that was seen.
    pub gate_version: u32,
    /// The role under which the human acts; needed only when several of theirs are eligible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<text::Role>,
    /// OVERRIDE: the whole action as changed. Refused with any other decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Why.
    #[serde(default)]
    pub justification: text::Prose,
    /// The delegation by which the human acts for somebody else; `role` is then one that it lends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<text::Digest>,
    /// Decides alone, in an emergency, under one of the gate's `break_glass_roles`; marked for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// What the human's own authenticator said of the statement of this very decision (`POST /v1/gates/{gate_id}/statement`): an assertion,
    /// as the specification of human decisions has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub assertion: Option<Document>,
}

/// Answer of `POST /v1/gates/{gate_id}/decisions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decided {
    /// The state of the instance after the vote.
    pub state: text::State,
    /// The grant, when this vote decided and authorised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<text::GrantId>,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// Body of `POST /v1/gates/{gate_id}/extend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    /// The version of the gate that was seen.
    pub gate_version: u32,
    /// The new deadline: later than the present one, not past the latest.
    pub deadline: text::Time,
}

/// Answer of `POST /v1/gates/{gate_id}/extend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Extended {
    /// The new version of the gate.
    pub gate_version: u32,
    /// The new deadline.
    pub deadline: text::Time,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}
