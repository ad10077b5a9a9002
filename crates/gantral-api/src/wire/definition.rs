//! The members of a workflow definition.
//!
//! A definition travels as a [`Document`], because its digest is its identity, and `gantral_core::workflow` reads it.
//! These types write one and describe it in the OpenAPI document; a test holds them against the reader.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, NotJson, text};

/// One version of a workflow: registered, versioned, immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowDefinition {
    /// Its name.
    pub id: text::WorkflowId,
    /// The version label of its owner. A changed definition needs a new one.
    pub version: text::Name,
    /// The owning team.
    pub team: text::TeamId,
    /// How much is at stake.
    pub materiality: text::Materiality,
    /// The domain, in a word of the policy contract (`sdlc`, `finance`, `operations`, `support`); `operations` when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<text::Name>,
    /// How a runner executes it; absent when agents attach by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunDefinition>,
    /// The actions that may be asked for, 1 to 128, by name.
    pub actions: BTreeMap<String, ActionDefinition>,
    /// What policy can only tighten.
    pub floors: FloorsDefinition,
    /// How failures of the policy evaluator are resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<FailureDefinition>,
    /// The shortest justification of a decision, in characters; 1 when absent, at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 10_000)]
    pub justification_min: Option<u32>,
    /// How long an instance may live; `7d` when absent, at most `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<text::Duration>,
    /// How long a grant may wait to be used; `1h` when absent, at most the lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_lifetime: Option<text::Duration>,
    /// How many attempts may be lost or replaced before the instance fails; 3 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000)]
    pub attempts_max: Option<u32>,
    /// Which evaluator of the server evaluates its policy; the default one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluator: Option<text::Name>,
    /// Whether policy is told what was spent; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<bool>,
    /// From when a grant may be used; `committed` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<text::Release>,
}

/// How a runner executes a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunDefinition {
    /// The queue that runners of the team poll.
    pub queue: text::Name,
    /// Program and arguments of the first attempt.
    #[schema(min_items = 1, max_items = 64)]
    pub command: Vec<String>,
    /// Program and arguments after a gate; `command` when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub resume_command: Vec<String>,
    /// How long a lease lasts without a heartbeat; `30s` when absent, at most `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<text::Duration>,
    /// Environment variable to secret reference, such as `env:NAME` or `file:/path`. The runner resolves it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

/// One declared action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionDefinition {
    /// Its parameters, at most 128, by name. One that is not declared is refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, ParameterDefinition>,
}

/// One declared parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterDefinition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: text::ParameterKind,
    /// Whether it must be given; true when absent, unless there is a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// What is filled in when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Document>,
    /// Whether policy sees it; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<bool>,
}

/// What policy can only tighten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FloorsDefinition {
    /// The mildest verdict that may be enforced; ALLOW when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_verdict: Option<text::Verdict>,
    /// Who decides when policy names nobody.
    #[schema(min_items = 1, max_items = 16)]
    pub default_approvers: Vec<text::Role>,
    /// Roles of which somebody must always agree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub least_roles: Vec<text::Role>,
    /// The least number of distinct humans; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16)]
    pub required_approvals: Option<u32>,
    /// The most rejections that policy may ask for before they refuse; 16 when absent, and with 1 any rejection is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16)]
    pub rejections_max: Option<u32>,
    /// Roles that may decide alone in an emergency, by break-glass; nobody when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub break_glass_roles: Vec<text::Role>,
    /// The shortest justification of a decision by break-glass, in characters; 50 when absent, at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 10_000)]
    pub break_glass_justification_min: Option<u32>,
    /// The least evidence of a decision; `operator` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_evidence: Option<text::HumanEvidence>,
    /// How long humans have when policy does not say; `1h` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<text::Duration>,
    /// The longest that humans may have; `24h` when absent, at most the lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_max: Option<text::Duration>,
    /// What happens when nobody decided in time; `close` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

/// What happens when nobody decided in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// The gate closes and the instance ends.
    Close,
    /// The escalation roles of the policy are asked first.
    Escalate,
}

/// How failures of the policy evaluator are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureDefinition {
    /// What "fail closed" means; `require_human` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<OnClosed>,
    /// What an outage of the evaluator means; `closed` when absent. `open` is refused at HIGH materiality, and never
    /// applies to a defect of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<OnOutage>,
}

/// What "fail closed" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnClosed {
    /// The default approvers are asked.
    RequireHuman,
    /// The instance ends.
    Deny,
}

/// What an outage of the evaluator means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnOutage {
    /// It is resolved as `closed` says.
    Closed,
    /// The action may go ahead.
    Open,
}

impl WorkflowDefinition {
    /// Returns the definition as it travels.
    ///
    /// # Errors
    /// Never in practice: every member has a JSON form.
    pub fn to_document(&self) -> Result<Document, NotJson> {
        serde_json::to_string(self)
            .map_err(|error| NotJson { why: error.to_string() })
            .and_then(Document::from_text)
    }
}
