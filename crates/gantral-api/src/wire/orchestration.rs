//! What an orchestrator is told, and what it says: when work may begin. Nothing here grants, decides or ends anything.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{WorkflowRef, text};

/// Where an instance stands, as far as time and dispatch go. References and digests only: whoever orchestrates keeps it in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Course {
    /// The instance.
    pub instance_id: text::InstanceId,
    /// The workflow version.
    pub workflow: WorkflowRef,
    /// The team that owns the workflow.
    pub team: text::TeamId,
    /// The state. In `COMPLETED` and `TERMINATED` nothing follows any more.
    pub state: text::State,
    /// The place of the newest artifact: of two answers, the one with the greater is the newer.
    pub sequence: u64,
    /// The hash of that artifact.
    pub artifact_hash: text::Digest,
    /// The number of the newest attempt; 0 before the first.
    pub attempt: u32,
    /// Whether that attempt lives: its end is not sealed yet.
    pub live: bool,
    /// The attempt that is to be run next; absent where none is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Dispatch>,
    /// When the instance is to be looked at again, whatever happens meanwhile: a deadline, a step of an escalation, its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<text::Time>,
    /// When the instance ends at the latest.
    pub expires_at: text::Time,
}

/// An attempt that is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dispatch {
    /// Its number.
    pub attempt: u32,
    /// The queue of the runners that may claim it.
    pub queue: text::Name,
    /// Whether they may already.
    pub released: bool,
}

/// Query of `GET /v1/orchestration`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourseQuery {
    /// `next` of the page before; `now` for what moves from now on; from the beginning when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Holds the answer until there is something to say, at most this long (60 s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<text::Duration>,
}

/// Answer of `GET /v1/orchestration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoursePage {
    /// Instances of the tenant, each as it stands now. One may come more than once, and none is left out.
    pub items: Vec<Course>,
    /// Where the feed goes on. Keep it only when what the page says was dealt with.
    pub next: String,
    /// Whether all instances that were open when the feed began have been told of: from here on it tells of what moves.
    pub following: bool,
}

/// Body of `POST /v1/instances/{id}/release`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The attempt that runners may claim. Of any other attempt nothing is released.
    pub attempt: u32,
}
