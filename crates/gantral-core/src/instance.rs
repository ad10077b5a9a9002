//! One governed execution, as the fold of its events. State carries its own data.
//!
//! `Instance::apply` is the only way to move: it checks the event against the rules (`check`) and then evolves. The
//! server, the verifier and the tests all fold this one function. Source: `spec/states.md` §4.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::check::{Fault, check, check_created};
use crate::digest::Digest;
use crate::event::{
    Allowed, Asked, Ballot, Consumed, Created, Entry, Event, EvidenceRef, Executor, GateMoved, Granted,
    HumanRequired, Identity, Launch, PolicyRecord,
};
use crate::ids::{ActorId, AttemptNo, GateId, GrantId, PersonId};
use crate::policy::PolicyVersionId;
use crate::rule::{CountedVote, EscalationStep, Rule};
use crate::state::{Cause, DecisionKind, Mode, NextStep, OutcomeStatus, State};
use crate::time::UnixMillis;

/// The most events that one instance may have.
pub const EVENTS_MAX: u32 = 10_000;

/// One governed execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Instance {
    /// What never changes along the chain.
    pub identity: Identity,
    /// What `created` said.
    pub created: Created,
    /// Who created it.
    pub created_by: ActorId,
    /// Where authority stands.
    pub phase: Phase,
    /// The number of the newest attempt.
    pub attempt: AttemptNo,
    /// The newest attempt, until it ends.
    pub live: Option<LiveAttempt>,
    /// Grants that were not consumed yet.
    pub grants: BTreeMap<GrantId, Grant>,
    /// Consumed grants.
    pub consumptions: BTreeMap<GrantId, Consumption>,
    /// The newest gate that humans decided.
    pub decided: Option<DecidedGate>,
    /// How many events were folded.
    pub events: u32,
    /// The instant of the newest event.
    pub last_at: UnixMillis,
    /// The weakest mode of any event.
    pub weakest_mode: Mode,
    /// Whether anything was ever asked for.
    pub asked: bool,
    /// How many attempts were lost.
    pub lost: u32,
    /// Whether anything was observed under SHADOW, so that an outcome without a grant may follow.
    pub observed: bool,
    /// The status with which the newest attempt exited, until the next one is assigned.
    pub exited: Option<i32>,
    /// Why this instance is walked to its end, launching nothing.
    pub walking: Option<Cause>,
    /// The failed evaluation that was sealed last, until something else than its consequences is sealed.
    pub failed: Option<PolicyRecord>,
    /// Consumptions without an outcome, kept beside `consumptions` so that no rule scans them all.
    open: BTreeMap<GrantId, AttemptNo>,
    /// Consumptions whose outcome nobody knows, kept for the same reason.
    unknown: BTreeSet<GrantId>,
}

/// Where authority stands, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Created, not started.
    Created,
    /// Execution is permitted.
    Running,
    /// Authority is absent until humans decide.
    Waiting(Box<Gate>),
    /// Authorised as asked; this grant waits for a fresh attempt.
    Approved(GrantId),
    /// Authorised with a changed action; this grant waits for a fresh attempt.
    Overridden(GrantId),
    /// Refused; the instance must end.
    Rejected(Cause),
    /// A fresh attempt is assigned under this grant.
    Resumed(GrantId),
    /// Ended well.
    Completed,
    /// Ended otherwise.
    Terminated(Cause),
}

/// The newest attempt while it lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LiveAttempt {
    /// Who executes; absent on a walk to the end.
    pub executor: Option<Executor>,
    /// Whether its process has attached.
    pub attached: bool,
    /// Whether a gate retired it: it may read its own status and nothing else.
    pub retired: bool,
}

