//! The rulebook: what an event must satisfy, given everything that was sealed before it.
//!
//! The engine checks its own events against it before it seals them, and the verifier checks a stranger's chain
//! against the very same functions. Each fault has the code of the verdict table. Source: `spec/verification.md` §5.

mod gate;
mod grant;
mod life;

use alloc::vec::Vec;

use crate::event::{Created, Entry, Event};
use crate::ids::AttemptNo;
use crate::instance::{EVENTS_MAX, Instance};
use crate::state::{Cause, Mode};
use crate::table::{Unlawful, successor};

use gate::{
    check_escalated, check_extended, check_granted, check_human_required, check_rejected, check_vote,
};
use grant::{check_allowed, check_consumed, check_follows, check_outcome, check_policy, check_reconciled};
use life::{
    check_assignment, check_attached, check_attempt_ended, check_completed, check_resumed, check_terminated,
};

pub use gate::is_sufficient;

crate::state::words! {
    /// A rule that an event breaks, by the code of the verdict table.
    Fault {
        /// No row of the table for this state, event and actor.
        State = "E_STATE",
        /// Something follows a final state.
        AfterTerminal = "E_AFTER_TERMINAL",
        /// More events than an instance may have.
        Limit = "E_LIMIT",
        /// A member is present or absent against the matrix.
        Matrix = "E_MATRIX",
        /// Not the newest attempt, or one that ended or was retired.
        Attempt = "E_ATTEMPT",
        /// Time goes back.
        TimeBack = "E_TIME_BACK",
        /// Closed before, or decided after, the sealed deadline.
        Deadline = "E_DEADLINE",
        /// Escalated early, or to roles that were not sealed.
        Escalation = "E_ESCALATION",
        /// Extended late, too far, or by somebody ineligible.
        Extension = "E_EXTENSION",
        /// The verdict contradicts the move.
        PolicyContradiction = "E_POLICY_CONTRADICTION",
        /// An event names another policy version than the evaluation that led to it.
        PolicyVersion = "E_POLICY_VERSION",
        /// Passed after a failure that must be closed.
        FailOpen = "E_FAIL_OPEN",
        /// Approved, granted and consumed actions are not one.
        ActionBinding = "E_ACTION_BINDING",
        /// A changed action was consumed beyond what its votes may grant.
        OverrideScope = "E_OVERRIDE_SCOPE",
        /// A guard contradicts the event that it stands in.
        Guard = "E_GUARD",
        /// A grant comes from a SHADOW event.
        Mode = "E_MODE",
        /// The decider is in the requester chain, or is not a human.
        SelfApproval = "E_SELF_APPROVAL",
        /// The role is not eligible at that moment.
        Role = "E_ROLE",
        /// Fewer distinct persons than the sealed rule needs.
        Quorum = "E_QUORUM_HUMAN",
        /// The evidence is weaker than the gate sealed.
        HumanEvidence = "E_HUMAN_EVIDENCE",
        /// The ballot disagrees with the gate that it names.
        Decision = "E_DECISION",
        /// Consumed twice, after expiry, by a wrong attempt, or not a grant at all.
        Grant = "E_GRANT",
        /// An outcome without a consumption.
        UnauthorizedOutcome = "E_UNAUTHORIZED_OUTCOME",
        /// Ended while a consumption has no outcome.
        OutcomeOpen = "E_OUTCOME_OPEN",
    }
}

type Faults = Vec<Fault>;

/// Checks the first entry of a chain.
pub(crate) fn check_created(entry: &Entry) -> Result<&Created, Faults> {
    let Event::Created(created) = &entry.event else { return Err(alloc::vec![Fault::State]) };
    let mut faults = Faults::new();
    if successor(None, entry.event.kind(), entry.actor.kind).is_err() {
        faults.push(Fault::State);
    }
    if created.requester.is_empty() || created.expires_at <= entry.at {
        faults.push(Fault::Matrix);
    }
    if entry.attempt != AttemptNo::NONE {
        faults.push(Fault::Attempt);
    }
    if faults.is_empty() { Ok(created) } else { Err(faults) }
}

