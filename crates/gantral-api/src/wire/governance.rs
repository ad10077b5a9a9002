//! The governance chain: what changes the rules for everybody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Proposal, ProposedBy, text};

/// What a rule is about. For a workflow the narrowest scope counts: its own, then its team's, then the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum Scope {
    /// Everything of the tenant.
    Tenant,
    /// The workflows of one team.
    Team {
        /// The team.
        name: text::TeamId,
    },
    /// One workflow.
    Workflow {
        /// The workflow.
        name: text::WorkflowId,
    },
}

/// One artifact of the tenant's governance chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GovernanceEvent {
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// What happened, in the word of the specification: `policy_activated`, `frozen`, `erased`, ….
    pub event: String,
    /// Who did it.
    pub actor: text::ActorId,
    /// When.
    pub at: text::Time,
    /// Its hash.
    pub hash: text::Digest,
    /// What was done: the members of the event, as the specification of the governance chain names them.
    #[schema(value_type = Object)]
    pub detail: Document,
    /// Why, in their words: text by someone. Absent where they said nothing, or it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Who proposed it, where two persons had to agree; `actor` is then who put it in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<ProposedBy>,
    /// The signed artifact: a DSSE v1 envelope whose payload is an in-toto statement.
    #[schema(value_type = Object)]
    pub envelope: Document,
}

/// Answer of `GET /v1/governance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GovernancePage {
    /// The artifacts, from the oldest.
    pub items: Vec<GovernanceEvent>,
    /// The cursor of the next page; absent when there is none now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Body of `POST /v1/freeze`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFreeze {
    /// Of what.
    pub scope: Scope,
    /// Whether nothing of it may be assigned, resumed or consumed from now on.
    pub frozen: bool,
    /// Why, and never nothing; kept beside the chain and erasable.
    pub justification: text::Prose,
}

/// One scope that is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freeze {
    /// What is frozen.
    pub scope: Scope,
    /// Who froze it.
    pub actor: text::ActorId,
    /// Since when.
    pub at: text::Time,
    /// The place in the governance chain that says so.
    pub sequence: u64,
    /// Why, in their words: text by someone. Absent where it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}

/// Answer of `GET /v1/freezes`: what is frozen now. A workflow is frozen by itself, by its team or by the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freezes {
    /// The tenant, then teams and workflows by name.
    pub items: Vec<Freeze>,
}

/// Body of `POST /v1/activations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// For what.
    pub scope: Scope,
    /// The published version that is in force from the next ask on; when absent, the one that was in force in this scope before the
    /// present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version_id: Option<text::PolicyVersionId>,
    /// The version that you believe to be in force in this scope: if another one is, nothing changes (`policy_moved`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<text::PolicyVersionId>,
    /// Why; kept beside the chain and erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<text::Prose>,
}

/// The policy of one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyInForce {
    /// Where it is in force.
    pub scope: Scope,
    /// The version.
    pub policy_version_id: text::PolicyVersionId,
    /// The one before it in this scope; absent when it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<text::PolicyVersionId>,
}

/// Answer of `GET /v1/activations`: what is in force in every scope that has a policy of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoliciesInForce {
    /// The tenant's, then those of teams and workflows by name.
    pub items: Vec<PolicyInForce>,
}

/// What is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, tag = "what", rename_all = "snake_case")]
pub enum Erase {
    /// The content behind one commitment of an instance.
    Snapshot {
        /// The instance.
        instance_id: text::InstanceId,
        /// The commitment, which stays.
        commitment: text::Digest,
    },
    /// What somebody wrote to justify a change of the rules.
    Justification {
        /// The commitment, as the governance artifact carries it.
        commitment: text::Digest,
    },
    /// Who a person is: from then on their `person_id` is nobody's.
    Person {
        /// The issuer of the person's tokens.
        issuer: String,
        /// The subject in them.
        subject: String,
    },
}

/// The answer of a write to the governance chain. Keep it; it proves what the server promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Governed {
    /// What was sealed; nothing when it was so already, or when it waits for a second person.
    pub sealed: Vec<GovernanceEvent>,
    /// What waits for a second person, with status 202: nothing of it is in force yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}