/// An open gate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gate {
    /// What is asked.
    pub asked: Asked,
    /// The artifact that opened it.
    pub opened_by: Digest,
    /// Who must agree.
    pub rule: Rule,
    /// When its present stage began: it opened then, or escalated last.
    pub since: UnixMillis,
    /// When it escalates or closes.
    pub deadline: UnixMillis,
    /// The instant that no extension passes.
    pub latest_deadline: UnixMillis,
    /// Escalation steps, the first `escalated` of them taken.
    pub escalation: Vec<EscalationStep>,
    /// How many steps were taken.
    pub escalated: usize,
    /// The policy version under which it was asked.
    pub policy_version: PolicyVersionId,
    /// The attempt that it retired.
    pub attempt: AttemptNo,
    /// Votes for the newest proposal, in order. A vote for another action resets them.
    pub votes: Vec<CountedVote>,
    /// Rejections that were counted, in order. They are about the request itself: nothing resets them.
    pub rejections: Vec<CountedVote>,
}

/// How a gate was decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DecidedGate {
    /// The gate.
    pub id: GateId,
    /// The deciding vote's actor, for answering whoever came later.
    pub by: ActorId,
    /// What it said.
    pub decision: DecisionKind,
    /// When.
    pub at: UnixMillis,
}

/// A permission that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Commitment of the action.
    pub action: Digest,
    /// Commitment of the context that was evaluated when it was asked for.
    pub context: Digest,
    /// When it lapses.
    pub expires_at: UnixMillis,
    /// Where it comes from.
    pub origin: Origin,
    /// The place in the chain of the artifact that made it.
    pub sequence: u64,
}

/// Where a grant comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Policy allowed it: only the attempt that asked may consume.
    Policy {
        /// That attempt.
        attempt: AttemptNo,
    },
    /// Humans decided: only a later attempt may consume.
    Humans(Box<HumanOrigin>),
}

/// The human decision behind a grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HumanOrigin {
    /// The gate.
    pub gate: GateId,
    /// The action that was asked for.
    pub asked: Digest,
    /// Whether the action was changed.
    pub overridden: bool,
    /// The votes that count for the granted action.
    pub votes: Vec<CountedVote>,
    /// How many persons had rejected when it was granted.
    pub rejections: usize,
    /// How many escalation steps had been taken when they decided.
    pub escalated: usize,
    /// Whether the deciding vote broke the glass.
    pub break_glass: bool,
    /// The policy version under which it was asked.
    pub policy_version: PolicyVersionId,
    /// The attempt that the gate retired.
    pub retired: AttemptNo,
}

/// A consumed grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Consumption {
    /// The attempt that consumed.
    pub attempt: AttemptNo,
    /// Commitment of the action.
    pub action: Digest,
    /// Its outcome, when there is one.
    pub outcome: Option<OutcomeStatus>,
    /// What was captured of it, as its report named it.
    pub evidence: Vec<EvidenceRef>,
}

impl Instance {
    /// Begins the fold with a `created` entry.
    ///
    /// # Errors
    /// Every rule that the entry breaks.
    pub fn begin(identity: Identity, entry: &Entry) -> Result<Self, Vec<Fault>> {
        let created = check_created(entry)?;
        Ok(Self {
            identity,
            created: created.clone(),
            created_by: entry.actor.id.clone(),
            phase: Phase::Created,
            attempt: AttemptNo::NONE,
            live: None,
            grants: BTreeMap::new(),
            consumptions: BTreeMap::new(),
            decided: None,
            events: 1,
            last_at: entry.at,
            weakest_mode: entry.mode,
            asked: false,
            lost: 0,
            observed: false,
            exited: None,
            walking: None,
            failed: None,
            open: BTreeMap::new(),
            unknown: BTreeSet::new(),
        })
    }

    /// Checks an entry against every rule and folds it in. `hash` is the hash of the artifact that seals the entry.
    ///
    /// # Errors
    /// Every rule that the entry breaks; the instance has then not moved.
    pub fn apply(&mut self, entry: &Entry, hash: Digest) -> Result<(), Vec<Fault>> {
        check(self, entry)?;
        self.events = self.events.saturating_add(1);
        self.last_at = entry.at;
        self.weakest_mode = self.weakest_mode.max(entry.mode);
        self.evolve(entry, hash);
        Ok(())
    }

