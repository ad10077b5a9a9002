//! The governance chain: what changes the rules for everybody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, text};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFreeze {
    /// Whether nothing may be assigned, resumed or consumed from now on.
    pub frozen: bool,
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
    /// What was sealed; nothing when it was so already.
    pub sealed: Vec<GovernanceEvent>,
}
