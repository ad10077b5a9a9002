//! Standing rules: what a human at a gate would let pass from now on, proposed as a change of the policy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Proposal, Scope, text};

/// Body of `POST /v1/gates/{gate_id}/rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeRule {
    /// Members of the action's parameters that may be anything, by their pointers (RFC 6901); a list is free as a whole or not at all. Every other
    /// member must be as it is here, and no further one be there. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free: Vec<String>,
    /// Members that may be any number up to a bound, by their pointers; not negative where the one here is not. At most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at_most: BTreeMap<String, i64>,
    /// For how long, at least a minute and at most 90 days. It ends with the next full hour.
    pub lasts: text::Duration,
    /// How often, 1 to 10,000; as often as is asked, when absent. Only a workflow with `totals` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Why: for whoever is to confirm it. Kept beside the chain and erasable.
    pub justification: text::Prose,
}

/// Answer of `POST /v1/gates/{gate_id}/rules`: a bundle was published that has the rule. It is in force when another person has confirmed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposedRule {
    /// The name of the rule, which decisions that rest on it carry.
    pub rule: String,
    /// From when on it says nothing.
    pub until: text::Time,
    /// How often it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// What it says, as the policy's file of its own.
    pub rego: String,
    /// The policy in force, and this rule.
    pub policy_version_id: text::PolicyVersionId,
    /// Where it would be in force: where the workflow has its policy from.
    pub scope: Scope,
    /// What waits for another person; absent where the rule is in force already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}

/// How a file of a policy differs from the policy in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It is new.
    Added,
    /// It says something else.
    Changed,
    /// It is not there any more.
    Removed,
}

/// A file in which a proposed policy differs from the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedFile {
    /// Its path in the bundle.
    pub path: String,
    /// How it differs.
    pub change: FileChange,
    /// What it would say, for a text of at most 16 KiB: text by someone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
