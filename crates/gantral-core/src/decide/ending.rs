//! The ways out: from every state the engine can walk the remaining arrows to TERMINATED, launching nothing.

use super::Draft;
use crate::command::{Decided, Refusal};
use crate::event::{Ended, Event, Launch, Reconciled, Rejected};
use crate::instance::Phase;
use crate::state::{Cause, NextStep, OutcomeStatus};

impl Draft<'_> {
    pub(super) fn cancel(mut self) -> Result<Decided, Refusal> {
        self.settled()?;
        self.end(Cause::Cancelled);
        self.done()
    }

    /// Refuses to end an instance, or to go on with another attempt, while somebody may still be acting or nobody
    /// knows what came of an action.
    pub(super) fn settled(&self) -> Result<(), Refusal> {
        self.no_unknown_outcome()?;
        self.nothing_open()
    }

    /// Refuses while an action was begun and nobody reported what came of it.
    pub(super) fn nothing_open(&self) -> Result<(), Refusal> {
        match self.instance.open_consumptions().next() {
            Some((grant, _)) => Err(Refusal::OutcomeOpen { grant }),
            None => Ok(()),
        }
    }

    /// Ends from wherever the instance stands.
    fn end(&mut self, cause: Cause) {
        match &self.instance.phase {
            Phase::Waiting(gate) => self.close(Rejected { gate: gate.asked.id, ballot: None, cause }),
            _ => self.walk(cause),
        }
    }

    /// Walks the remaining arrows of a state outside the gate.
    pub(super) fn walk(&mut self, cause: Cause) {
        let launch = || Launch { executor: None, context: None, lease: None, cause: Some(cause) };
        match &self.instance.phase {
            Phase::Created => self.push(Event::Started(launch())),
            Phase::Approved(_) | Phase::Overridden(_) => {
                self.push(Event::Resumed(launch()));
                self.push(Event::Running(launch()));
            }
            Phase::Resumed(_) => self.push(Event::Running(launch())),
            Phase::Running
            | Phase::Waiting(_)
            | Phase::Rejected(_)
            | Phase::Completed
            | Phase::Terminated(_) => {}
        }
        self.push(Event::Terminated(Ended { cause: Some(cause), policy: None }));
    }

    pub(super) fn reconcile(mut self, reconciled: Reconciled) -> Result<Decided, Refusal> {
        let grant = reconciled.grant;
        let unknown =
            self.instance.consumptions.get(&grant).is_some_and(|c| c.outcome == Some(OutcomeStatus::Unknown));
        if !unknown || reconciled.status == OutcomeStatus::Unknown {
            return Err(Refusal::OutcomeNotOwed { grant });
        }
        let next = reconciled.next;
        self.push(Event::Reconciled(reconciled));
        if next == NextStep::Terminate {
            // Everything else that was consumed must be settled before anything can end.
            if let Some(other) = self.instance.unknown_outcomes().find(|other| *other != grant) {
                return Err(Refusal::OutcomeUnknown { grant: other });
            }
            self.nothing_open()?;
            self.end(Cause::Cancelled);
        }
        self.done()
    }
}
