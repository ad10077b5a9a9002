//! What must hold of whatever is sealed, counted along by somebody who knows the true time and nothing of the machine.

use std::collections::{BTreeMap, BTreeSet};

use gantral_core::digest::Digest;
use gantral_core::event::{Actor, Ballot, Entry, Event};
use gantral_core::ids::{ActorId, AttemptNo, GrantId};
use gantral_core::state::{ActorKind, DecisionKind};
use gantral_core::time::UnixMillis;

use crate::world::{agent, person};

/// How many agree in these worlds before a gate grants.
pub const AGREE: usize = 2;

/// What was promised so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Monitor {
    last: Option<UnixMillis>,
    ended: bool,
    open: Option<Open>,
    granted: BTreeMap<GrantId, Promise>,
    used: BTreeSet<GrantId>,
    owed: BTreeSet<GrantId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Open {
    deadline: UnixMillis,
    retired: AttemptNo,
    agreed: BTreeMap<Digest, BTreeSet<ActorId>>,
    refused: BTreeSet<ActorId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Promise {
    action: Digest,
    expires_at: UnixMillis,
    /// The attempt that a human's grant must come after; none for what policy allowed.
    after: Option<AttemptNo>,
}

impl Monitor {
    /// The same, whenever the last of it happened: that can only be earlier than what follows.
    pub fn timeless(self) -> Self {
        Self { last: None, ..self }
    }

    /// Hears of one sealed entry, and at which true time it was decided.
    ///
    /// # Errors
    /// Which promise is broken.
    pub fn hear(&mut self, entry: &Entry, now: UnixMillis, frozen: bool) -> Result<(), &'static str> {
        promise(!self.ended, "something is sealed after the end")?;
        promise(self.last.is_none_or(|last| last <= entry.at), "time goes back along a chain")?;
        promise(entry.at <= now, "something is sealed before it happens")?;
        self.last = Some(entry.at);
        match &entry.event {
            Event::HumanRequired(asked) => {
                promise(self.open.is_none(), "a gate is opened within a gate")?;
                self.open = Some(Open {
                    deadline: asked.deadline,
                    retired: entry.attempt,
                    agreed: BTreeMap::new(),
                    refused: BTreeSet::new(),
                });
                self.granted.clear();
            }
            Event::Escalated(moved) => {
                let open = self.open.as_mut().ok_or("a gate that is not open escalates")?;
                promise(open.deadline <= now, "a gate escalates before its deadline")?;
                (open.deadline, open.agreed) = (moved.deadline, BTreeMap::new());
            }
            Event::Extended(moved) => self.at_the_gate(&entry.actor, now)?.deadline = moved.deadline,
            Event::Vote(ballot) => self.vote(ballot, &entry.actor, now)?,
            Event::Approved(granted) | Event::Overridden(granted) => {
                self.vote(&granted.ballot, &entry.actor, now)?;
                let open = self.open.take().ok_or("a gate that is not open grants")?;
                let agreed = open.agreed.get(&granted.ballot.approved).map_or(0, BTreeSet::len);
                promise(agreed >= AGREE, "too few agreed")?;
                let after = Some(open.retired);
                let (action, expires_at) = (granted.ballot.approved, granted.grant.expires_at);
                self.granted.insert(granted.grant.id, Promise { action, expires_at, after });
            }
            Event::Rejected(rejected) => {
                if rejected.ballot.is_some() {
                    self.at_the_gate(&entry.actor, now)?;
                }
                promise(self.open.take().is_some(), "a gate that is not open closes")?;
            }
            Event::Allowed(allowed) => {
                promise(self.open.is_none(), "policy allows while humans are asked")?;
                let terms = allowed.grant.ok_or("an enforced answer without a grant")?;
                let (action, expires_at) = (allowed.action, terms.expires_at);
                self.granted.insert(terms.id, Promise { action, expires_at, after: None });
            }
            Event::Consumed(consumed) => {
                promise(!frozen, "something is used while authority is frozen")?;
                promise(self.open.is_none(), "something is used while humans are asked")?;
                promise(self.used.insert(consumed.grant), "a grant is used twice")?;
                let granted = self.granted.remove(&consumed.grant).ok_or("what nobody granted is used")?;
                promise(granted.action == consumed.action, "another action than the granted one is begun")?;
                promise(now < granted.expires_at, "a grant is used after its time")?;
                let later = granted.after.is_none_or(|retired| entry.attempt > retired);
                promise(later, "the attempt that asked humans uses the grant itself")?;
                self.owed.insert(consumed.grant);
            }
            Event::AttemptAssigned(launch) | Event::Resumed(launch) if launch.cause.is_none() => {
                promise(!frozen, "an attempt is assigned while authority is frozen")?;
                promise(self.open.is_none(), "an attempt is assigned while humans are asked")?;
            }
            Event::Outcome(outcome) => {
                let grant = outcome.grant.ok_or("an outcome of nothing")?;
                promise(self.used.contains(&grant), "an outcome of what was not used")?;
                self.owed.remove(&grant);
            }
            Event::Completed(_) | Event::Terminated(_) => {
                promise(self.open.is_none(), "an instance ends within a gate")?;
                promise(self.owed.is_empty(), "an instance ends while an outcome is owed")?;
                self.ended = true;
            }
            Event::Created(_)
            | Event::Started(_)
            | Event::AttemptAssigned(_)
            | Event::Resumed(_)
            | Event::Running(_)
            | Event::AttemptEnded(_)
            | Event::Observed(_)
            | Event::Reconciled(_)
            | Event::EvaluatorFailed(_) => {}
        }
        Ok(())
    }

    fn vote(&mut self, ballot: &Ballot, actor: &Actor, now: UnixMillis) -> Result<(), &'static str> {
        let open = self.at_the_gate(actor, now)?;
        if ballot.decision == DecisionKind::Reject {
            return promise(open.refused.insert(actor.id.clone()), "somebody refuses twice");
        }
        promise(!open.refused.contains(&actor.id), "who refused agrees")?;
        // A vote for another action begins anew.
        open.agreed.retain(|action, _| *action == ballot.approved);
        let fresh = open.agreed.entry(ballot.approved).or_default().insert(actor.id.clone());
        promise(fresh, "somebody agrees twice")
    }

    /// Returns the open gate to somebody who may do something there now.
    fn at_the_gate(&mut self, actor: &Actor, now: UnixMillis) -> Result<&mut Open, &'static str> {
        promise(actor.kind == ActorKind::Human, "somebody else than a human decides")?;
        let asks = ["oscar", "olivia"].iter().any(|name| person(name).actor() == actor.id);
        promise(!asks && actor.id != agent().id, "who asks decides")?;
        let open = self.open.as_mut().ok_or("somebody decides where no gate is open")?;
        promise(now < open.deadline, "somebody decides after the deadline")?;
        Ok(open)
    }
}

fn promise(holds: bool, broken: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(broken) }
}
