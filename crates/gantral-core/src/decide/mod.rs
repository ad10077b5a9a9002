//! The decision: an instance, an authenticated command and an instant in; events or a refusal out.
//!
//! Pure and total. Time limits are enforced here: a decision after the deadline is refused although no timer ran.
//! Every command is preceded by `due`, whose steps are sealed in an append of their own. Source: `spec/states.md` §5.

mod attempt;
mod authority;
mod ballot;
mod due;
mod ending;

use alloc::vec::Vec;

use crate::command::{Command, Decided, Refusal};
use crate::digest::Digest;
use crate::event::{Actor, Created, Entry, Event};
use crate::ids::AttemptNo;
use crate::instance::{EVENTS_MAX, Instance};
use crate::state::Mode;
use crate::time::UnixMillis;

pub use due::{due, next_due};

/// Events kept free at the end of an instance's limit, so that it can always be brought to an end.
const EVENTS_RESERVED: u32 = 64;

/// Returns the entry that creates an instance. Whether it is lawful, `Instance::begin` tells.
pub fn create(actor: &Actor, created: Created, mode: Mode, now: UnixMillis) -> Entry {
    Entry { event: Event::Created(created), actor: actor.clone(), attempt: AttemptNo::NONE, mode, at: now }
}

/// Decides one command. `now` is at least the instant of the newest event.
///
/// # Errors
/// A refusal; nothing has moved. After `GateMoved` the caller may look again and repeat; `StaleAttempt`,
/// `AttemptInactive`, `AlreadyDecided` and `ActionChanged` are final for the caller.
pub fn decide(
    instance: &Instance,
    actor: &Actor,
    command: Command,
    now: UnixMillis,
) -> Result<Decided, Refusal> {
    let state = instance.state();
    if state.is_final() {
        return Err(ballot::already_decided(instance, &command).unwrap_or(Refusal::Ended { state }));
    }
    let draft =
        Draft { instance, actor, now: now.max(instance.last_at), mode: Mode::Enforce, events: Vec::new() };
    let frees = matches!(
        command,
        Command::Cancel
            | Command::Withdraw
            | Command::EndAttempt { .. }
            | Command::Report(_)
            | Command::Reconcile(_)
    );
    if !frees && instance.events >= EVENTS_MAX - EVENTS_RESERVED {
        return Err(Refusal::TooManyEvents);
    }
    match command {
        Command::Assign(assignment) => draft.assign(assignment),
        Command::Attach { attempt } => draft.attach(attempt),
        Command::Ask(ask) => draft.ask(*ask),
        Command::Decide(granted) => draft.ballot(*granted),
        Command::Withdraw => draft.withdraw(),
        Command::Cancel => draft.cancel(),
        Command::Extend { gate, gate_version, deadline } => draft.extend(gate, gate_version, deadline),
        Command::Consume(consume) => draft.consume(*consume),
        Command::Report(outcome) => draft.report(outcome),
        Command::Reconcile(reconciled) => draft.reconcile(reconciled),
        Command::EndAttempt { attempt, end, may_retry } => draft.end_attempt(attempt, end, may_retry),
        Command::Complete { attempt } => draft.complete(attempt),
        Command::Fail { attempt } => draft.fail(attempt),
    }
}

/// Events in the making, all by one actor at one instant.
struct Draft<'a> {
    instance: &'a Instance,
    actor: &'a Actor,
    now: UnixMillis,
    mode: Mode,
    events: Vec<Entry>,
}

impl Draft<'_> {
    fn push(&mut self, event: Event) {
        self.push_as(event, self.instance.attempt);
    }

    fn push_as(&mut self, event: Event, attempt: AttemptNo) {
        let entry = Entry { event, actor: self.actor.clone(), attempt, mode: self.mode, at: self.now };
        self.events.push(entry);
    }

    fn done(self) -> Result<Decided, Refusal> {
        Ok(Decided { events: self.events, refusal: None })
    }

    fn wrong_state(&self) -> Refusal {
        Refusal::WrongState { state: self.instance.state() }
    }

    /// Refuses unless this attempt is the newest, attached, and not retired by a gate.
    fn acting(&self, attempt: AttemptNo) -> Result<(), Refusal> {
        if attempt != self.instance.attempt {
            return Err(Refusal::StaleAttempt { attempt, newest: self.instance.attempt });
        }
        match &self.instance.live {
            Some(live) if live.attached && !live.retired => Ok(()),
            Some(_) | None => Err(Refusal::AttemptInactive { attempt }),
        }
    }

    fn no_unknown_outcome(&self) -> Result<(), Refusal> {
        match self.instance.unknown_outcomes().next() {
            Some(grant) => Err(Refusal::OutcomeUnknown { grant }),
            None => Ok(()),
        }
    }
}

/// Folds events into an instance, with the hash of the artifact that seals each.
///
/// # Errors
/// `Refusal::Defect` when an event breaks a rule of `check`: then this program is wrong and nothing may be written.
pub fn apply_all(instance: &mut Instance, entries: &[(Entry, Digest)]) -> Result<(), Refusal> {
    for (entry, hash) in entries {
        instance.apply(entry, *hash).map_err(|faults| Refusal::Defect {
            fault: faults.first().copied().unwrap_or(crate::check::Fault::State),
        })?;
    }
    Ok(())
}
