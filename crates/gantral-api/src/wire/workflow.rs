//! Workflows: registered, versioned, immutable templates.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Proposal, WorkflowDefinition, text};

/// A workflow version, as artifacts name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowRef {
    /// The workflow.
    pub id: text::WorkflowId,
    /// The version label of its owner.
    pub version: text::Name,
    /// `workflow_version_id`: the digest of the definition.
    pub digest: text::Digest,
    /// How much is at stake.
    pub materiality: text::Materiality,
}

/// Body of `PUT /v1/workflows/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyWorkflow {
    /// The definition. Its `id` must be the one of the path.
    #[schema(value_type = WorkflowDefinition)]
    pub definition: Document,
    /// The policy that is put in force for it; when absent, what is in force for it stays, also that of its team or tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version_id: Option<text::PolicyVersionId>,
}

/// Answer of `PUT /v1/workflows/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppliedWorkflow {
    /// The digest of the definition.
    pub workflow_version_id: text::Digest,
    /// The version label of its owner.
    pub version: text::Name,
    /// The policy that is in force for it now; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version_id: Option<text::PolicyVersionId>,
    /// The policy that waits for a second person, with status 202; the definition itself is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}

/// One workflow in a list, in its active version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowSummary {
    /// The active version.
    pub workflow: WorkflowRef,
    /// The owning team.
    pub team: text::TeamId,
    /// The active policy; absent when there is none, and then nothing may be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version_id: Option<text::PolicyVersionId>,
}

/// Answer of `GET /v1/workflows/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowView {
    /// The active version.
    pub workflow: WorkflowRef,
    /// The owning team.
    pub team: text::TeamId,
    /// The active policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version_id: Option<text::PolicyVersionId>,
    /// The definition, in its canonical form.
    #[schema(value_type = WorkflowDefinition)]
    pub definition: Document,
}

/// One page of workflows, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowPage {
    /// The workflows.
    pub items: Vec<WorkflowSummary>,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Query of a list that is not filtered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// The cursor of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most items, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Query of a list of which some items are the caller's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MineQuery {
    /// Only those of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most items of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
