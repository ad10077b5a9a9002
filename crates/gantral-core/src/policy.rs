//! What a policy advises, how its failures are resolved, and what a workflow's floors make of the advice.
//!
//! Policy advises; the engine enforces. Nothing here evaluates a policy. Source: `spec/states.md` §9,
//! seed contract of input and output in `docs/implementation/policy-evaluation-opa.md`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::ids::{Name, Role};
use crate::rule::Stage;
use crate::state::HumanEvidence;
use crate::time::DurationMs;

/// The advice of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The action may be granted without a human.
    Allow,
    /// A human must decide.
    RequireHuman,
    /// The action must not happen.
    Deny,
}

impl Verdict {
    /// Every verdict, from the most permissive to the strictest.
    pub const ALL: [Self; 3] = [Self::Allow, Self::RequireHuman, Self::Deny];

    /// Returns the word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::RequireHuman => "REQUIRE_HUMAN",
            Self::Deny => "DENY",
        }
    }

    /// Finds a verdict by its word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text)
    }
}

/// How much is at stake in a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Materiality {
    /// Little: an outage of the evaluator may be configured to let it pass.
    Low,
    /// Some: an outage may be configured to let it pass.
    Medium,
    /// Much: nothing ever passes without an evaluation.
    High,
}

impl Materiality {
    /// Every materiality, rising.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Returns the word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }

    /// Finds a materiality by its word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|materiality| materiality.as_str() == text)
    }
}

/// The content digest of one policy bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyVersionId(pub Digest);

/// The engine that evaluated, as recorded in artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EvaluatorId {
    /// The kind of engine, for example `regorus` or `opa`.
    pub engine: Name,
    /// Its version.
    pub version: Name,
}

/// Whom a policy wants to approve.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Approvers {
    /// So many distinct humans, at least 1, who hold one of these roles; without roles, one of the workflow's default approvers.
    Some {
        /// Any of these roles counts.
        roles: Vec<Role>,
        /// How many humans.
        required: u32,
    },
    /// Every stage after the one before; at least one.
    Stages(Vec<Stage>),
}

/// One step of an escalation that a policy wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Escalation {
    /// Who is asked instead.
    pub roles: Vec<Role>,
    /// How long they have; `None`: as long as the first approvers.
    pub timeout: Option<DurationMs>,
}

/// What a policy answered, read strictly from its output document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Evaluation {
    /// The advice.
    pub verdict: Verdict,
    /// Who must approve.
    pub approvers: Approvers,
    /// How many distinct humans must reject before that refuses, 1 to 16; with 1 any rejection is final.
    pub rejections: u32,
    /// The least evidence of a decision, never that of a development issuer; `None` leaves it to the workflow, and a weaker one than the workflow's
    /// changes nothing.
    pub required_evidence: Option<HumanEvidence>,
    /// How long humans have; `None` leaves it to the workflow.
    pub timeout: Option<DurationMs>,
    /// Who is asked when nobody answered in time, step by step; empty means no escalation.
    pub escalation: Vec<Escalation>,
    /// Why, in the policy author's words: text by someone, shown as untrusted.
    pub reasons: Vec<String>,
    /// The standing rules on which an ALLOW rests, each once: what is granted by it counts for every one of them.
    pub standing_rules: Vec<Name>,
    /// The canonical bytes of the output document, as committed to.
    pub decision: Vec<u8>,
}

/// Finds the evidence of decisions that a policy may ask for, by its word: any but that of a development issuer, which is never more than a
/// workflow asks for.
pub fn evidence_asked_for(word: &str) -> Option<HumanEvidence> {
    HumanEvidence::parse(word).filter(|evidence| *evidence != HumanEvidence::Development)
}

/// Why there is no evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum EvalFailure {
    /// The evaluator could not be reached or went away.
    #[error("the policy evaluator is unavailable")]
    Unavailable,
    /// No answer within the time limit, and nothing says that the policy is to blame: one that is known to have been at
    /// work until its time was up is [`Self::ResourceLimit`].
    #[error("the policy evaluator did not answer in time")]
    DeadlineExceeded,
    /// The evaluator answered under another policy version than asked.
    #[error("the policy evaluator answered under another version")]
    VersionMismatch,
    /// The evaluator does not have the policy version.
    #[error("the policy version is unknown to the evaluator")]
    VersionUnknown,
    /// Two rules gave different values.
    #[error("the policy contradicts itself")]
    Conflict,
    /// The policy has no decision for this input.
    #[error("the policy has no decision for this input")]
    Undefined,
    /// The output breaks the contract.
    #[error("the policy's output breaks the contract")]
    Malformed,
    /// A rule or a builtin failed.
    #[error("the policy failed to evaluate")]
    Evaluation,
    /// The evaluation used more time, memory, depth or output than it may.
    #[error("the policy exceeded its resource limit")]
    ResourceLimit,
}

impl EvaluatorId {
    /// Names an engine of which nobody knows the version: it never answered.
    pub fn unknown(engine: Name) -> Self {
        Self { engine, version: Name::unknown() }
    }
}

impl EvalFailure {
    /// Every failure, in the order of the matrix.
    pub const ALL: [Self; 9] = [
        Self::Unavailable,
        Self::DeadlineExceeded,
        Self::VersionMismatch,
        Self::VersionUnknown,
        Self::Conflict,
        Self::Undefined,
        Self::Malformed,
        Self::Evaluation,
        Self::ResourceLimit,
    ];

    /// Returns the word that artifacts carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::VersionMismatch => "VERSION_MISMATCH",
            Self::VersionUnknown => "VERSION_UNKNOWN",
            Self::Conflict => "CONFLICT",
            Self::Undefined => "UNDEFINED",
            Self::Malformed => "MALFORMED",
            Self::Evaluation => "EVALUATION",
            Self::ResourceLimit => "RESOURCE_LIMIT",
        }
    }

    /// Finds a failure by its word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == text)
    }

    /// Tells an outage of the evaluator, which may be configured to pass, from a defect of the policy, which never
    /// may: failing open on a defect lets whoever can force one choose ALLOW.
    pub const fn is_outage(self) -> bool {
        match self {
            Self::Unavailable | Self::DeadlineExceeded | Self::VersionMismatch | Self::VersionUnknown => true,
            Self::Conflict | Self::Undefined | Self::Malformed | Self::Evaluation | Self::ResourceLimit => {
                false
            }
        }
    }
}

/// What "fail closed" means for a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Closed {
    /// The default approvers of the workflow are asked.
    RequireHuman,
    /// The instance ends.
    Deny,
}

/// How a workflow wants evaluator failures resolved. What may not be configured is not in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FailurePolicy {
    /// What closed means.
    pub closed: Closed,
    /// Whether an outage passes at MEDIUM or LOW materiality. Ignored at HIGH, and for every defect.
    pub open_on_outage: bool,
}

/// Resolves a failed evaluation to the verdict that is enforced instead. Total: every failure has an answer.
pub const fn resolve_failure(
    materiality: Materiality,
    failure: EvalFailure,
    config: FailurePolicy,
) -> Verdict {
    let may_open = match materiality {
        Materiality::High => false,
        Materiality::Medium | Materiality::Low => config.open_on_outage && failure.is_outage(),
    };
    if may_open {
        return Verdict::Allow;
    }
    match config.closed {
        Closed::RequireHuman => Verdict::RequireHuman,
        Closed::Deny => Verdict::Deny,
    }
}

#[cfg(test)]
mod tests;
