//! The rulebook: what an event must satisfy, given everything that was sealed before it.
//!
//! The engine checks its own events against it before it seals them, and the verifier checks a stranger's chain
//! against the very same functions. Each fault has the code of the verdict table. Source: `spec/verification.md` §5.

use alloc::vec::Vec;

use crate::event::{
    Allowed, AttemptEnded, Ballot, Consumed, Created, Ended, Entry, Event, GateMoved, Granted, HumanRequired,
    Launch, Outcome, PolicyRecord, Reconciled, Rejected,
};
use crate::ids::{AttemptNo, PersonId};
use crate::instance::{EVENTS_MAX, Gate, Instance, Origin, Phase};
use crate::policy::{Materiality, Verdict};
use crate::rule::Tally;
use crate::state::{ActorKind, Cause, DecisionKind, HumanEvidence, Mode, OutcomeStatus};
use crate::table::{Unlawful, successor};
use crate::time::UnixMillis;

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
        /// An event of a gate names another policy version than its ask.
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

/// Once the engine walks a cancelled or expired instance to its end, nothing but the rest of that walk may follow.
fn check_walking(instance: &Instance, entry: &Entry, faults: &mut Faults) {
    let Some(cause) = instance.walking else { return };
    let goes_on = match &entry.event {
        Event::Started(launch) | Event::Resumed(launch) | Event::Running(launch) => {
            launch.cause == Some(cause)
        }
        Event::Terminated(detail) => detail.cause == Some(cause),
        _ => false,
    };
    require(faults, goes_on, Fault::State);
}

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
        // The consuming attempt may report after its end; which attempt that is, is the consumption's matter.
        Event::Outcome(_) => entry.attempt <= newest,
        Event::Created(_)
        | Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Completed(_)
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
        Event::AttemptAssigned(launch) => {
            check_launch(launch, true, faults);
            require(faults, launch.cause.is_none(), Fault::Matrix);
            require(faults, instance.unknown_outcomes().next().is_none(), Fault::OutcomeOpen);
        }
        Event::Resumed(launch) => {
            check_launch(launch, true, faults);
            check_walk(instance, entry, launch, faults);
            require(
                faults,
                launch.cause.is_some() || instance.unknown_outcomes().next().is_none(),
                Fault::OutcomeOpen,
            );
        }
        Event::Started(launch) | Event::Running(launch) => {
            check_launch(launch, false, faults);
            check_walk(instance, entry, launch, faults);
        }
        Event::AttemptEnded(detail) => check_attempt_ended(detail, entry, faults),
        Event::HumanRequired(detail) => check_human_required(instance, detail, entry, faults),
        Event::Allowed(detail) => check_allowed(instance, detail, entry, faults),
        Event::Observed(detail) => {
            check_policy(instance, &detail.policy, faults);
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
        Event::Completed(detail) => {
            require(faults, detail.cause.is_none() && detail.policy.is_none(), Fault::Matrix);
            require(faults, instance.consumptions.values().all(|c| settled(c.outcome)), Fault::OutcomeOpen);
        }
        Event::Terminated(detail) => check_terminated(instance, detail, entry, faults),
    }
}

const fn settled(outcome: Option<OutcomeStatus>) -> bool {
    matches!(outcome, Some(OutcomeStatus::Succeeded | OutcomeStatus::Failed))
}

/// An assignment names executor and lease, an attachment the executor; a walk to the end names neither.
fn check_launch(launch: &Launch, assignment: bool, faults: &mut Faults) {
    let complete = match launch.cause {
        None => launch.executor.is_some() && launch.lease.is_some() == assignment,
        Some(Cause::Cancelled | Cause::Expired) => {
            launch.executor.is_none() && launch.lease.is_none() && launch.context.is_none()
        }
        Some(_) => false,
    };
    require(faults, complete, Fault::Matrix);
}

/// A walk is the engine's way out on expiry, or an administrator's cancellation; it never launches anything.
fn check_walk(instance: &Instance, entry: &Entry, launch: &Launch, faults: &mut Faults) {
    let lawful = match (launch.cause, entry.actor.kind) {
        (None, ActorKind::Runner | ActorKind::Workload) => true,
        (Some(Cause::Cancelled), ActorKind::Human) => true,
        (Some(Cause::Expired), ActorKind::System) => {
            return require(faults, is_expired(instance, entry.at), Fault::Deadline);
        }
        _ => false,
    };
    require(faults, lawful, Fault::State);
    if launch.cause.is_none() {
        let expired = instance
            .pending_grant()
            .and_then(|id| instance.grants.get(&id))
            .is_some_and(|grant| entry.at >= grant.expires_at);
        require(faults, !expired, Fault::Grant);
    }
}

