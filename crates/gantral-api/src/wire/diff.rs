//! Two policies over recorded asks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::text;

/// One of the two policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum DiffSide {
    /// One that is published.
    Published {
        /// Which.
        policy_version_id: text::PolicyVersionId,
    },
    /// One that need not be: it is evaluated and not kept.
    Archive {
        /// The bundle, a gzip-compressed tar archive in base64 (RFC 4648 §4).
        base64: String,
    },
}

/// Body of `POST /v1/policy-diffs`. Nothing is decided, paged or written by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskDiff {
    /// The one to compare with, usually the one in force.
    pub a: DiffSide,
    /// The one in question.
    pub b: DiffSide,
    /// Only asks that were made from this instant on, whenever their instances were created.
    pub from: text::Time,
    /// Only asks that were made before this instant; until now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<text::Time>,
    /// Only instances of this team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<text::TeamId>,
    /// Only instances of this workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<text::WorkflowId>,
}

/// Answer of `POST /v1/policy-diffs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDiff {
    /// The version of the one.
    pub a: text::PolicyVersionId,
    /// The version of the other.
    pub b: text::PolicyVersionId,
    /// From when the asks are that were looked at: later than asked for where it was `cut`.
    pub from: text::Time,
    /// Until when.
    pub to: text::Time,
    /// Whether it was cut off, after 100,000 asks or a minute. The newest asks come first.
    pub cut: bool,
    /// Of how many instances the asks are.
    pub instances: u64,
    /// How many recorded asks both were asked about.
    pub gates: u64,
    /// How many asks are left out because their input was erased, or does not follow the contract any more.
    pub left_out: u64,
    /// What becomes of the asks, by what both say; no ask is counted twice.
    pub transitions: Vec<Transition>,
    /// How often each failed.
    pub failures: Vec<DiffFailure>,
    /// Who would have been asked, by role.
    pub pages: Vec<DiffPages>,
}

/// Asks of which each policy says the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// What A makes of them: ALLOW, REQUIRE_HUMAN, DENY or FAILED, with the floors of the workflow.
    pub a: String,
    /// What B makes of them.
    pub b: String,
    /// How many.
    pub gates: u64,
    /// The newest, at most five.
    pub samples: Vec<DiffSample>,
}

/// One ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiffSample {
    /// The instance.
    pub instance_id: text::InstanceId,
    /// When it was asked.
    pub at: text::Time,
    /// The workflow.
    pub workflow_id: text::WorkflowId,
    /// The action, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What was enforced then, or would have been where it was only observed.
    pub recorded: text::Verdict,
    /// How A fails, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_a: Option<String>,
    /// How B fails, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_b: Option<String>,
    /// Why, in the words of B's author. Untrusted text.
    pub reasons: Vec<String>,
}

/// How often the two failed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiffFailure {
    /// The class of the failure, as it would be recorded.
    pub failure: String,
    /// Asks on which A failed so.
    pub a: u64,
    /// Asks on which B failed so.
    pub b: u64,
}

/// How often one role would have been asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiffPages {
    /// The role; an ask that names several counts for each.
    pub role: text::Role,
    /// Asks for which A asks it; a failure that is resolved to a gate asks the default approvers.
    pub a: u64,
    /// Asks for which B asks it.
    pub b: u64,
    /// The same for each day of the span that was looked at, in tenths, rounded up.
    pub a_per_day_tenths: u64,
    /// The forecast for B.
    pub b_per_day_tenths: u64,
}