    /// Returns the state's name without its data.
    pub const fn state(&self) -> State {
        match &self.phase {
            Phase::Created => State::Created,
            Phase::Running => State::Running,
            Phase::Waiting(_) => State::WaitingForHuman,
            Phase::Approved(_) => State::Approved,
            Phase::Overridden(_) => State::Overridden,
            Phase::Rejected(_) => State::Rejected,
            Phase::Resumed(_) => State::Resumed,
            Phase::Completed => State::Completed,
            Phase::Terminated(_) => State::Terminated,
        }
    }

    /// Returns the open gate.
    pub const fn gate(&self) -> Option<&Gate> {
        match &self.phase {
            Phase::Waiting(gate) => Some(gate),
            _ => None,
        }
    }

    /// Returns the gate of this identifier, while it is open.
    pub fn gate_named(&self, id: GateId) -> Option<&Gate> {
        self.gate().filter(|gate| gate.asked.id == id)
    }

    /// Returns the grant that a human gave and no attempt attached for yet.
    pub const fn pending_grant(&self) -> Option<GrantId> {
        match &self.phase {
            Phase::Approved(grant) | Phase::Overridden(grant) | Phase::Resumed(grant) => Some(*grant),
            _ => None,
        }
    }

    /// Returns the grants whose outcome nobody knows: they block asks, assignments and consumption.
    pub fn unknown_outcomes(&self) -> impl Iterator<Item = GrantId> + '_ {
        self.unknown.iter().copied()
    }

    /// Returns the consumptions that have no outcome at all.
    pub fn open_consumptions(&self) -> impl Iterator<Item = (GrantId, AttemptNo)> + '_ {
        self.open.iter().map(|(id, attempt)| (*id, *attempt))
    }

    /// Tells whether the outcome of everything that was consumed is known.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty() && self.unknown.is_empty()
    }

    /// Returns the place in the chain of the event that is being applied.
    fn newest(&self) -> u64 {
        u64::from(self.events).saturating_sub(1)
    }

    /// Returns how many events may still be needed to settle what was consumed: two where nothing was reported yet
    /// (UNKNOWN, and what a human finds out), one where that is owed.
    pub(crate) fn events_owed(&self) -> usize {
        self.open.len().saturating_mul(2).saturating_add(self.unknown.len())
    }

    /// Returns everybody who is in the requester chain, or owns part of it: nobody of these may decide.
    pub fn is_requester(&self, person: PersonId) -> bool {
        self.created
            .requester
            .iter()
            .any(|link| link.owner == Some(person) || PersonId::from_actor(&link.id) == Some(person))
    }

    fn evolve(&mut self, entry: &Entry, hash: Digest) {
        // A grant that follows a failure may be consumed in the same append, upon the same failure.
        if !matches!(&entry.event, Event::Allowed(detail) if detail.policy.failure.is_some()) {
            self.failed = None;
        }
        match &entry.event {
            Event::Created(_) => {}
            Event::EvaluatorFailed(policy) => self.failed = Some(policy.clone()),
            Event::Observed(_) => {
                self.asked = true;
                self.observed = true;
            }
            Event::AttemptAssigned(launch) => {
                self.assign(entry.attempt, launch, self.phase == Phase::Running)
            }
            Event::Resumed(launch) => self.resume(entry.attempt, launch),
            Event::Started(launch) | Event::Running(launch) => self.attach(launch),
            Event::AttemptEnded(detail) => {
                self.live = None;
                self.exited = detail.exit_status;
                // What policy allowed, it allowed to the attempt that asked.
                self.grants.retain(|_, grant| matches!(grant.origin, Origin::Humans(_)));
                self.lost = self.lost.saturating_add(u32::from(detail.cause == Cause::Lost));
            }
            Event::HumanRequired(detail) => self.open_gate(detail, entry, hash),
            Event::Vote(ballot) => self.count(ballot, entry),
            Event::Approved(granted) => self.grant(granted, entry, false),
            Event::Overridden(granted) => self.grant(granted, entry, true),
            Event::Rejected(detail) => {
                self.decided = Some(DecidedGate {
                    id: detail.gate,
                    by: entry.actor.id.clone(),
                    decision: DecisionKind::Reject,
                    at: entry.at,
                });
                self.phase = Phase::Rejected(detail.cause);
            }
            Event::Escalated(moved) | Event::Extended(moved) => self.move_gate(moved, entry.at),
            Event::Allowed(detail) => self.allow(detail, entry.attempt),
            Event::Consumed(detail) => self.consume(detail, entry.attempt),
            Event::Outcome(detail) => {
                if let Some(grant) = detail.grant {
                    self.settle(grant, detail.status);
                    if let Some(consumption) = self.consumptions.get_mut(&grant) {
                        consumption.evidence.clone_from(&detail.evidence);
                    }
                }
            }
            Event::Reconciled(detail) => {
                self.settle(detail.grant, detail.status);
                if detail.next == NextStep::Terminate {
                    self.walking = Some(Cause::Cancelled);
                }
            }
            Event::Completed(_) => self.phase = Phase::Completed,
            Event::Terminated(detail) => {
                self.phase = Phase::Terminated(detail.cause.unwrap_or(Cause::Failed))
            }
        }
    }

    fn resume(&mut self, attempt: AttemptNo, launch: &Launch) {
        if let Some(grant) = self.pending_grant() {
            self.phase = Phase::Resumed(grant);
        }
        self.walking = launch.cause;
        if launch.cause.is_none() {
            self.assign(attempt, launch, false);
        }
    }

    fn attach(&mut self, launch: &Launch) {
        self.phase = Phase::Running;
        self.walking = launch.cause;
        if let Some(live) = &mut self.live {
            live.attached = true;
        }
    }

    fn move_gate(&mut self, moved: &GateMoved, at: UnixMillis) {
        let Phase::Waiting(gate) = &mut self.phase else { return };
        gate.asked.version = moved.version;
        gate.deadline = moved.deadline;
        if moved.step.is_some() {
            gate.since = at;
            gate.escalated = gate.escalated.saturating_add(1);
            gate.rule.escalate(&moved.roles);
            gate.votes.clear();
        }
    }

    fn allow(&mut self, detail: &Allowed, attempt: AttemptNo) {
        self.asked = true;
        let Some(terms) = detail.grant else { return };
        let grant = Grant {
            action: detail.action,
            context: detail.context,
            expires_at: terms.expires_at,
            origin: Origin::Policy { attempt },
            sequence: self.newest(),
        };
        self.grants.insert(terms.id, grant);
    }

    fn consume(&mut self, detail: &Consumed, attempt: AttemptNo) {
        self.grants.remove(&detail.grant);
        let consumption = Consumption { attempt, action: detail.action, outcome: None, evidence: Vec::new() };
        self.consumptions.insert(detail.grant, consumption);
        self.open.insert(detail.grant, attempt);
    }

    fn settle(&mut self, grant: GrantId, status: OutcomeStatus) {
        let Some(consumption) = self.consumptions.get_mut(&grant) else { return };
        consumption.outcome = Some(status);
        self.open.remove(&grant);
        match status {
            OutcomeStatus::Unknown => self.unknown.insert(grant),
            OutcomeStatus::Succeeded | OutcomeStatus::Failed => self.unknown.remove(&grant),
        };
    }

    /// In RUNNING an assignment replaces a lost attempt and is in force at once; elsewhere the process attaches later.
    fn assign(&mut self, number: AttemptNo, launch: &Launch, attached: bool) {
        self.attempt = number;
        self.exited = None;
        self.live = Some(LiveAttempt { executor: launch.executor.clone(), attached, retired: false });
    }

    /// Opens a gate: the asking attempt is retired, and every grant that was not used lapses (S35).
    fn open_gate(&mut self, detail: &HumanRequired, entry: &Entry, hash: Digest) {
        self.asked = true;
        self.grants.clear();
        if let Some(live) = &mut self.live {
            live.retired = true;
        }
        self.phase = Phase::Waiting(Box::new(Gate {
            asked: detail.gate.clone(),
            opened_by: hash,
            rule: detail.rule.clone(),
            since: entry.at,
            deadline: detail.deadline,
            latest_deadline: detail.latest_deadline,
            escalation: detail.escalation.clone(),
            escalated: 0,
            policy_version: detail.policy.version,
            attempt: entry.attempt,
            votes: Vec::new(),
            rejections: Vec::new(),
        }));
    }

    fn count(&mut self, ballot: &Ballot, entry: &Entry) {
        if let Phase::Waiting(gate) = &mut self.phase {
            gate.votes = gate.votes_with(ballot, &entry.actor.id);
            if ballot.decision == DecisionKind::Reject {
                gate.rejections.extend(counted(ballot, &entry.actor.id));
            }
        }
    }

    fn grant(&mut self, granted: &Granted, entry: &Entry, overridden: bool) {
        let Phase::Waiting(gate) = &self.phase else { return };
        let origin = HumanOrigin {
            gate: gate.asked.id,
            asked: gate.asked.action,
            overridden,
            votes: gate.votes_with(&granted.ballot, &entry.actor.id),
            rejections: gate.rejections.len(),
            escalated: gate.escalated,
            break_glass: granted.ballot.break_glass,
            policy_version: gate.policy_version,
            retired: gate.attempt,
        };
        self.decided = Some(DecidedGate {
            id: gate.asked.id,
            by: entry.actor.id.clone(),
            decision: granted.ballot.decision,
            at: entry.at,
        });
        let terms = granted.grant;
        let grant = Grant {
            action: granted.ballot.approved,
            context: gate.asked.context,
            expires_at: terms.expires_at,
            origin: Origin::Humans(Box::new(origin)),
            sequence: self.newest(),
        };
        self.grants.insert(terms.id, grant);
        self.phase = if overridden { Phase::Overridden(terms.id) } else { Phase::Approved(terms.id) };
    }
}

