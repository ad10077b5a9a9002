//! Shadow mode: where it is on, and what was observed under it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Scope, text};

/// Body of `POST /v1/modes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMode {
    /// For what.
    pub scope: Scope,
    /// For this action of a workflow alone, whatever is said of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<text::Name>,
    /// ENFORCE or SHADOW, from the next ask of every instance on.
    pub mode: text::Mode,
    /// You know that there are approvers, and that they hear of gates, where the server does not. Without it, ENFORCE is refused there (`approvers_unconfirmed`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub confirmed: bool,
    /// Why; kept beside the chain and erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<text::Prose>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The mode of one scope, or of one action of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModeInForce {
    /// Where it is in force.
    pub scope: Scope,
    /// For this action of the workflow alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<text::Name>,
    /// ENFORCE or SHADOW.
    pub mode: text::Mode,
}

/// Answer of `GET /v1/modes`: every scope, and every action of a workflow, for which a mode was set. Where none was, what policy says is enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModesInForce {
    /// The tenant's, then those of teams and workflows by name, each workflow before its actions.
    pub items: Vec<ModeInForce>,
}

/// Roles any of which would be asked, in the member `approvers` of the problem `approvers_unconfirmed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvers {
    /// Any of these counts.
    pub any_of: Vec<text::Role>,
    /// Whether a provider may give one of them, though the configuration does not name it; otherwise nobody can hold any.
    pub possible: bool,
}

/// Query of `GET /v1/shadow-report`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowReportQuery {
    /// Only asks that were made from this instant on, whenever their instances were created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<text::Time>,
    /// Only asks that were made before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<text::Time>,
    /// Only instances of this team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<text::TeamId>,
    /// Only instances of this workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<text::WorkflowId>,
    /// The cursor of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most instances, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One page of what was observed under SHADOW: asks that are alike, counted. Pages add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowReport {
    /// The rows.
    pub rows: Vec<ShadowRow>,
    /// How many instances have their newest ask of the span on this page: an instance counts on one page only.
    pub instances: u32,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks of one hour that would have been answered alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowRow {
    /// The beginning of the hour (UTC) in which it was asked.
    pub hour: text::Time,
    /// The workflow.
    pub workflow_id: text::WorkflowId,
    /// The action; absent when it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<text::Name>,
    /// What would have been enforced: ALLOW, REQUIRE_HUMAN or DENY.
    pub verdict: text::Verdict,
    /// How policy failed, when the verdict is what its failure was resolved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Who would have been asked; nobody unless the verdict is REQUIRE_HUMAN. Nobody there means that what policy answered was erased.
    pub roles: Vec<text::Role>,
    /// Why, in the policy author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// How many such asks there were.
    pub asks: u64,
}