/// Checks an entry against the instance as folded so far; returns every fault, sorted.
pub(crate) fn check(instance: &Instance, entry: &Entry) -> Result<(), Faults> {
    let mut faults = Faults::new();
    let state = instance.state();
    if state.is_final() {
        return Err(alloc::vec![Fault::AfterTerminal]);
    }
    match successor(Some(state), entry.event.kind(), entry.actor.kind) {
        Ok(_) => {}
        Err(Unlawful::WrongActor) if is_human_decision(&entry.event) => {
            return Err(alloc::vec![Fault::SelfApproval]);
        }
        Err(Unlawful::NoRow | Unlawful::WrongActor) => return Err(alloc::vec![Fault::State]),
    }
    if instance.events >= EVENTS_MAX {
        faults.push(Fault::Limit);
    }
    if entry.at < instance.last_at {
        faults.push(Fault::TimeBack);
    }
    check_walking(instance, entry, &mut faults);
    check_attempt(instance, entry, &mut faults);
    check_event(instance, entry, &mut faults);
    faults.sort_unstable();
    faults.dedup();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

const fn is_human_decision(event: &Event) -> bool {
    matches!(event, Event::Vote(_) | Event::Approved(_) | Event::Overridden(_))
}

fn require(faults: &mut Faults, holds: bool, fault: Fault) {
    if !holds {
        faults.push(fault);
    }
}

/// Once an instance is walked to its end, nothing but the rest of that walk may follow (S42).
fn check_walking(instance: &Instance, entry: &Entry, faults: &mut Faults) {
    let Some(cause) = instance.walking else { return };
    let goes_on = match &entry.event {
        Event::Started(launch) | Event::Resumed(launch) | Event::Running(launch) => {
            launch.cause == Some(cause)
        }
        Event::Rejected(detail) => detail.cause == cause,
        Event::Terminated(detail) => detail.cause == Some(cause),
        _ => false,
    };
    require(faults, goes_on, Fault::State);
}

/// Who may be the attempt of an event (S10 to S15).
fn check_attempt(instance: &Instance, entry: &Entry, faults: &mut Faults) {
    let newest = instance.attempt;
    let live = instance.live.as_ref();
    let acts = live.is_some_and(|live| live.attached && !live.retired);
    let holds = match &entry.event {
        Event::AttemptAssigned(_) => live.is_none() && entry.attempt == newest.next() && newest.0 < u32::MAX,
        Event::Resumed(launch) if launch.cause.is_some() => entry.attempt == newest,
        Event::Resumed(_) => live.is_none() && entry.attempt == newest.next() && newest.0 < u32::MAX,
        Event::Started(launch) | Event::Running(launch) if launch.cause.is_some() => entry.attempt == newest,
        Event::Started(_) | Event::Running(_) => {
            live.is_some_and(|live| !live.attached) && entry.attempt == newest
        }
        Event::AttemptEnded(detail) => {
            entry.attempt == newest
                && live.is_some_and(|live| live.executor.as_ref() == Some(&detail.executor))
        }
        Event::HumanRequired(_)
        | Event::Allowed(_)
        | Event::Observed(_)
        | Event::EvaluatorFailed(_)
        | Event::Consumed(_) => acts && entry.attempt == newest,
        Event::Terminated(detail) if detail.cause == Some(Cause::Denied) => acts && entry.attempt == newest,
        // An attempt that goes on, or whose end nobody sealed, has neither succeeded nor failed.
        Event::Terminated(detail) if detail.cause == Some(Cause::Failed) => {
            live.is_none() && entry.attempt == newest
        }
        Event::Completed(_) => instance.exited == Some(0) && entry.attempt == newest,
        // The consuming attempt may report after its end; which attempt that is, is the consumption's matter.
        Event::Outcome(_) => entry.attempt <= newest,
        Event::Created(_)
        | Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Terminated(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Reconciled(_) => entry.attempt == newest,
    };
    require(faults, holds, Fault::Attempt);
}

fn check_event(instance: &Instance, entry: &Entry, faults: &mut Faults) {
    match &entry.event {
        Event::Created(_) => faults.push(Fault::State),
        Event::AttemptAssigned(launch) => check_assignment(instance, launch, faults),
        Event::Resumed(launch) => check_resumed(instance, entry, launch, faults),
        Event::Started(launch) | Event::Running(launch) => check_attached(instance, entry, launch, faults),
        Event::AttemptEnded(detail) => check_attempt_ended(detail, entry, faults),
        Event::HumanRequired(detail) => check_human_required(instance, detail, entry, faults),
        Event::Allowed(detail) => check_allowed(instance, detail, entry, faults),
        Event::Observed(detail) => {
            check_policy(instance, &detail.policy, faults);
            check_follows(instance, &detail.policy, faults);
            require(faults, entry.mode == Mode::Shadow && detail.grant.is_none(), Fault::Mode);
        }
        Event::EvaluatorFailed(policy) => {
            require(faults, policy.failure.is_some(), Fault::Matrix);
            check_policy(instance, policy, faults);
        }
        Event::Vote(ballot) => check_vote(instance, ballot, entry, faults),
        Event::Approved(granted) => check_granted(instance, granted, entry, false, faults),
        Event::Overridden(granted) => check_granted(instance, granted, entry, true, faults),
        Event::Rejected(detail) => check_rejected(instance, detail, entry, faults),
        Event::Escalated(moved) => check_escalated(instance, moved, entry, faults),
        Event::Extended(moved) => check_extended(instance, moved, entry, faults),
        Event::Consumed(detail) => check_consumed(instance, detail, entry, faults),
        Event::Outcome(detail) => check_outcome(instance, detail, entry, faults),
        Event::Reconciled(detail) => check_reconciled(instance, detail, faults),
        Event::Completed(detail) => check_completed(instance, detail, faults),
        Event::Terminated(detail) => check_terminated(instance, detail, entry, faults),
    }
}
