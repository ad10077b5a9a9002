//! Attempts: assigned, attached, ended.

use super::Draft;
use crate::command::{Assignment, AttemptEnd, Decided, Refusal};
use crate::event::{AttemptEnded, Ended, Event, Executor, Launch, Outcome};
use crate::ids::AttemptNo;
use crate::instance::Phase;
use crate::state::{Cause, ExecutorKind, OutcomeStatus};

impl Draft<'_> {
    pub(super) fn assign(mut self, assignment: Assignment) -> Result<Decided, Refusal> {
        if self.instance.live.is_some() {
            return Err(Refusal::AttemptAlive { attempt: self.instance.attempt });
        }
        self.settled()?;
        let launch = Launch {
            executor: Some(assignment.executor),
            context: Some(assignment.context),
            lease: Some(assignment.lease),
            cause: None,
        };
        let event = match &self.instance.phase {
            Phase::Created | Phase::Running | Phase::Resumed(_) => Event::AttemptAssigned(launch),
            Phase::Approved(_) | Phase::Overridden(_) => Event::Resumed(launch),
            Phase::Waiting(_) | Phase::Rejected(_) | Phase::Completed | Phase::Terminated(_) => {
                return Err(self.wrong_state());
            }
        };
        self.not_expired()?;
        self.push_as(event, self.instance.attempt.next());
        self.done()
    }

    /// Attaching twice is answered without an event: a repeated request after a lost answer must not fail.
    pub(super) fn attach(mut self, attempt: AttemptNo) -> Result<Decided, Refusal> {
        if attempt != self.instance.attempt {
            return Err(Refusal::StaleAttempt { attempt, newest: self.instance.attempt });
        }
        let Some(live) = &self.instance.live else { return Err(Refusal::AttemptInactive { attempt }) };
        if live.retired {
            return Err(Refusal::AttemptInactive { attempt });
        }
        if live.attached {
            return self.done();
        }
        self.not_expired()?;
        let launch = Launch { executor: live.executor.clone(), context: None, lease: None, cause: None };
        match &self.instance.phase {
            Phase::Created => self.push(Event::Started(launch)),
            Phase::Resumed(_) => self.push(Event::Running(launch)),
            Phase::Running
            | Phase::Waiting(_)
            | Phase::Approved(_)
            | Phase::Overridden(_)
            | Phase::Rejected(_)
            | Phase::Completed
            | Phase::Terminated(_) => return Err(self.wrong_state()),
        }
        self.done()
    }

    pub(super) fn end_attempt(
        mut self,
        attempt: AttemptNo,
        end: AttemptEnd,
        may_retry: bool,
    ) -> Result<Decided, Refusal> {
        if attempt != self.instance.attempt {
            return Err(Refusal::StaleAttempt { attempt, newest: self.instance.attempt });
        }
        let Some(live) = &self.instance.live else { return Err(Refusal::AttemptInactive { attempt }) };
        let retired = live.retired;
        self.seal_end(end);
        self.seal_unknown(attempt);
        if retired || !self.instance.is_settled() || self.instance.phase != Phase::Running {
            return self.done();
        }
        match end {
            AttemptEnd::Exited(0) => self.push(Event::Completed(Ended { cause: None, policy: None })),
            AttemptEnd::Lost if may_retry => {}
            AttemptEnd::Exited(_) | AttemptEnd::Lost => self.push_failed(),
        }
        self.done()
    }

    pub(super) fn complete(mut self, attempt: AttemptNo) -> Result<Decided, Refusal> {
        self.acting(attempt)?;
        self.settled()?;
        self.seal_end(AttemptEnd::Exited(0));
        self.push(Event::Completed(Ended { cause: None, policy: None }));
        self.done()
    }

    pub(super) fn fail(self, attempt: AttemptNo) -> Result<Decided, Refusal> {
        self.acting(attempt)?;
        self.end_attempt(attempt, AttemptEnd::Exited(1), false)
    }

    pub(super) fn push_failed(&mut self) {
        self.push(Event::Terminated(Ended { cause: Some(Cause::Failed), policy: None }));
    }

    fn seal_end(&mut self, end: AttemptEnd) {
        let executor = self.instance.live.as_ref().and_then(|live| live.executor.clone());
        let executor = executor
            .unwrap_or_else(|| Executor { kind: ExecutorKind::SelfExecuted, id: self.actor.id.clone() });
        let (cause, exit_status) = match end {
            AttemptEnd::Exited(status) => (Cause::Exited, Some(status)),
            AttemptEnd::Lost => (Cause::Lost, None),
        };
        self.push(Event::AttemptEnded(AttemptEnded { executor, cause, exit_status }));
    }

    /// Seals UNKNOWN for everything that the attempt consumed and never reported.
    fn seal_unknown(&mut self, attempt: AttemptNo) {
        let instance = self.instance;
        for (grant, by) in instance.open_consumptions() {
            if by == attempt {
                let outcome = Outcome {
                    grant: Some(grant),
                    status: OutcomeStatus::Unknown,
                    result: None,
                    evidence: alloc::vec::Vec::new(),
                    cost: None,
                };
                self.push(Event::Outcome(outcome));
            }
        }
    }
}
