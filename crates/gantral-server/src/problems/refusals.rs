//! What the authority state machine refuses, with the facts that the page of each code promises.

use gantral_api::problem::{Code, Problem};
use gantral_core::command::Refusal;

use super::Failure;

/// Turns a refusal into the problem that the caller sees.
pub(super) fn failure(refusal: &Refusal) -> Failure {
    let problem = Problem::new(code(refusal), refusal.to_string());
    Failure(with_facts(problem, refusal))
}

const fn code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::AlreadyDecided { .. } => Code::AlreadyDecided,
        Refusal::GateMoved { .. } => Code::GateMoved,
        Refusal::Ended { .. } | Refusal::InstanceExpired { .. } => Code::InstanceEnded,
        Refusal::WrongActor { .. } => Code::Forbidden,
        Refusal::WrongState { .. } => Code::WrongState,
        Refusal::StaleAttempt { .. } => Code::StaleAttempt,
        Refusal::AttemptInactive { .. } => Code::AttemptInactive,
        Refusal::AttemptAlive { .. } => Code::AttemptAlive,
        Refusal::GateUnknown { .. } => Code::GateUnknown,
        Refusal::DeadlinePassed { .. } => Code::DeadlinePassed,
        Refusal::SelfApproval => Code::SelfApproval,
        Refusal::NotEligible { .. } => Code::NotEligible,
        Refusal::AlreadyVoted => Code::AlreadyVoted,
        Refusal::EvidenceTooWeak => Code::EvidenceTooWeak,
        Refusal::ActionMismatch => Code::ActionMismatch,
        Refusal::GrantUnusable { .. } => Code::GrantUnusable,
        Refusal::GrantExpired { .. } => Code::GrantExpired,
        Refusal::ActionChanged => Code::ActionChanged,
        Refusal::EvaluatorFailed { .. } => Code::EvaluatorFailed,
        Refusal::NobodyEligible { .. } => Code::NobodyEligible,
        Refusal::OutcomeUnknown { .. } => Code::OutcomeUnknown,
        Refusal::OutcomeNotOwed { .. } => Code::OutcomeNotOwed,
        Refusal::OutcomeOpen { .. } => Code::OutcomeOpen,
        Refusal::NotCreator => Code::NotCreator,
        Refusal::ExtensionOutOfRange { .. } => Code::ExtensionOutOfRange,
        Refusal::TooManyEvents => Code::TooManyEvents,
        Refusal::Defect { .. } => Code::Internal,
    }
}

fn with_facts(problem: Problem, refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::AlreadyDecided { by, decision, at, .. } => problem
            .with("decided_by", by.to_string())
            .with("decision", decision.as_str())
            .with("at", at.to_text()),
        Refusal::GateMoved { seen, current } => problem.with("seen", *seen).with("current", *current),
        Refusal::Ended { state } | Refusal::WrongState { state } => problem.with("state", state.as_str()),
        Refusal::StaleAttempt { attempt, newest } => {
            problem.with("attempt", attempt.0).with("newest", newest.0)
        }
        Refusal::AttemptInactive { attempt } | Refusal::AttemptAlive { attempt } => {
            problem.with("attempt", attempt.0)
        }
        Refusal::DeadlinePassed { deadline } => problem.with("deadline", deadline.to_text()),
        Refusal::GrantExpired { at, .. } => problem.with("expired_at", at.to_text()),
        Refusal::EvaluatorFailed { failure } => problem.with("failure", failure.as_str()),
        Refusal::NobodyEligible { version } => problem.with("policy_version_id", version.0.to_hex()),
        Refusal::OutcomeUnknown { grant }
        | Refusal::OutcomeNotOwed { grant }
        | Refusal::OutcomeOpen { grant } => problem.with("grant_id", grant.to_string()),
        Refusal::ExtensionOutOfRange { latest } => problem.with("latest_deadline", latest.to_text()),
        Refusal::InstanceExpired { .. }
        | Refusal::WrongActor { .. }
        | Refusal::GateUnknown { .. }
        | Refusal::SelfApproval
        | Refusal::NotEligible { .. }
        | Refusal::AlreadyVoted
        | Refusal::EvidenceTooWeak
        | Refusal::ActionMismatch
        | Refusal::GrantUnusable { .. }
        | Refusal::ActionChanged
        | Refusal::NotCreator
        | Refusal::TooManyEvents
        | Refusal::Defect { .. } => problem,
    }
}