/// Tells whether the instance, or the grant that waits for an attempt, has outlived its time.
pub(crate) fn is_expired(instance: &Instance, now: UnixMillis) -> bool {
    let grant = instance.pending_grant().and_then(|id| instance.grants.get(&id));
    instance.walking == Some(Cause::Expired)
        || now >= instance.created.expires_at
        || grant.is_some_and(|grant| now >= grant.expires_at)
}

fn check_attempt_ended(detail: &AttemptEnded, entry: &Entry, faults: &mut Faults) {
    let holds = match detail.cause {
        Cause::Exited => entry.actor.kind != ActorKind::System,
        Cause::Lost => detail.exit_status.is_none(),
        _ => false,
    };
    require(faults, holds, Fault::Matrix);
}

fn check_policy(instance: &Instance, policy: &PolicyRecord, faults: &mut Faults) {
    let Some(failure) = policy.failure else { return };
    let may_open = instance.identity.workflow.materiality != Materiality::High && failure.is_outage();
    require(faults, policy.verdict != Verdict::Allow || may_open, Fault::FailOpen);
}

fn check_human_required(instance: &Instance, detail: &HumanRequired, entry: &Entry, faults: &mut Faults) {
    check_policy(instance, &detail.policy, faults);
    // Stricter than the verdict is lawful; milder is not.
    require(faults, detail.policy.verdict != Verdict::Deny, Fault::PolicyContradiction);
    require(faults, entry.mode == Mode::Enforce, Fault::Mode);
    require(faults, instance.unknown_outcomes().next().is_none(), Fault::OutcomeOpen);
    let rule = &detail.rule;
    let groups = || rule.stages.iter().flat_map(|stage| &stage.groups);
    let sound = !rule.stages.is_empty()
        && rule.stages.iter().all(|stage| !stage.groups.is_empty())
        && groups().all(|group| group.required > 0 && !group.roles.is_empty())
        && rule.distinct
        && rule.separation
        && detail.gate.version == 1;
    require(faults, sound, Fault::Quorum);
    let timely = entry.at < detail.deadline
        && detail.deadline <= detail.latest_deadline
        && detail.latest_deadline <= instance.created.expires_at;
    require(faults, timely, Fault::Deadline);
}

fn check_allowed(instance: &Instance, detail: &Allowed, entry: &Entry, faults: &mut Faults) {
    check_policy(instance, &detail.policy, faults);
    require(faults, detail.policy.verdict == Verdict::Allow, Fault::PolicyContradiction);
    require(faults, entry.mode == Mode::Enforce, Fault::Mode);
    require(faults, instance.unknown_outcomes().next().is_none(), Fault::OutcomeOpen);
    match detail.grant {
        Some(terms) => {
            let fresh =
                !instance.grants.contains_key(&terms.id) && !instance.consumptions.contains_key(&terms.id);
            require(faults, fresh && terms.expires_at > entry.at, Fault::Grant);
        }
        None => faults.push(Fault::Matrix),
    }
}

/// What holds for every ballot: a human, in time, eligible, not a requester, over this gate as it stands.
fn check_ballot(instance: &Instance, gate: &Gate, ballot: &Ballot, entry: &Entry, faults: &mut Faults) {
    let person = PersonId::from_actor(&entry.actor.id);
    let requesters = [person, ballot.acts_for];
    let separate =
        person.is_some() && !requesters.iter().flatten().any(|person| instance.is_requester(*person));
    require(faults, separate && entry.actor.kind == ActorKind::Human, Fault::SelfApproval);
    require(faults, entry.at < gate.deadline, Fault::Deadline);
    let names_this_gate = ballot.gate == gate.asked.id
        && ballot.gate_version == gate.asked.version
        && ballot.request_artifact_hash == gate.opened_by
        && entry.actor.role.as_ref() == Some(&ballot.role)
        && ballot.acts_for.is_some() == ballot.delegation.is_some();
    require(faults, names_this_gate, Fault::Decision);
    let same_action = ballot.approved == ballot.asked;
    let bound =
        ballot.asked == gate.asked.action && same_action == (ballot.decision != DecisionKind::Override);
    require(faults, bound, Fault::ActionBinding);
    require(faults, is_sufficient(ballot.evidence, gate.rule.required_evidence), Fault::HumanEvidence);
    let earlier = || gate.votes.iter().filter(|vote| vote.action == ballot.approved);
    let eligible = if ballot.break_glass {
        gate.rule.break_glass_roles.contains(&ballot.role)
    } else if ballot.decision == DecisionKind::Reject {
        gate.rule.roles().contains(&ballot.role)
    } else {
        gate.rule.is_eligible(&ballot.role, earlier())
    };
    require(faults, eligible, Fault::Role);
    let voter = ballot.acts_for.or(person);
    let repeated =
        ballot.decision != DecisionKind::Reject && earlier().any(|vote| Some(vote.person) == voter);
    require(faults, !repeated, Fault::Quorum);
}

