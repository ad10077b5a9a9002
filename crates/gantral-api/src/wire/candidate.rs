//! Policies that are evaluated beside those in force.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DiffFailure, DiffPages, Scope, Transition, text};

/// Body of `POST /v1/policy-candidates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameCandidate {
    /// For what. Who may put a policy in force there may name a candidate.
    pub scope: Scope,
    /// The published version, not in force in this scope; when absent, the scope has no candidate any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version_id: Option<text::PolicyVersionId>,
}

/// Answer of `GET` and `POST /v1/policy-candidates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyCandidates {
    /// The candidates of the scopes for which the caller may name one.
    pub items: Vec<PolicyCandidate>,
}

/// One candidate, and what it made of the asks since the server began to count: it counts anew when it starts, and when another
/// version is named. Nothing of this was decided, sealed or told to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyCandidate {
    /// For what. Asks count that a policy in force for this scope would reach: of workflows with none in a narrower one.
    pub scope: Scope,
    /// The published version.
    pub policy_version_id: text::PolicyVersionId,
    /// When it was named.
    pub set_at: text::Time,
    /// Since when the asks are counted.
    pub counted_from: text::Time,
    /// How many asks it was evaluated for. A is what was recorded, B the candidate.
    pub evaluated: u64,
    /// How many asks wait to be evaluated.
    pub waiting: u64,
    /// How many asks it was not evaluated for because too many waited already. A batch of commits that the server could not keep up with
    /// counts as one.
    pub dropped: u64,
    /// How many asks are left out because their input was erased, or does not follow the contract any more.
    pub left_out: u64,
    /// What would become of the asks; no ask is counted twice.
    pub transitions: Vec<Transition>,
    /// How often each failed.
    pub failures: Vec<DiffFailure>,
    /// Who would have been asked, by role, and a forecast from the time since `counted_from`, of which less than an hour counts as one.
    pub pages: Vec<DiffPages>,
}
