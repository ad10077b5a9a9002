//! Gates: opened, voted on, moved and decided.

use alloc::vec::Vec;

use super::grant::{check_follows, check_policy};
use super::{Fault, Faults, require};
use crate::event::{Ballot, Entry, GateMoved, Granted, HumanRequired, Rejected};
use crate::ids::PersonId;
use crate::instance::{Gate, Instance, Phase};
use crate::policy::Verdict;
use crate::rule::{APPROVALS_MAX, REJECTIONS_MAX, RULE_PARTS_MAX, Rule, Tally};
use crate::state::{ActorKind, Cause, DecisionKind, HumanEvidence, Mode};

pub(super) fn check_human_required(
    instance: &Instance,
    detail: &HumanRequired,
    entry: &Entry,
    faults: &mut Faults,
) {
    check_policy(instance, &detail.policy, faults);
    check_follows(instance, &detail.policy, faults);
    // Stricter than the verdict is lawful; milder is not.
    require(faults, detail.policy.verdict != Verdict::Deny, Fault::PolicyContradiction);
    require(faults, entry.mode == Mode::Enforce, Fault::Mode);
    require(faults, instance.is_settled(), Fault::OutcomeOpen);
    let steps = &detail.escalation;
    let sound = is_sound(&detail.rule)
        && steps.len() <= RULE_PARTS_MAX
        && steps.iter().all(|step| (1..=RULE_PARTS_MAX).contains(&step.roles.len()))
        && detail.gate.version == 1;
    require(faults, sound, Fault::Quorum);
    let timely = entry.at < detail.deadline
        && detail.deadline <= detail.latest_deadline
        && detail.latest_deadline <= instance.created.expires_at;
    require(faults, timely, Fault::Deadline);
}

/// Tells whether a rule asks somebody in every stage and group, within the limits, and keeps persons apart (S25).
fn is_sound(rule: &Rule) -> bool {
    let fits = |count: usize| (1..=RULE_PARTS_MAX).contains(&count);
    rule.distinct
        && rule.separation
        && (1..=REJECTIONS_MAX).contains(&rule.rejections)
        && fits(rule.stages.len())
        && rule.stages.iter().all(|stage| {
            fits(stage.groups.len())
                && stage
                    .groups
                    .iter()
                    .all(|group| (1..=APPROVALS_MAX).contains(&group.required) && fits(group.roles.len()))
        })
}

/// What holds for every ballot: a human, in time, eligible, not a requester, over this gate as it stands (S26 to S30).
fn check_ballot(instance: &Instance, gate: &Gate, ballot: &Ballot, entry: &Entry, faults: &mut Faults) {
    let person = PersonId::from_actor(&entry.actor.id);
    let voters = [person, ballot.acts_for];
    let separate = person.is_some() && !voters.iter().flatten().any(|person| instance.is_requester(*person));
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
    let eligible = if ballot.break_glass {
        gate.rule.break_glass_roles.contains(&ballot.role)
    } else if ballot.decision == DecisionKind::Reject {
        gate.rule.roles().contains(&ballot.role)
    } else {
        gate.rule.is_eligible(&ballot.role, gate.votes_beside(ballot))
    };
    require(faults, eligible, Fault::Role);
    let persons: Vec<PersonId> = voters.into_iter().flatten().collect();
    require(faults, !gate.has_voted(ballot, &persons), Fault::Quorum);
}

/// Tells whether evidence meets what a gate requires. Development evidence satisfies development gates only (S28).
pub fn is_sufficient(given: HumanEvidence, required: HumanEvidence) -> bool {
    match given {
        HumanEvidence::Development => required == HumanEvidence::Development,
        HumanEvidence::Operator | HumanEvidence::Oidc | HumanEvidence::Webauthn => given >= required,
    }
}

/// Tells whether a ballot decides its gate, by what it says itself (S32, S33).
fn decides(gate: &Gate, ballot: &Ballot, entry: &Entry) -> bool {
    match ballot.decision {
        DecisionKind::Reject => gate.closes_with(ballot),
        DecisionKind::Approve | DecisionKind::Override => {
            let votes = gate.votes_with(ballot, &entry.actor.id);
            ballot.break_glass || gate.rule.tally(votes.iter()) == Tally::Satisfied
        }
    }
}

pub(super) fn check_vote(instance: &Instance, ballot: &Ballot, entry: &Entry, faults: &mut Faults) {
    let Phase::Waiting(gate) = &instance.phase else { return faults.push(Fault::State) };
    check_ballot(instance, gate, ballot, entry, faults);
    require(faults, !decides(gate, ballot, entry), Fault::Quorum);
}

pub(super) fn check_granted(
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
    require(faults, decides(gate, ballot, entry), Fault::Quorum);
    let terms = granted.grant;
    let fresh = !instance.consumptions.contains_key(&terms.id) && terms.expires_at > entry.at;
    require(faults, fresh && terms.expires_at <= instance.created.expires_at, Fault::Grant);
    require(faults, entry.mode == Mode::Enforce, Fault::Mode);
}

pub(super) fn check_rejected(instance: &Instance, detail: &Rejected, entry: &Entry, faults: &mut Faults) {
    let Phase::Waiting(gate) = &instance.phase else { return faults.push(Fault::State) };
    require(faults, detail.gate == gate.asked.id, Fault::Decision);
    match (detail.cause, &detail.ballot, entry.actor.kind) {
        (Cause::Rejected, Some(ballot), ActorKind::Human) => {
            require(faults, ballot.decision == DecisionKind::Reject, Fault::Decision);
            require(faults, decides(gate, ballot, entry), Fault::Quorum);
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

pub(super) fn check_escalated(instance: &Instance, moved: &GateMoved, entry: &Entry, faults: &mut Faults) {
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

pub(super) fn check_extended(instance: &Instance, moved: &GateMoved, entry: &Entry, faults: &mut Faults) {
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
