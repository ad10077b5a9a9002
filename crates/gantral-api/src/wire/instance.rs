//! Instances: one governed execution of a workflow version each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Document, GateView, GrantView, OutcomeView, Receipt, WorkflowRef, text};

/// Body of `POST /v1/instances`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInstance {
    /// The workflow.
    pub workflow: text::WorkflowId,
    /// Its version; the active one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<text::Name>,
    /// The session that this instance belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<text::SessionId>,
    /// What set it off, in a word of the policy contract (`PR`, `INCIDENT`, `PAYMENT`, `OTHER`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<text::Name>,
    /// What the process is to work on; handed to the first attempt in its context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Document>,
    /// The governed call that this instance is for: while it is open, a retry of the same call by the same caller in the
    /// same session is answered `call_key_taken` with the instance to join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Action>,
    /// The instance on whose behalf a sub-agent works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentRef>,
}

/// The artifact of a parent instance that a sub-agent's instance rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParentRef {
    /// The parent instance, of the same tenant.
    pub instance_id: text::InstanceId,
    /// The hash of the artifact.
    pub artifact_hash: text::Digest,
}

/// Answer of `POST /v1/instances`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// The new instance.
    pub instance: InstanceView,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// The last artifact of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Head {
    /// Its place, from 0.
    pub sequence: u64,
    /// Its hash.
    pub hash: text::Digest,
}

/// One link of the requester chain: on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequesterView {
    /// The person or client.
    pub id: text::ActorId,
    /// Its kind.
    pub kind: text::ActorKind,
    /// The human who owns a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<text::ActorId>,
    /// A name for people, from the identity provider. Not evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

/// One instance as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// The instance.
    pub instance_id: text::InstanceId,
    /// The workflow version that it executes.
    pub workflow: WorkflowRef,
    /// The owning team.
    pub team: text::TeamId,
    /// Where its authority stands.
    pub state: text::State,
    /// The weakest mode so far.
    pub mode: text::Mode,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// When it was created.
    pub created_at: text::Time,
    /// When its last artifact was sealed.
    pub updated_at: text::Time,
    /// When it ends by itself.
    pub expires_at: text::Time,
    /// The session that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<text::SessionId>,
    /// On whose behalf, outermost first.
    pub requester: Vec<RequesterView>,
    /// The gate that is open, or was decided last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateView>,
    /// The grant that waits to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_grant: Option<GrantView>,
    /// What became of consumed grants, in the order of consumption.
    pub outcomes: Vec<OutcomeView>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<text::Cause>,
    /// The last artifact.
    pub head: Head,
}

/// One instance in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceSummary {
    /// The instance.
    pub instance_id: text::InstanceId,
    /// The workflow version that it executes.
    pub workflow: WorkflowRef,
    /// The owning team.
    pub team: text::TeamId,
    /// Where its authority stands.
    pub state: text::State,
    /// The weakest mode so far.
    pub mode: text::Mode,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// When it was created.
    pub created_at: text::Time,
    /// When its last artifact was sealed.
    pub updated_at: text::Time,
    /// The session that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<text::SessionId>,
    /// The gate that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_id: Option<text::GateId>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<text::Cause>,
}

/// One page of instances, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstancePage {
    /// The instances.
    pub items: Vec<InstanceSummary>,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Query of `GET /v1/instances`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceList {
    /// Only instances in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<text::State>,
    /// Only instances of this team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<text::TeamId>,
    /// Only instances of this workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<text::WorkflowId>,
    /// Only instances of this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<text::SessionId>,
    /// The cursor of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most items, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Query of `GET /v1/instances/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowInstance {
    /// Holds the answer until the head is past `after`, at most this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<text::Duration>,
    /// The sequence of the last artifact that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// Body of `POST /v1/instances/{id}/grants/{grant_id}/reconcile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// What was found out; never UNKNOWN.
    pub status: text::OutcomeStatus,
    /// How the instance goes on.
    pub next: text::NextStep,
    /// How it was found out.
    pub justification: text::Prose,
}
