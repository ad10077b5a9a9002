//! What else must commit with an event: gates, grants, tasks, leases, and who is told of it.

use gantral_core::event::{Entry, Event, Executor};
use gantral_core::ids::{GateId, GrantId, Name};
use gantral_core::instance::Instance;
use gantral_core::state::{ActorKind, Cause, DecisionKind, ExecutorKind, State};
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_evidence::commitments::ballot;
use gantral_store::{Effect, GateRow, Tell};

use crate::notice::{NoticeKind, Recipients, next_reminder};
use crate::totals::settled;

/// Returns the rows that the events of one append bring with them. `after` is the instance with all of them applied.
pub(crate) fn effects(
    entries: &[Entry],
    after: &Instance,
    workflow: &Workflow,
    action: Option<&Name>,
    recipients: &Recipients,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    for entry in entries {
        of_event(entry, entries, after, workflow, action, &mut effects);
        told(entry, after, workflow, recipients, &mut effects);
    }
    if after.state().is_final() {
        effects.push(Effect::DropTask);
        effects.push(Effect::EndLease { attempt: after.attempt });
    } else if let (true, Some(run)) = (wants_task(entries, after), &workflow.run) {
        let ready_at = after.last_at;
        effects.push(Effect::PutTask { queue: run.queue.clone(), team: workflow.team.clone(), ready_at });
    }
    effects
}

/// An attempt is wanted when none lives, authority stands, and this append is what made it so.
fn wants_task(entries: &[Entry], after: &Instance) -> bool {
    let permitted = match after.state() {
        State::Created | State::Running | State::Approved | State::Overridden | State::Resumed => true,
        State::WaitingForHuman | State::Rejected | State::Completed | State::Terminated => false,
    };
    let cause = entries.iter().any(|entry| {
        matches!(
            entry.event,
            Event::Created(_)
                | Event::Approved(_)
                | Event::Overridden(_)
                | Event::AttemptEnded(_)
                | Event::Outcome(_)
                | Event::Reconciled(_)
        )
    });
    cause && permitted && after.live.is_none() && after.unknown_outcomes().next().is_none()
}

fn of_event(
    entry: &Entry,
    entries: &[Entry],
    after: &Instance,
    workflow: &Workflow,
    action: Option<&Name>,
    effects: &mut Vec<Effect>,
) {
    match &entry.event {
        Event::AttemptAssigned(launch) | Event::Resumed(launch) => {
            if let (Some(executor), Some(lease)) = (&launch.executor, launch.lease) {
                let lease_until = lease_until(executor, entry.at.plus(lease), after.created.expires_at);
                let (attempt, executor) = (entry.attempt, executor.id.clone());
                effects.push(Effect::AssignTask { attempt, executor, lease_until });
            }
        }
        Event::AttemptEnded(_) => effects.push(Effect::EndLease { attempt: entry.attempt }),
        Event::HumanRequired(detail) => {
            if let Some(action_name) = action.cloned() {
                effects.push(Effect::OpenGate(GateRow {
                    id: detail.gate.id,
                    version: detail.gate.version,
                    workflow: workflow.id.clone(),
                    team: workflow.team.clone(),
                    roles: detail.rule.roles(),
                    action_name,
                    deadline: detail.deadline,
                    opened_at: entry.at,
                    context: detail.gate.context,
                }));
            }
        }
        Event::Escalated(moved) | Event::Extended(moved) => effects.push(Effect::MoveGate {
            id: moved.gate,
            version: moved.version,
            roles: moved.roles.clone(),
            deadline: moved.deadline,
        }),
        Event::Approved(granted) | Event::Overridden(granted) => {
            let decision = granted.ballot.decision;
            close(effects, entry, granted.ballot.gate, decision_word(decision));
            let (id, expires_at) = (granted.grant.id, granted.grant.expires_at);
            effects.push(Effect::PutGrant { id, expires_at });
        }
        Event::Rejected(rejected) => close(effects, entry, rejected.gate, rejected.cause.as_str()),
        Event::Allowed(detail) => {
            if let Some(terms) = detail.grant
                && !is_used_at_once(entries, terms.id)
            {
                effects.push(Effect::PutGrant { id: terms.id, expires_at: terms.expires_at });
            }
        }
        Event::Consumed(detail) => {
            if !is_used_at_once(entries, detail.grant) {
                effects.push(Effect::ConsumeGrant { id: detail.grant, attempt: entry.attempt });
            }
        }
        Event::Outcome(_) | Event::Reconciled(_) => {
            effects.extend(settled(&entry.event).filter(|_| workflow.totals));
        }
        Event::Created(_)
        | Event::Started(_)
        | Event::Running(_)
        | Event::Completed(_)
        | Event::Terminated(_)
        | Event::Observed(_)
        | Event::Vote(_)
        | Event::EvaluatorFailed(_) => {}
    }
}

