//! Grants: given by policy, used once, and what came of them.

use super::{Fault, Faults, require};
use crate::event::{Allowed, Consumed, Entry, Outcome, PolicyRecord, Reconciled};
use crate::instance::{Instance, Origin};
use crate::policy::{Materiality, Verdict};
use crate::state::{ActorKind, Mode, NextStep, OutcomeStatus};

pub(super) fn check_policy(instance: &Instance, policy: &PolicyRecord, faults: &mut Faults) {
    let Some(failure) = policy.failure else { return };
    let may_open = instance.identity.workflow.materiality != Materiality::High && failure.is_outage();
    require(faults, policy.verdict != Verdict::Allow || may_open, Fault::FailOpen);
}

/// What is done upon a failed evaluation follows the sealed failure, and takes over all that it says (S46).
pub(super) fn check_follows(instance: &Instance, policy: &PolicyRecord, faults: &mut Faults) {
    if policy.failure.is_none() {
        return;
    }
    let sealed = instance.failed.as_ref();
    let same_version = sealed.is_none_or(|failed| failed.version == policy.version);
    require(faults, same_version, Fault::PolicyVersion);
    require(faults, !same_version || sealed == Some(policy), Fault::PolicyContradiction);
}

pub(super) fn check_allowed(instance: &Instance, detail: &Allowed, entry: &Entry, faults: &mut Faults) {
    check_policy(instance, &detail.policy, faults);
    check_follows(instance, &detail.policy, faults);
    require(faults, detail.policy.verdict == Verdict::Allow, Fault::PolicyContradiction);
    require(faults, entry.mode == Mode::Enforce, Fault::Mode);
    require(faults, instance.unknown_outcomes().next().is_none(), Fault::OutcomeOpen);
    match detail.grant {
        Some(terms) => {
            let fresh =
                !instance.grants.contains_key(&terms.id) && !instance.consumptions.contains_key(&terms.id);
            let timely = terms.expires_at > entry.at && terms.expires_at <= instance.created.expires_at;
            require(faults, fresh && timely, Fault::Grant);
        }
        None => faults.push(Fault::Matrix),
    }
}

pub(super) fn check_consumed(instance: &Instance, detail: &Consumed, entry: &Entry, faults: &mut Faults) {
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
            check_follows(instance, &detail.policy, faults);
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

pub(super) fn check_outcome(instance: &Instance, detail: &Outcome, entry: &Entry, faults: &mut Faults) {
    let Some(grant) = detail.grant else {
        let holds = instance.observed && detail.status != OutcomeStatus::Unknown;
        return require(faults, holds, Fault::UnauthorizedOutcome);
    };
    let Some(consumption) = instance.consumptions.get(&grant) else {
        return faults.push(Fault::UnauthorizedOutcome);
    };
    let holds = match (detail.status, consumption.outcome) {
        // S39: nobody knows only once nobody can tell any more: the consuming attempt has ended.
        (OutcomeStatus::Unknown, None) => instance.live.is_none() || instance.attempt > consumption.attempt,
        // The consuming attempt may report once, even late: that settles what the engine had to call unknown.
        (OutcomeStatus::Succeeded | OutcomeStatus::Failed, None | Some(OutcomeStatus::Unknown)) => {
            entry.actor.kind != ActorKind::System && entry.attempt == consumption.attempt
        }
        (OutcomeStatus::Unknown | OutcomeStatus::Succeeded | OutcomeStatus::Failed, Some(_)) => false,
    };
    require(faults, holds, Fault::UnauthorizedOutcome);
}

pub(super) fn check_reconciled(instance: &Instance, detail: &Reconciled, faults: &mut Faults) {
    let unknown =
        instance.consumptions.get(&detail.grant).is_some_and(|c| c.outcome == Some(OutcomeStatus::Unknown));
    require(faults, unknown && detail.status != OutcomeStatus::Unknown, Fault::UnauthorizedOutcome);
    let last = instance.unknown_outcomes().all(|grant| grant == detail.grant)
        && instance.open_consumptions().next().is_none();
    require(faults, detail.next == NextStep::Continue || last, Fault::OutcomeOpen);
}
