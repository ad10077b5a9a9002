//! Being told: messages that no channel took.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::text;

/// One message that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// Its number, by which it is tried again.
    pub number: u64,
    /// Its identifier, as the channel would have seen it.
    pub message_id: String,
    /// The channel: a webhook, a chat or a mailbox.
    pub channel: text::Name,
    /// What happened: `gate.opened`, `gate.reminder`, ….
    pub kind: String,
    /// Of a reminder: how much of the gate's stage had passed, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// When it happened.
    pub at: text::Time,
    /// The gate that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<DeadLetterGate>,
    /// The proposal that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_id: Option<text::ProposalId>,
    /// How often it was tried.
    pub attempts: u64,
    /// Why it was given up, in words for people.
    pub failure: String,
}

/// The gate that a message was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterGate {
    /// The instance.
    pub instance_id: text::InstanceId,
    /// The gate.
    pub gate_id: text::GateId,
    /// The version of the gate then.
    pub gate_version: u32,
    /// The workflow.
    pub workflow: text::WorkflowId,
    /// The team that owns the workflow.
    pub team: text::TeamId,
}

/// Answer of `GET /v1/dead-letters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterPage {
    /// The messages, from the oldest.
    pub items: Vec<DeadLetter>,
    /// The cursor of the next page; absent when there is none now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Body of `POST /v1/dead-letters/retry`: which messages. Every member that is given must fit; without any, all of the tenant are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryDeadLetters {
    /// Those of this channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<text::Name>,
    /// The one with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// Answer of `POST /v1/dead-letters/retry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriedDeadLetters {
    /// How many messages wait again.
    pub retried: u64,
}