/// Who is told of an event, and when approvers are reminded. Stands behind the effect that moves the gate: a message says how the gate
/// stands then.
fn told(
    entry: &Entry,
    after: &Instance,
    workflow: &Workflow,
    recipients: &Recipients,
    effects: &mut Vec<Effect>,
) {
    let (gate, kind) = match &entry.event {
        Event::HumanRequired(detail) => (detail.gate.id, NoticeKind::Opened),
        Event::Escalated(moved) => (moved.gate, NoticeKind::Escalated),
        Event::Extended(moved) => (moved.gate, NoticeKind::Extended),
        Event::Approved(granted) | Event::Overridden(granted) => (granted.ballot.gate, NoticeKind::Decided),
        Event::Rejected(rejected) => (rejected.gate, ending(rejected.cause)),
        Event::Created(_)
        | Event::AttemptAssigned(_)
        | Event::AttemptEnded(_)
        | Event::Started(_)
        | Event::Allowed(_)
        | Event::Observed(_)
        | Event::EvaluatorFailed(_)
        | Event::Vote(_)
        | Event::Resumed(_)
        | Event::Running(_)
        | Event::Consumed(_)
        | Event::Outcome(_)
        | Event::Reconciled(_)
        | Event::Completed(_)
        | Event::Terminated(_) => return,
    };
    let tenant = &after.identity.tenant;
    let of = |kind| recipients.of(tenant, &workflow.team, &workflow.id, kind);
    let reminds = || !of(NoticeKind::Reminder).is_empty();
    if let Some(open) = after.gate_named(gate)
        && reminds()
        && let Some(at) = next_reminder(open.since, open.deadline, entry.at)
    {
        effects.push(Effect::Remind { gate, since: open.since, at });
    }
    let glass = breaks_glass(&entry.event).then_some(NoticeKind::GlassBroken);
    for kind in glass.into_iter().chain([kind]) {
        let (to, name) = (of(kind), kind.name());
        if let Some(kind) = name.filter(|_| !to.is_empty()) {
            effects.push(Effect::Tell(Tell { gate, kind, percent: None, at: entry.at, to }));
        }
    }
}

/// Tells whether somebody decided alone.
fn breaks_glass(event: &Event) -> bool {
    ballot(event).is_some_and(|ballot| ballot.break_glass)
}

/// What the end of a gate without authority is called.
const fn ending(cause: Cause) -> NoticeKind {
    match cause {
        Cause::Rejected => NoticeKind::Decided,
        Cause::Timeout => NoticeKind::Expired,
        Cause::Withdrawn => NoticeKind::Withdrawn,
        Cause::Cancelled | Cause::Expired | Cause::Denied | Cause::Failed | Cause::Exited | Cause::Lost => {
            NoticeKind::Cancelled
        }
    }
}

/// Tells whether one append both allows a grant and consumes it.
fn is_used_at_once(entries: &[Entry], grant: GrantId) -> bool {
    let allowed = |event: &Event| matches!(event, Event::Allowed(detail) if detail.grant.is_some_and(|terms| terms.id == grant));
    let consumed = |event: &Event| matches!(event, Event::Consumed(detail) if detail.grant == grant);
    entries.iter().any(|entry| allowed(&entry.event)) && entries.iter().any(|entry| consumed(&entry.event))
}

/// An agent that executes itself sends no heartbeats: it holds its attempt until it ends it or the instance ends.
fn lease_until(executor: &Executor, lease: UnixMillis, end: UnixMillis) -> UnixMillis {
    match executor.kind {
        ExecutorKind::SelfExecuted => end,
        ExecutorKind::Runner | ExecutorKind::Interceptor => lease,
    }
}

fn close(effects: &mut Vec<Effect>, entry: &Entry, id: GateId, word: &str) {
    let Ok(resolution) = Name::parse(word) else { return };
    let decided_by = match entry.actor.kind {
        ActorKind::Human => Some(entry.actor.id.clone()),
        _ => None,
    };
    effects.push(Effect::CloseGate { id, resolution, decided_by, at: entry.at });
}

const fn decision_word(decision: DecisionKind) -> &'static str {
    match decision {
        DecisionKind::Approve => "approved",
        DecisionKind::Override => "overridden",
        DecisionKind::Reject => "rejected",
    }
}
