//! Delegations: a human lends roles to another one, for a while.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::text;

/// A human, as an identity provider knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Human {
    /// The issuer of their tokens; the caller's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The subject in them.
    pub subject: String,
}

/// Body of `POST /v1/delegations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    /// Who may decide for the caller.
    pub to: Human,
    /// Under which of the caller's roles, 1 to 16.
    #[schema(min_items = 1, max_items = 16)]
    pub roles: Vec<text::Role>,
    /// From when; from now on when absent or past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<text::Time>,
    /// Until when, exclusive; not further away than the server allows.
    pub not_after: text::Time,
    /// Why; kept beside the chain and erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<text::Prose>,
}

/// Body of `POST /v1/delegations/{delegation}/revoke`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeDelegation {
    /// Why; kept beside the chain and erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<text::Prose>,
}

/// One delegation that was neither revoked nor is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationView {
    /// Its name: the hash of the governance artifact. A decision names it.
    pub delegation: text::Digest,
    /// Whose roles they are.
    pub from: text::ActorId,
    /// Who may use them.
    pub to: text::ActorId,
    /// Which ones.
    pub roles: Vec<text::Role>,
    /// From when.
    pub not_before: text::Time,
    /// Until when, exclusive.
    pub not_after: text::Time,
    /// Its place in the governance chain.
    pub sequence: u64,
    /// Why, in the giver's words: text by someone. Absent where they said nothing, or it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}

/// Answer of `GET /v1/delegations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationPage {
    /// The delegations, from the oldest.
    pub items: Vec<DelegationView>,
    /// The cursor of the next page; absent when there is none now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
