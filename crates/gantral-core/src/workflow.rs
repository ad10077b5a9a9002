//! A workflow definition: registered, versioned, immutable.
//!
//! Owned by a team. `workflow_version_id` is the digest of the canonical definition; which policy is active for it is
//! not part of it, so that policy changes without touching a definition. Source: `spec/workflow.md`.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::digest::{Digest, Hasher};
use crate::event::WorkflowRef;
use crate::ids::{Name, Role, TeamId, WorkflowId};
use crate::json::{Object, Pointer, Value};
use crate::policy::{Closed, FailurePolicy, Materiality, Verdict};
use crate::rule::{APPROVALS_MAX, Floors, REJECTIONS_MAX, RULE_PARTS_MAX};
use crate::secret::is_reference;
use crate::state::{HumanEvidence, words};
use crate::time::DurationMs;

mod read;

/// The most actions a workflow declares, and the most parameters of one action.
pub const DECLARATIONS_MAX: usize = 128;
/// The most members of an action's parameters that messages may show.
pub const NOTIFY_MEMBERS_MAX: usize = 8;
/// The most words of a command, and the most secret references.
pub const COMMAND_WORDS_MAX: usize = 64;
/// The most witnesses that a grant can wait for.
pub const WITNESSES_MAX: u8 = 16;
/// The domains of the policy contract; `operations` when a definition names none.
pub const DOMAINS: [&str; 4] = ["sdlc", "finance", "operations", "support"];
/// The longest lifetime of an instance: 90 days.
pub const LIFETIME_MAX: DurationMs = DurationMs::from_secs(90 * 86_400);

words! {
    /// The type of a declared parameter.
    ParameterKind {
        /// Text.
        String = "string",
        /// A whole number of 64 bits.
        Integer = "integer",
        /// Any number, exact.
        Number = "number",
        /// True or false.
        Boolean = "boolean",
        /// An object.
        Object = "object",
        /// An array.
        Array = "array",
        /// Anything.
        Any = "any",
    }
}

/// One version of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Its name.
    pub id: WorkflowId,
    /// The version label of its owner.
    pub version: Name,
    /// The owning team.
    pub team: TeamId,
    /// How much is at stake.
    pub materiality: Materiality,
    /// The domain, in the word of the policy contract.
    pub domain: Name,
    /// How a runner executes it; absent when agents attach by themselves.
    pub run: Option<Run>,
    /// The actions that may be asked for.
    pub actions: BTreeMap<Name, ActionDeclaration>,
    /// What policy can only tighten.
    pub floors: Floors,
    /// Which evaluator of the deployment evaluates its policy; the default one when absent.
    pub evaluator: Option<Name>,
    /// How evaluator failures are resolved.
    pub failure: FailurePolicy,
    /// The shortest justification of a decision, in characters.
    pub justification_min: u32,
    /// How long an instance may live.
    pub lifetime: DurationMs,
    /// How long a grant may wait to be used.
    pub grant_lifetime: DurationMs,
    /// How many attempts may be lost or replaced in RUNNING before the instance fails.
    pub attempts_max: u32,
    /// From when a grant may be used.
    pub release: Release,
    /// Whether policy is told what was spent. Then what is authorised in one team is decided one after the other.
    pub totals: bool,
    /// The canonical definition.
    pub canonical: Vec<u8>,
    /// The digest of the definition.
    pub digest: Digest,
}

/// From when a grant may be used. Source: `spec/workflow.md` W16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Once it is durable.
    Committed,
    /// Once a published checkpoint of the log covers it.
    Sequenced,
    /// Once so many witnesses have cosigned such a checkpoint.
    Witnessed(u8),
}

impl Release {
    /// Reads `committed`, `sequenced` or `witnessed(k)` with k from 1 to [`WITNESSES_MAX`]; nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "committed" => Some(Self::Committed),
            "sequenced" => Some(Self::Sequenced),
            _ => {
                let count = text.strip_prefix("witnessed(")?.strip_suffix(')')?;
                let plain = count.bytes().all(|b| b.is_ascii_digit()) && !count.starts_with('0');
                let count = count.parse().ok().filter(|_| plain)?;
                (count <= WITNESSES_MAX).then_some(Self::Witnessed(count))
            }
        }
    }

    /// Returns how many witnesses must have cosigned; `None` when not even the log is waited for.
    pub const fn witnesses(self) -> Option<u8> {
        match self {
            Self::Committed => None,
            Self::Sequenced => Some(0),
            Self::Witnessed(count) => Some(count),
        }
    }
}

impl core::fmt::Display for Release {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Committed => f.write_str("committed"),
            Self::Sequenced => f.write_str("sequenced"),
            Self::Witnessed(count) => write!(f, "witnessed({count})"),
        }
    }
}

/// How a runner executes a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The queue that runners of the team poll.
    pub queue: Name,
    /// The command of the first attempt.
    pub command: Vec<String>,
    /// The command after a gate.
    pub resume_command: Vec<String>,
    /// How long a lease lasts without a heartbeat.
    pub lease: DurationMs,
    /// Environment names to references that the runner resolves.
    pub secrets: BTreeMap<String, String>,
}

/// One declared action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionDeclaration {
    /// Its parameters by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// Which members of the parameters messages to people may show. Source: `spec/workflow.md` W19.
    pub notify_members: Vec<Pointer>,
}

/// One declared parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its type.
    pub kind: ParameterKind,
    /// Whether it must be given.
    pub required: bool,
    /// What is filled in when it is not given.
    pub default: Option<Value>,
    /// Whether policy sees it.
    pub policy: bool,
}

/// Why a document is not a workflow definition. The caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {why}")]
pub struct WorkflowError {
    /// The member, as a path.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Workflow {
    /// Reads a definition strictly: unknown members are refused, absent ones have documented defaults.
    ///
    /// # Errors
    /// The first member that is wrong.
    pub fn read(value: &Value) -> Result<Self, WorkflowError> {
        read::workflow(value)
    }

    /// Returns the reference that artifacts carry.
    pub fn reference(&self) -> WorkflowRef {
        WorkflowRef {
            id: self.id.clone(),
            version: self.version.clone(),
            digest: self.digest,
            materiality: self.materiality,
        }
    }
}

/// Returns `SHA-256("gantral/workflow/v1" 00 JCS(definition))`.
fn digest_of(canonical: &[u8]) -> Digest {
    Hasher::new("gantral/workflow/v1").bytes(canonical).finish()
}

impl Workflow {
    /// Returns how long the justification of a decision is at least, in characters: by break-glass never shorter than otherwise.
    pub fn justification_of(&self, break_glass: bool) -> u32 {
        if break_glass {
            self.justification_min.max(self.floors.break_glass_justification_min)
        } else {
            self.justification_min
        }
    }
}

#[cfg(test)]
mod tests;
