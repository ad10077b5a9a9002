//! What time itself demands. A late timer changes nothing but promptness.

use alloc::vec::Vec;

use super::Draft;
use crate::event::{Actor, Entry, Event, GateMoved, Rejected};
use crate::instance::{Instance, Phase};
use crate::state::{ActorKind, Cause, Mode};
use crate::time::UnixMillis;

/// Returns the instant at which `due` has something to seal next; `None` when time alone changes nothing (S21, S43).
pub fn next_due(instance: &Instance) -> Option<UnixMillis> {
    match &instance.phase {
        Phase::Waiting(gate) => Some(gate.deadline),
        Phase::Approved(_) | Phase::Overridden(_) | Phase::Resumed(_) => instance
            .pending_grant()
            .and_then(|id| instance.grants.get(&id))
            .map(|grant| grant.expires_at.min(instance.created.expires_at)),
        // An instance with a consumption whose outcome is open or unknown ends only when that is settled.
        Phase::Created | Phase::Running => instance.is_settled().then_some(instance.created.expires_at),
        Phase::Rejected(_) | Phase::Completed | Phase::Terminated(_) => None,
    }
}

/// Returns the steps that are due at `now`, to be sealed in an append of their own before any command.
///
/// `system` is the engine as an actor. Steps whose consequence is due as well come with the next call.
pub fn due(instance: &Instance, system: &Actor, now: UnixMillis) -> Vec<Entry> {
    debug_assert_eq!(system.kind, ActorKind::System, "time acts as the engine");
    let now = now.max(instance.last_at);
    if next_due(instance).is_none_or(|at| now < at) {
        return Vec::new();
    }
    let mut draft = Draft { instance, actor: system, now, mode: Mode::Enforce, events: Vec::new() };
    match &instance.phase {
        Phase::Waiting(gate) => match gate.escalation.get(gate.escalated) {
            Some(step) => {
                let deadline =
                    draft.now.max(gate.deadline).plus(step.duration).min(instance.created.expires_at);
                draft.push(Event::Escalated(GateMoved {
                    gate: gate.asked.id,
                    version: gate.asked.version.saturating_add(1),
                    step: u32::try_from(gate.escalated).ok().map(|taken| taken.saturating_add(1)),
                    roles: step.roles.clone(),
                    deadline,
                }));
            }
            None => draft.close(Rejected { gate: gate.asked.id, ballot: None, cause: Cause::Timeout }),
        },
        Phase::Created | Phase::Running | Phase::Approved(_) | Phase::Overridden(_) | Phase::Resumed(_) => {
            draft.walk(Cause::Expired)
        }
        Phase::Rejected(_) | Phase::Completed | Phase::Terminated(_) => {}
    }
    draft.events
}