/// Tells whether evidence meets what a gate requires. Development evidence satisfies development gates only.
pub fn is_sufficient(given: HumanEvidence, required: HumanEvidence) -> bool {
    match given {
        HumanEvidence::Development => required == HumanEvidence::Development,
        HumanEvidence::Operator | HumanEvidence::Oidc | HumanEvidence::Webauthn => given >= required,
    }
}

fn check_vote(instance: &Instance, ballot: &Ballot, entry: &Entry, faults: &mut Faults) {
    let Phase::Waiting(gate) = &instance.phase else { return faults.push(Fault::State) };
    check_ballot(instance, gate, ballot, entry, faults);
    let votes = gate.votes_with(ballot, &entry.actor.id);
    let open = gate.rule.tally(votes.iter()) != Tally::Satisfied;
    require(faults, open && ballot.decision != DecisionKind::Reject && !ballot.break_glass, Fault::Quorum);
}

fn check_granted(
    instance: &Instance,
    granted: &Granted,
    entry: &Entry,
    overridden: bool,
    faults: &mut Faults,
) {
    let Phase::Waiting(gate) = &instance.phase else { return faults.push(Fault::State) };
    let ballot = &granted.ballot;
    check_ballot(instance, gate, ballot, entry, faults);
    let said = if overridden { DecisionKind::Override } else { DecisionKind::Approve };
    require(faults, ballot.decision == said, Fault::Decision);
    let votes = gate.votes_with(ballot, &entry.actor.id);
    let agreed = ballot.break_glass || gate.rule.tally(votes.iter()) == Tally::Satisfied;
    require(faults, agreed, Fault::Quorum);
    let terms = granted.grant;
    let fresh = !instance.consumptions.contains_key(&terms.id) && terms.expires_at > entry.at;
    require(faults, fresh && terms.expires_at <= instance.created.expires_at, Fault::Grant);
    require(faults, entry.mode == Mode::Enforce, Fault::Mode);
}

fn check_rejected(instance: &Instance, detail: &Rejected, entry: &Entry, faults: &mut Faults) {
    let Phase::Waiting(gate) = &instance.phase else { return faults.push(Fault::State) };
    require(faults, detail.gate == gate.asked.id, Fault::Decision);
    match (detail.cause, &detail.ballot, entry.actor.kind) {
        (Cause::Rejected, Some(ballot), ActorKind::Human) => {
            require(faults, ballot.decision == DecisionKind::Reject, Fault::Decision);
            check_ballot(instance, gate, ballot, entry, faults);
        }
        (Cause::Rejected, _, _) => faults.push(Fault::SelfApproval),
        (Cause::Timeout, None, ActorKind::System) => {
            let exhausted = gate.escalated >= gate.escalation.len();
            require(faults, entry.at >= gate.deadline && exhausted, Fault::Deadline);
        }
        (Cause::Withdrawn, None, ActorKind::Workload | ActorKind::Human) => {
            require(faults, entry.actor.id == instance.created_by, Fault::State);
        }
        (Cause::Cancelled, None, ActorKind::Human) => {}
        _ => faults.push(Fault::State),
    }
}

fn check_escalated(instance: &Instance, moved: &GateMoved, entry: &Entry, faults: &mut Faults) {
    let Phase::Waiting(gate) = &instance.phase else { return faults.push(Fault::State) };
    check_moved(gate, moved, faults);
    let step = gate.escalation.get(gate.escalated);
    let number = u32::try_from(gate.escalated).ok().and_then(|taken| taken.checked_add(1));
    let as_sealed = step.is_some_and(|step| {
        let deadline = entry.at.max(gate.deadline).plus(step.duration).min(instance.created.expires_at);
        step.roles == moved.roles && moved.deadline == deadline
    });
    require(faults, as_sealed && moved.step == number && entry.at >= gate.deadline, Fault::Escalation);
}

fn check_extended(instance: &Instance, moved: &GateMoved, entry: &Entry, faults: &mut Faults) {
    let Phase::Waiting(gate) = &instance.phase else { return faults.push(Fault::State) };
    check_moved(gate, moved, faults);
    let eligible = entry.actor.role.as_ref().is_some_and(|role| gate.rule.roles().contains(role));
    let person = PersonId::from_actor(&entry.actor.id);
    let separate = person.is_some_and(|person| !instance.is_requester(person));
    let lawful = eligible
        && separate
        && entry.at < gate.deadline
        && moved.deadline > gate.deadline
        && moved.deadline <= gate.latest_deadline
        && moved.step.is_none()
        && moved.roles == gate.rule.roles();
    require(faults, lawful, Fault::Extension);
}

