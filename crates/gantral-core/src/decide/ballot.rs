//! Humans at a gate: votes, extensions, withdrawal.

use super::Draft;
use crate::check::is_sufficient;
use crate::command::{Command, Decided, Refusal};
use crate::event::{Ballot, Ended, Event, GateMoved, Granted, Rejected};
use crate::ids::{GateId, PersonId};
use crate::instance::{Gate, Instance, Phase};
use crate::rule::Tally;
use crate::state::{Cause, DecisionKind};
use crate::time::UnixMillis;

/// Tells whoever comes second who decided first.
pub(super) fn already_decided(instance: &Instance, command: &Command) -> Option<Refusal> {
    let Command::Decide(granted) = command else { return None };
    let decided = instance.decided.as_ref().filter(|decided| decided.id == granted.ballot.gate)?;
    Some(Refusal::AlreadyDecided {
        gate: decided.id,
        by: decided.by.clone(),
        decision: decided.decision,
        at: decided.at,
    })
}

impl Draft<'_> {
    fn open_gate_named(&self, id: GateId, version: u32) -> Result<&Gate, Refusal> {
        let gate = self
            .instance
            .gate()
            .filter(|gate| gate.asked.id == id)
            .ok_or(Refusal::GateUnknown { gate: id })?;
        if self.now >= gate.deadline {
            return Err(Refusal::DeadlinePassed { deadline: gate.deadline });
        }
        if version != gate.asked.version {
            return Err(Refusal::GateMoved { seen: version, current: gate.asked.version });
        }
        Ok(gate)
    }

    pub(super) fn ballot(mut self, granted: Granted) -> Result<Decided, Refusal> {
        if let Some(refusal) =
            already_decided(self.instance, &Command::Decide(alloc::boxed::Box::new(granted.clone())))
        {
            return Err(refusal);
        }
        let ballot = &granted.ballot;
        let gate = self.open_gate_named(ballot.gate, ballot.gate_version)?;
        self.admit(gate, ballot)?;
        if ballot.decision == DecisionKind::Reject {
            let id = gate.asked.id;
            self.close(Rejected { gate: id, ballot: Some(granted.ballot), cause: Cause::Rejected });
            return self.done();
        }
        let votes = gate.votes_with(ballot, &self.actor.id);
        let event = if gate.rule.tally(votes.iter()) != Tally::Satisfied {
            Event::Vote(granted.ballot)
        } else if ballot.decision == DecisionKind::Override {
            Event::Overridden(granted)
        } else {
            Event::Approved(granted)
        };
        self.push(event);
        self.done()
    }

    /// Refuses whoever may not decide at this gate, or names another action than it asks for.
    fn admit(&self, gate: &Gate, ballot: &Ballot) -> Result<(), Refusal> {
        let person = PersonId::from_actor(&self.actor.id).ok_or(Refusal::SelfApproval)?;
        if self.instance.is_requester(person)
            || ballot.acts_for.is_some_and(|p| self.instance.is_requester(p))
        {
            return Err(Refusal::SelfApproval);
        }
        let unchanged = ballot.approved == ballot.asked;
        if ballot.asked != gate.asked.action || unchanged == (ballot.decision == DecisionKind::Override) {
            return Err(Refusal::ActionMismatch);
        }
        if !is_sufficient(ballot.evidence, gate.rule.required_evidence) {
            return Err(Refusal::EvidenceTooWeak);
        }
        let earlier = || gate.votes.iter().filter(|vote| vote.action == ballot.approved);
        let rejecting = ballot.decision == DecisionKind::Reject;
        let voter = ballot.acts_for.unwrap_or(person);
        if !rejecting && earlier().any(|vote| vote.person == voter) {
            return Err(Refusal::AlreadyVoted);
        }
        let eligible = if rejecting {
            gate.rule.roles().contains(&ballot.role)
        } else {
            gate.rule.is_eligible(&ballot.role, earlier())
        };
        if eligible { Ok(()) } else { Err(Refusal::NotEligible { role: ballot.role.clone() }) }
    }

    /// Closes the gate and ends the instance, in one append.
    pub(super) fn close(&mut self, rejected: Rejected) {
        let cause = rejected.cause;
        self.push(Event::Rejected(rejected));
        self.push(Event::Terminated(Ended { cause: Some(cause), policy: None }));
    }

    pub(super) fn withdraw(mut self) -> Result<Decided, Refusal> {
        if self.actor.id != self.instance.created_by {
            return Err(Refusal::NotCreator);
        }
        let Phase::Waiting(gate) = &self.instance.phase else { return Err(self.wrong_state()) };
        self.settled_before_the_end()?;
        self.close(Rejected { gate: gate.asked.id, ballot: None, cause: Cause::Withdrawn });
        self.done()
    }

    pub(super) fn extend(
        mut self,
        gate: GateId,
        version: u32,
        deadline: UnixMillis,
    ) -> Result<Decided, Refusal> {
        let open = self.open_gate_named(gate, version)?;
        let roles = open.rule.roles();
        let latest = open.latest_deadline;
        let later = deadline > open.deadline && deadline <= latest;
        let person = PersonId::from_actor(&self.actor.id).ok_or(Refusal::SelfApproval)?;
        if self.instance.is_requester(person) {
            return Err(Refusal::SelfApproval);
        }
        match &self.actor.role {
            Some(role) if roles.contains(role) => {}
            Some(role) => return Err(Refusal::NotEligible { role: role.clone() }),
            None => return Err(Refusal::SelfApproval),
        }
        if !later {
            return Err(Refusal::ExtensionOutOfRange { latest });
        }
        self.push(Event::Extended(GateMoved {
            gate,
            version: version.saturating_add(1),
            step: None,
            roles,
            deadline,
        }));
        self.done()
    }
}
