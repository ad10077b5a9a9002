//! Four eyes: changes of the rules that one person proposed, and another puts in force.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChangedFile, Document, text};

/// How a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// It waits for a second person.
    Open,
    /// A second person put it in force.
    Confirmed,
    /// Its author took it back.
    Withdrawn,
    /// Nobody confirmed it in time.
    Expired,
}

/// A change of the rules that one person proposed. Nothing of it is in force before another confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposal {
    /// Its name.
    pub proposal_id: text::ProposalId,
    /// What a confirmation names: SHA-256 of `gantral/proposal/v1`, a zero byte and `document`.
    pub digest: text::Digest,
    /// What would happen, in the word of the specification: `policy_activated`, `mode_changed` or `lifted`.
    pub event: String,
    /// What would be done: the members of the event, as the specification of the governance chain names them.
    #[schema(value_type = Object)]
    pub detail: Document,
    /// Who proposed it.
    pub proposed_by: text::ActorId,
    /// When.
    pub proposed_at: text::Time,
    /// Why, in their words: text by someone. Absent where they said nothing, or it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// From when on it can no longer be confirmed.
    pub expires_at: text::Time,
    /// How it stands.
    pub state: ProposalState,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<text::Time>,
    /// Who ended it; absent when nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<text::ActorId>,
    /// The sequence of the governance artifact that was sealed with its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// For a policy: the files in which it differs from the one that is in force in the scope; absent in lists, and when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<ChangedFile>>,
    /// What to do next, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What was proposed, by whom, when, and until when: the canonical text that `digest` is of.
    #[schema(value_type = Object)]
    pub document: Document,
}

/// Answer of `GET /v1/proposals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalPage {
    /// The proposals, from the newest.
    pub items: Vec<Proposal>,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Query of `GET /v1/proposals`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalsQuery {
    /// Only those that can still be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// The cursor of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most items, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Body of `POST /v1/proposals/{proposal_id}/confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmProposal {
    /// The digest of the proposal that you have read.
    pub digest: text::Digest,
    /// Why; kept beside the chain and erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<text::Prose>,
}

/// Who proposed what somebody else put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposedBy {
    /// Who.
    pub actor: text::ActorId,
    /// When.
    pub at: text::Time,
    /// Why, in their words: text by someone. Absent where they said nothing, or it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}
