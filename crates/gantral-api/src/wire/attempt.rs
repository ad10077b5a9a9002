//! Attempts: one process each, on behalf of an instance.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, GrantView, Receipt, text};

/// Answer of `POST /v1/instances/{id}/attempts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attached {
    /// The attempt.
    pub attempt: u32,
    /// A token that is good for this attempt and nothing else.
    pub token: String,
    /// When the token ends; a heartbeat renews it.
    pub token_expires_at: text::Time,
    /// What the process is given to work on.
    pub context: Document,
    /// The grant that this attempt may consume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantView>,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// Answer of `POST /v1/instances/{id}/attempts/{n}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatAnswer {
    /// When the lease ends without a further heartbeat.
    pub lease_expires_at: text::Time,
    /// The renewed token of the attempt.
    pub token: String,
    /// When that token ends.
    pub token_expires_at: text::Time,
    /// Whether a gate has retired the attempt: its process should exit by itself, and is ended if it does not.
    pub retired: bool,
}

/// Body of `POST /v1/instances/{id}/attempts/{n}/end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndAttempt {
    /// The exit status of the process; the negative signal number when a signal ended it.
    pub exit_status: i32,
}
