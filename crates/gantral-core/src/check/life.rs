//! Attempts and endings: what launches, what ends, and what may walk an instance to its end.

use super::grant::{check_follows, check_policy};
use super::{Fault, Faults, require};
use crate::event::{AttemptEnded, Ended, Entry, Launch};
use crate::instance::{Instance, Phase};
use crate::policy::Verdict;
use crate::state::{ActorKind, Cause};
use crate::time::UnixMillis;

pub(super) fn check_assignment(instance: &Instance, launch: &Launch, faults: &mut Faults) {
    check_launch(launch, true, faults);
    require(faults, launch.cause.is_none(), Fault::Matrix);
    require(faults, instance.is_settled(), Fault::OutcomeOpen);
}

pub(super) fn check_resumed(instance: &Instance, entry: &Entry, launch: &Launch, faults: &mut Faults) {
    check_launch(launch, true, faults);
    check_walk(instance, entry, launch, faults);
    require(faults, instance.is_settled(), Fault::OutcomeOpen);
}

pub(super) fn check_attached(instance: &Instance, entry: &Entry, launch: &Launch, faults: &mut Faults) {
    check_launch(launch, false, faults);
    check_walk(instance, entry, launch, faults);
    let assigned = instance.live.as_ref().and_then(|live| live.executor.as_ref());
    require(faults, launch.cause.is_some() || launch.executor.as_ref() == assigned, Fault::Attempt);
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

/// A walk is the engine's way out on expiry, or an administrator's cancellation; it never launches anything (S42).
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
fn is_expired(instance: &Instance, now: UnixMillis) -> bool {
    let grant = instance.pending_grant().and_then(|id| instance.grants.get(&id));
    instance.walking == Some(Cause::Expired)
        || now >= instance.created.expires_at
        || grant.is_some_and(|grant| now >= grant.expires_at)
}

pub(super) fn check_attempt_ended(detail: &AttemptEnded, entry: &Entry, faults: &mut Faults) {
    let holds = match detail.cause {
        Cause::Exited => entry.actor.kind != ActorKind::System,
        Cause::Lost => detail.exit_status.is_none(),
        _ => false,
    };
    require(faults, holds, Fault::Matrix);
}

pub(super) fn check_completed(instance: &Instance, detail: &Ended, faults: &mut Faults) {
    require(faults, detail.cause.is_none() && detail.policy.is_none(), Fault::Matrix);
    require(faults, instance.is_settled(), Fault::OutcomeOpen);
}

pub(super) fn check_terminated(instance: &Instance, detail: &Ended, entry: &Entry, faults: &mut Faults) {
    require(faults, instance.is_settled(), Fault::OutcomeOpen);
    require(faults, (detail.cause == Some(Cause::Denied)) == detail.policy.is_some(), Fault::Matrix);
    let Some(cause) = detail.cause else { return faults.push(Fault::Matrix) };
    if let Phase::Rejected(rejected) = &instance.phase {
        return require(faults, cause == *rejected, Fault::State);
    }
    let lawful = match (cause, entry.actor.kind) {
        (Cause::Denied, ActorKind::Workload | ActorKind::Runner) => {
            if let Some(policy) = &detail.policy {
                check_policy(instance, policy, faults);
                check_follows(instance, policy, faults);
                require(faults, policy.verdict == Verdict::Deny, Fault::PolicyContradiction);
            }
            true
        }
        (Cause::Expired, ActorKind::System) => is_expired(instance, entry.at),
        (Cause::Cancelled, ActorKind::Human) => true,
        (Cause::Failed, ActorKind::Workload | ActorKind::Runner | ActorKind::System) => true,
        _ => false,
    };
    require(faults, lawful, Fault::State);
}
