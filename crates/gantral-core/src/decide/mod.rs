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

use crate::command::{AttemptEnd, Command, Decided, Refusal};
use crate::digest::Digest;
use crate::event::{Actor, Created, Entry, Event};
use crate::ids::AttemptNo;
use crate::instance::{EVENTS_MAX, Instance};
use crate::state::{ActorKind, DecisionKind, Mode};
use crate::time::{DurationMs, UnixMillis};

pub use due::{due, next_due};

/// Events kept free at the end of an instance's limit (S44), so that it can always be brought to an end: the end of an
/// attempt, every escalation step of one gate and every rejection that is counted at it (15 at most), its close, and what the
/// last command itself seals. What consumptions still need is kept free beside these.
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
    if !may_command(&command, actor.kind) {
        return Err(Refusal::WrongActor { kind: actor.kind });
    }
    if !is_on_the_way_out(&command) && free_events(instance) < EVENTS_RESERVED {
        return Err(Refusal::TooManyEvents);
    }
    let draft =
        Draft { instance, actor, now: now.max(instance.last_at), mode: Mode::Enforce, events: Vec::new() };
    match command {
        Command::Assign(assignment) => draft.assign(assignment),
        Command::Attach { attempt } => draft.attach(attempt),
        Command::Ask(ask) => draft.ask(*ask),
        Command::Decide(granted) => draft.ballot(*granted),
        Command::Withdraw => draft.withdraw(),
        Command::Cancel => draft.cancel(),
        Command::Extend { gate, gate_version, deadline } => draft.extend(gate, gate_version, deadline),
        Command::Consume(consume) => draft.consume(*consume),
        Command::Report { attempt, outcome } => draft.report(attempt, outcome),
        Command::Reconcile(reconciled) => draft.reconcile(reconciled),
        Command::EndAttempt { attempt, end, may_retry } => draft.end_attempt(attempt, end, may_retry),
        Command::Complete { attempt } => draft.complete(attempt),
        Command::Fail { attempt } => draft.fail(attempt),
    }
}

/// Tells whether this kind of actor may ever give this command.
const fn may_command(command: &Command, kind: ActorKind) -> bool {
    match command {
        Command::Assign(_)
        | Command::Attach { .. }
        | Command::Ask(_)
        | Command::Consume(_)
        | Command::Report { .. }
        | Command::EndAttempt { end: AttemptEnd::Exited(_), .. }
        | Command::Complete { .. }
        | Command::Fail { .. } => matches!(kind, ActorKind::Workload | ActorKind::Runner),
        Command::EndAttempt { end: AttemptEnd::Lost, .. } => !matches!(kind, ActorKind::Human),
        Command::Withdraw => matches!(kind, ActorKind::Workload | ActorKind::Human),
        Command::Decide(_) | Command::Cancel | Command::Extend { .. } | Command::Reconcile(_) => {
            matches!(kind, ActorKind::Human)
        }
    }
}

/// Tells whether a command brings the instance nearer to its end, so that it may use the events kept free for that.
fn is_on_the_way_out(command: &Command) -> bool {
    match command {
        Command::Cancel | Command::Withdraw | Command::EndAttempt { .. } | Command::Reconcile(_) => true,
        Command::Complete { .. } | Command::Fail { .. } => true,
        // What was done under SHADOW owes no outcome.
        Command::Report { outcome, .. } => outcome.grant.is_some(),
        Command::Decide(granted) => granted.ballot.decision == DecisionKind::Reject,
        Command::Assign(_)
        | Command::Attach { .. }
        | Command::Ask(_)
        | Command::Extend { .. }
        | Command::Consume(_) => false,
    }
}

/// Returns how many events the instance may still seal beside those that its consumptions need.
fn free_events(instance: &Instance) -> u32 {
    let owed = u32::try_from(instance.events_owed()).unwrap_or(u32::MAX);
    EVENTS_MAX.saturating_sub(instance.events).saturating_sub(owed)
}

/// Returns the instant `length` after `now`, and never `now` itself: what lapses at once could never be used.
fn after(now: UnixMillis, length: DurationMs) -> UnixMillis {
    now.plus(length.max(DurationMs::new(1)))
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

    /// Refuses, and keeps what must be sealed all the same: a failed evaluation.
    fn refuse(self, refusal: Refusal) -> Result<Decided, Refusal> {
        if self.events.is_empty() {
            return Err(refusal);
        }
        Ok(Decided { events: self.events, refusal: Some(refusal) })
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

    /// Refuses whatever would go on after the end of the instance's time, or of the grant that waits for an attempt.
    fn not_expired(&self) -> Result<(), Refusal> {
        let at = self.instance.created.expires_at;
        if self.now >= at {
            return Err(Refusal::InstanceExpired { at });
        }
        let pending = self.instance.pending_grant();
        match pending.and_then(|id| self.instance.grants.get(&id).map(|grant| (id, grant.expires_at))) {
            Some((grant, at)) if self.now >= at => Err(Refusal::GrantExpired { grant, at }),
            Some(_) | None => Ok(()),
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
/// `Refusal::Defect` when an event breaks a rule of `check`: then this program is wrong, nothing may be written, and
/// the instance, into which some of the events may have been folded, is to be dropped.
pub fn apply_all(instance: &mut Instance, entries: &[(Entry, Digest)]) -> Result<(), Refusal> {
    for (entry, hash) in entries {
        instance.apply(entry, *hash).map_err(|faults| Refusal::Defect {
            fault: faults.first().copied().unwrap_or(crate::check::Fault::State),
        })?;
    }
    Ok(())
}