fn check_moved(gate: &Gate, moved: &GateMoved, faults: &mut Faults) {
    let follows = gate.asked.version.checked_add(1) == Some(moved.version);
    require(faults, moved.gate == gate.asked.id && follows, Fault::Decision);
}

fn check_consumed(instance: &Instance, detail: &Consumed, entry: &Entry, faults: &mut Faults) {
    check_policy(instance, &detail.policy, faults);
    require(faults, detail.policy.verdict != Verdict::Deny, Fault::PolicyContradiction);
    require(faults, entry.mode == Mode::Enforce, Fault::Mode);
    require(faults, instance.unknown_outcomes().next().is_none(), Fault::OutcomeOpen);
    let guard = &detail.guard;
    let guarded = guard.policy_version == detail.policy.version && guard.verdict == detail.policy.verdict;
    require(faults, guarded, Fault::Guard);
    let Some(grant) = instance.grants.get(&detail.grant) else { return faults.push(Fault::Grant) };
    require(faults, entry.at < grant.expires_at && detail.act_by > entry.at, Fault::Grant);
    require(faults, detail.action == grant.action, Fault::ActionBinding);
    match &grant.origin {
        Origin::Policy { attempt } => {
            require(faults, entry.attempt == *attempt, Fault::Grant);
            require(faults, detail.policy.verdict == Verdict::Allow, Fault::PolicyContradiction);
        }
        Origin::Humans(origin) => {
            require(faults, entry.attempt > origin.retired, Fault::Grant);
            // What humans granted is evaluated once more as granted; without an evaluation it does not run.
            let fault = if origin.overridden { Fault::OverrideScope } else { Fault::FailOpen };
            require(faults, detail.policy.failure.is_none(), fault);
        }
    }
}

fn check_outcome(instance: &Instance, detail: &Outcome, entry: &Entry, faults: &mut Faults) {
    let Some(grant) = detail.grant else {
        return require(faults, instance.weakest_mode == Mode::Shadow, Fault::UnauthorizedOutcome);
    };
    let Some(consumption) = instance.consumptions.get(&grant) else {
        return faults.push(Fault::UnauthorizedOutcome);
    };
    let holds = match (detail.status, consumption.outcome) {
        (OutcomeStatus::Unknown, None) => true,
        // The consuming attempt may report once, even late: that settles what the engine had to call unknown.
        (OutcomeStatus::Succeeded | OutcomeStatus::Failed, None | Some(OutcomeStatus::Unknown)) => {
            entry.actor.kind != ActorKind::System && entry.attempt == consumption.attempt
        }
        (OutcomeStatus::Unknown | OutcomeStatus::Succeeded | OutcomeStatus::Failed, Some(_)) => false,
    };
    require(faults, holds, Fault::UnauthorizedOutcome);
}

fn check_reconciled(instance: &Instance, detail: &Reconciled, faults: &mut Faults) {
    let unknown =
        instance.consumptions.get(&detail.grant).is_some_and(|c| c.outcome == Some(OutcomeStatus::Unknown));
    require(faults, unknown && detail.status != OutcomeStatus::Unknown, Fault::UnauthorizedOutcome);
}

fn check_terminated(instance: &Instance, detail: &Ended, entry: &Entry, faults: &mut Faults) {
    require(faults, instance.consumptions.values().all(|c| settled(c.outcome)), Fault::OutcomeOpen);
    require(faults, (detail.cause == Some(Cause::Denied)) == detail.policy.is_some(), Fault::Matrix);
    let Some(cause) = detail.cause else { return faults.push(Fault::Matrix) };
    if let Phase::Rejected(rejected) = &instance.phase {
        return require(faults, cause == *rejected, Fault::State);
    }
    let lawful = match (cause, entry.actor.kind) {
        (Cause::Denied, ActorKind::Workload | ActorKind::Runner) => {
            if let Some(policy) = &detail.policy {
                check_policy(instance, policy, faults);
                require(faults, policy.verdict == Verdict::Deny, Fault::PolicyContradiction);
            }
            true
        }
        (Cause::Expired, ActorKind::System) => is_expired(instance, entry.at),
        (Cause::Cancelled, ActorKind::Human) => true,
        (Cause::Failed, _) => true,
        _ => false,
    };
    require(faults, lawful, Fault::State);
}
