//! Humans at a gate: votes, extensions, withdrawal.

use super::Draft;
use crate::check::is_sufficient;
use crate::command::{Command, Decided, Refusal};
use crate::event::{Ballot, Ended, Event, GateMoved, GrantTerms, Granted, Rejected};
use crate::ids::{GateId, PersonId};
use crate::instance::{Gate, Instance, Phase};
use crate::rule::Tally;
use crate::state::{Cause, DecisionKind};
use crate::time::UnixMillis;

/// Tells whoever comes second who decided first.
pub(super) fn already_decided(instance: &Instance, command: &Command) -> Option<Refusal> {
    let Command::Decide(granted) = command else { return None };
    decided_before(instance, granted.ballot.gate)
}

fn decided_before(instance: &Instance, gate: GateId) -> Option<Refusal> {
    let decided = instance.decided.as_ref().filter(|decided| decided.id == gate)?;
    Some(Refusal::AlreadyDecided {
        gate: decided.id,
        by: decided.by.clone(),
        decision: decided.decision,
        at: decided.at,
    })
}

impl Draft<'_> {
    fn open_gate_named(&self, id: GateId, version: u32) -> Result<&Gate, Refusal> {
        let gate = self.instance.gate_named(id).ok_or(Refusal::GateUnknown { gate: id })?;
        if self.now >= gate.deadline {
            return Err(Refusal::DeadlinePassed { deadline: gate.deadline });
        }
        if version != gate.asked.version {
            return Err(Refusal::GateMoved { seen: version, current: gate.asked.version });
        }
        Ok(gate)
    }

    pub(super) fn ballot(mut self, granted: Granted) -> Result<Decided, Refusal> {
        if let Some(refusal) = decided_before(self.instance, granted.ballot.gate) {
            return Err(refusal);
        }
        let ballot = &granted.ballot;
        let gate = self.open_gate_named(ballot.gate, ballot.gate_version)?;
        self.admit(gate, ballot)?;
        if ballot.decision == DecisionKind::Reject {
            let id = gate.asked.id;
            if gate.closes_with(ballot) {
                self.close(Rejected { gate: id, ballot: Some(granted.ballot), cause: Cause::Rejected });
            } else {
                self.push(Event::Vote(granted.ballot));
            }
            return self.done();
        }
        let votes = gate.votes_with(ballot, &self.actor.id);
        let event = if !ballot.break_glass && gate.rule.tally(votes.iter()) != Tally::Satisfied {
            Event::Vote(granted.ballot)
        } else {
            let overridden = ballot.decision == DecisionKind::Override;
            let granted = Granted { grant: self.grantable(granted.grant)?, ..granted };
            if overridden { Event::Overridden(granted) } else { Event::Approved(granted) }
        };
        self.push(event);
        self.done()
    }

    /// Shortens a grant to the end of the instance's time; refuses one that could not be used.
    fn grantable(&self, terms: GrantTerms) -> Result<GrantTerms, Refusal> {
        let expires_at = terms.expires_at.min(self.instance.created.expires_at);
        if self.now >= expires_at {
            return Err(Refusal::GrantExpired { grant: terms.id, at: expires_at });
        }
        self.unused(terms.id)?;
        Ok(GrantTerms { id: terms.id, expires_at })
    }

    /// Refuses whoever may not decide at this gate, or names another request or action than it stands for.
    fn admit(&self, gate: &Gate, ballot: &Ballot) -> Result<(), Refusal> {
        let person = PersonId::from_actor(&self.actor.id).ok_or(Refusal::SelfApproval)?;
        let voter = ballot.acts_for.unwrap_or(person);
        if self.instance.is_requester(person) || self.instance.is_requester(voter) {
            return Err(Refusal::SelfApproval);
        }
        if ballot.request_artifact_hash != gate.opened_by {
            return Err(Refusal::GateUnknown { gate: ballot.gate });
        }
        let unchanged = ballot.approved == ballot.asked;
        if ballot.asked != gate.asked.action || unchanged == (ballot.decision == DecisionKind::Override) {
            return Err(Refusal::ActionMismatch);
        }
        if !is_sufficient(ballot.evidence, gate.rule.required_evidence) {
            return Err(Refusal::EvidenceTooWeak);
        }
        if gate.has_voted(ballot, &[person, voter]) {
            return Err(Refusal::AlreadyVoted);
        }
        let eligible = if ballot.break_glass {
            gate.rule.break_glass_roles.contains(&ballot.role)
        } else if ballot.decision == DecisionKind::Reject {
            gate.rule.roles().contains(&ballot.role)
        } else {
            gate.rule.is_eligible(&ballot.role, gate.votes_beside(ballot))
        };
        let holds_role = self.actor.role.as_ref() == Some(&ballot.role);
        let delegated = ballot.acts_for.is_some() == ballot.delegation.is_some();
        if eligible && holds_role && delegated {
            Ok(())
        } else {
            Err(Refusal::NotEligible { role: ballot.role.clone() })
        }
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
        self.settled()?;
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
