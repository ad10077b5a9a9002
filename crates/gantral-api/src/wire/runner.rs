//! What a runner claims.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, GrantView, WorkflowDefinition, WorkflowRef, text};

/// Body of `POST /v1/runner/claims`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The queue to take from; one of those that the runner's token names.
    pub queue: text::Name,
}

/// Body of `POST /v1/journal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresentJournal {
    /// Envelopes of receipts that the caller was given, at most 100: the newest of each chain say it all.
    #[schema(value_type = Vec<Object>, max_items = 100)]
    pub envelopes: Vec<Document>,
}

/// What the server holds of a journal: all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JournalHeld {
    /// How many of the receipts are of this server's making; the others were ignored.
    pub held: u32,
}

/// The most receipts that are presented at once.
pub const JOURNAL_ITEMS_MAX: usize = 100;

/// Query of a request that may be held open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// Holds the answer until there is something to say, at most this long (60 s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<text::Duration>,
}

/// One attempt, assigned to the runner that claimed it.
///
/// Nothing in it is to be believed before the chain was verified against the pinned issuer key and tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// The instance.
    pub instance_id: text::InstanceId,
    /// The attempt: the fencing number.
    pub attempt: u32,
    /// The workflow version.
    pub workflow: WorkflowRef,
    /// The definition, in its canonical form: its digest is the one that the chain carries, so that a runner can tell
    /// whether `command` and `secrets` are what was registered.
    #[schema(value_type = WorkflowDefinition)]
    pub definition: Document,
    /// Program and arguments: `command`, or `resume_command` after a gate.
    pub command: Vec<String>,
    /// What the process is given to work on.
    pub context: Document,
    /// The commitment to the context which the assignment seals.
    pub context_commitment: text::Digest,
    /// The salt of that commitment.
    pub context_salt: text::Salt,
    /// When the lease ends without a heartbeat.
    pub lease_expires_at: text::Time,
    /// The envelopes of the whole chain so far, in order.
    #[schema(value_type = Vec<Object>)]
    pub chain: Vec<Document>,
    /// The delegations of keys that signed parts of the chain for an issuer key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub delegations: Vec<Document>,
    /// The grant that the attempt may consume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantView>,
    /// Environment variable to secret reference (`env:NAME`, `file:/path`). The runner resolves it; the value never
    /// travels.
    pub secrets: BTreeMap<String, String>,
    /// The header `traceparent` (W3C Trace Context) that puts the process into the trace of its instance; absent where the server does not trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}
