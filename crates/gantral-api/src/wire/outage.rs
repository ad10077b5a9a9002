//! What lets a client go on under SHADOW when no server answers it, and its count of what it did meanwhile.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, text};

/// The most lines of one count.
pub const UNOBSERVED_ITEMS_MAX: usize = 100;

/// A mode lease: how far a client of the workflow may go on for a short while when no server answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModeLeaseView {
    /// The signed lease: a DSSE v1 envelope whose payload is an in-toto statement (`spec/governance.md` §7). Believe it by pinned keys only.
    #[schema(value_type = Object)]
    pub lease: Document,
    /// The delegation of the key that signed it, if it signed for an issuer key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub delegation: Option<Document>,
    /// Until when it holds, exclusive.
    pub expires_at: text::Time,
}

/// Body of `POST /v1/unobserved`: what a client did under a mode lease, by its own count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CountUnobserved {
    /// The client's number for these lines, random: what is sent again under it counts once.
    pub report_id: text::ReportId,
    /// 1 to 100 lines.
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<UnobservedCount>,
}

/// How often one action was done in one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnobservedCount {
    /// An instant of the hour, of the last 31 days.
    pub hour: text::Time,
    /// The workflow.
    pub workflow: text::WorkflowId,
    /// The action.
    pub action: text::Name,
    /// How often.
    pub asks: u32,
}

/// Answer of `POST /v1/unobserved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counted {
    /// The report, which need not be sent again.
    pub report_id: text::ReportId,
}

/// Query of `GET /v1/unobserved`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnobservedQuery {
    /// Only hours from that of this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<text::Time>,
    /// Only hours that begin before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<text::Time>,
    /// Only workflows of this team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<text::TeamId>,
    /// Only this workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<text::WorkflowId>,
}

/// What clients did under SHADOW without an answer, by their own count: no evidence. At most the first 10,000 lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnobservedCounts {
    /// By hour, workflow and action.
    pub items: Vec<UnobservedLine>,
}

/// How often one action was done in one hour, by the counts of all clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnobservedLine {
    /// The beginning of the hour (UTC).
    pub hour: text::Time,
    /// The workflow.
    pub workflow: text::WorkflowId,
    /// The action.
    pub action: text::Name,
    /// How often.
    pub asks: u64,
}