impl Gate {
    /// Returns the votes that count once this ballot is cast. One that grants drops votes for another action; a rejection
    /// withdraws what its person granted before, and nothing else.
    pub fn votes_with(&self, ballot: &Ballot, actor: &ActorId) -> Vec<CountedVote> {
        let vote = counted(ballot, actor);
        if ballot.decision == DecisionKind::Reject {
            let is_same = |earlier: &CountedVote| {
                vote.as_ref().is_some_and(|vote| earlier.involves(vote.person) || earlier.involves(vote.by))
            };
            return self.votes.iter().filter(|earlier| !is_same(earlier)).cloned().collect();
        }
        self.votes_beside(ballot).cloned().chain(vote).collect()
    }

    /// Returns the earlier votes that stand beside this one: those for the same action.
    pub fn votes_beside(&self, ballot: &Ballot) -> impl Iterator<Item = &CountedVote> + Clone {
        let action = ballot.approved;
        self.votes.iter().filter(move |vote| vote.action == action)
    }

    /// Tells whether one of these persons has no such ballot left: who has rejected has none, who has granted one action can
    /// still reject it or grant another (S30).
    pub fn has_voted(&self, ballot: &Ballot, persons: &[PersonId]) -> bool {
        let involves = |vote: &CountedVote| persons.iter().any(|person| vote.involves(*person));
        self.rejections.iter().any(involves)
            || (ballot.decision != DecisionKind::Reject && self.votes_beside(ballot).any(involves))
    }

    /// Tells whether this rejection closes the gate, instead of being counted (S32, S33).
    pub fn closes_with(&self, ballot: &Ballot) -> bool {
        ballot.break_glass || self.rule.is_refused_by(self.rejections.len().saturating_add(1))
    }
}

/// Returns what of a ballot counts; nothing, if its human is nobody.
fn counted(ballot: &Ballot, actor: &ActorId) -> Option<CountedVote> {
    let by = PersonId::from_actor(actor)?;
    let person = ballot.acts_for.unwrap_or(by);
    let (role, evidence) = (ballot.role.clone(), ballot.evidence);
    Some(CountedVote { person, by, role, action: ballot.approved, evidence })
}
