//! Asking for authority, and using it.

use super::{Draft, after};
use crate::check::Fault;
use crate::command::{Advice, Ask, Consume, Consumer, Decided, Refusal};
use crate::event::{
    Allowed, Asked, Consumed, Ended, Event, GrantTerms, GuardRecord, HumanRequired, Outcome, PolicyRecord,
};
use crate::ids::{AttemptNo, GrantId};
use crate::instance::{Grant, Origin, Phase};
use crate::policy::Verdict;
use crate::rule::GatePlan;
use crate::state::{Cause, Mode, OutcomeStatus};
use crate::time::DurationMs;

/// How much later than its first deadline a gate may be moved by extensions, in multiples of its timeout.
const EXTENSION_FACTOR: u64 = 4;

impl Draft<'_> {
    pub(super) fn ask(mut self, ask: Ask) -> Result<Decided, Refusal> {
        if self.instance.phase != Phase::Running {
            return Err(self.wrong_state());
        }
        self.acting(ask.attempt)?;
        self.no_unknown_outcome()?;
        self.not_expired()?;
        self.unused(ask.grant)?;
        self.mode = ask.mode;
        if ask.advice.policy.failure.is_some() {
            self.push(Event::EvaluatorFailed(ask.advice.policy.clone()));
        }
        if ask.mode == Mode::Shadow {
            self.push(Event::Observed(allowed(&ask, None)));
            return self.done();
        }
        match ask.advice.policy.verdict {
            Verdict::Allow => self.allow(ask),
            Verdict::RequireHuman => self.open_gate(ask.gate, ask.advice),
            Verdict::Deny => self.deny(ask.advice.policy),
        }
    }

    fn allow(mut self, ask: Ask) -> Result<Decided, Refusal> {
        let expires_at = after(self.now, ask.grant_lifetime).min(self.instance.created.expires_at);
        self.push(Event::Allowed(allowed(&ask, Some(GrantTerms { id: ask.grant, expires_at }))));
        if let Some(consumer) = ask.consume {
            let event = consumed(ask.grant, ask.gate.action, consumer, ask.advice.policy, self.now);
            self.push(event);
        }
        self.done()
    }

    /// Opens a gate (S41). A retired attempt owes nothing, so that whatever humans say can take effect at once: an outcome
    /// that was not reported comes first.
    fn open_gate(mut self, gate: Asked, advice: Advice) -> Result<Decided, Refusal> {
        let Some(GatePlan { rule, timeout, escalation }) = advice.plan else {
            return self.refuse(Refusal::NobodyEligible { version: advice.policy.version });
        };
        if let Err(refusal) = self.nothing_open() {
            return self.refuse(refusal);
        }
        let end = self.instance.created.expires_at;
        let latest = DurationMs::new(timeout.get().saturating_mul(EXTENSION_FACTOR));
        let detail = HumanRequired {
            gate: Asked { version: 1, ..gate },
            rule,
            deadline: after(self.now, timeout).min(end),
            escalation,
            latest_deadline: after(self.now, latest).min(end),
            policy: advice.policy,
        };
        self.push(Event::HumanRequired(detail));
        self.done()
    }

    fn deny(mut self, policy: PolicyRecord) -> Result<Decided, Refusal> {
        // An action that was consumed and never reported must not vanish behind the denial of another one.
        if let Err(refusal) = self.nothing_open() {
            return self.refuse(refusal);
        }
        self.push(Event::Terminated(Ended { cause: Some(Cause::Denied), policy: Some(policy) }));
        self.done()
    }

    /// Refuses the identifier of a grant that exists or was used.
    pub(super) fn unused(&self, grant: GrantId) -> Result<(), Refusal> {
        let known =
            self.instance.grants.contains_key(&grant) || self.instance.consumptions.contains_key(&grant);
        if known { Err(Refusal::GrantUnusable { grant }) } else { Ok(()) }
    }

    pub(super) fn consume(mut self, consume: Consume) -> Result<Decided, Refusal> {
        if self.instance.phase != Phase::Running {
            return Err(self.wrong_state());
        }
        self.acting(consume.attempt)?;
        self.no_unknown_outcome()?;
        let grant = self.usable(&consume)?.clone();
        check_pinned(&consume, &grant)?;
        let under_gate = consume.under_gate.iter().map(|under_gate| &under_gate.advice);
        for advice in under_gate.chain([&consume.under_current]) {
            if let Some(failure) = advice.policy.failure {
                self.push(Event::EvaluatorFailed(advice.policy.clone()));
                return self.refuse(Refusal::EvaluatorFailed { failure });
            }
        }
        let Consume { attempt: _, grant: id, action: _, context, under_gate, under_current, consumer, gate } =
            consume;
        let under_gate = under_gate.map(|under_gate| (under_gate.advice, under_gate.context));
        let evaluations = [under_gate, Some((under_current.clone(), context))];
        let insufficient =
            || evaluations.iter().flatten().filter(|(advice, _)| !self.suffices(advice, &grant));
        // A denial under either version is stronger than the wish of the other for a human.
        let strictest = insufficient().max_by_key(|(advice, _)| advice.policy.verdict).cloned();
        match strictest {
            None => {
                let event = consumed(id, grant.action, consumer, under_current.policy, self.now);
                self.push(event);
                self.done()
            }
            Some((advice, _)) if advice.policy.verdict == Verdict::Deny => self.deny(advice.policy),
            Some((advice, context)) => {
                let asked = Asked { id: gate, version: 1, action: grant.action, context, step: None };
                self.open_gate(asked, advice)
            }
        }
    }

    fn usable(&self, consume: &Consume) -> Result<&Grant, Refusal> {
        let unusable = Refusal::GrantUnusable { grant: consume.grant };
        let Some(grant) = self.instance.grants.get(&consume.grant) else { return Err(unusable) };
        let right_attempt = match &grant.origin {
            Origin::Policy { attempt } => consume.attempt == *attempt,
            Origin::Humans(origin) => consume.attempt > origin.retired,
        };
        if !right_attempt {
            return Err(unusable);
        }
        if self.now >= grant.expires_at {
            return Err(Refusal::GrantExpired { grant: consume.grant, at: grant.expires_at });
        }
        if consume.action != grant.action {
            return Err(Refusal::ActionChanged);
        }
        Ok(grant)
    }

    /// Tells whether the grant is good under this evaluation of the action as granted.
    fn suffices(&self, advice: &Advice, grant: &Grant) -> bool {
        match (advice.policy.verdict, &grant.origin) {
            (Verdict::Allow, _) => true,
            (Verdict::RequireHuman, Origin::Humans(origin)) => {
                let Some(plan) = &advice.plan else { return origin.break_glass };
                // Whoever breaks the glass is the last who voted, and replaces the votes but not the evidence (S63).
                let broken = origin.break_glass && origin.votes.last().is_some_and(|vote| plan.takes(vote));
                broken || plan.is_met_by(&origin.votes, origin.rejections, origin.escalated)
            }
            (Verdict::RequireHuman, Origin::Policy { .. }) | (Verdict::Deny, _) => false,
        }
    }

    pub(super) fn report(mut self, attempt: AttemptNo, outcome: Outcome) -> Result<Decided, Refusal> {
        match outcome.grant {
            Some(grant) => {
                let owed = outcome.status != OutcomeStatus::Unknown
                    && self.instance.consumptions.get(&grant).is_some_and(|consumption| {
                        consumption.attempt == attempt
                            && matches!(consumption.outcome, None | Some(OutcomeStatus::Unknown))
                    });
                if !owed {
                    return Err(Refusal::OutcomeNotOwed { grant });
                }
            }
            None if self.instance.phase != Phase::Running
                || !self.instance.observed
                || outcome.status == OutcomeStatus::Unknown =>
            {
                return Err(self.wrong_state());
            }
            None if attempt != self.instance.attempt => {
                return Err(Refusal::StaleAttempt { attempt, newest: self.instance.attempt });
            }
            None => self.mode = Mode::Shadow,
        }
        self.push_as(Event::Outcome(outcome), attempt);
        self.done()
    }
}

/// Refuses evaluations none of which is by the policy version that the gate was asked under (S36).
fn check_pinned(consume: &Consume, grant: &Grant) -> Result<(), Refusal> {
    let Origin::Humans(origin) = &grant.origin else { return Ok(()) };
    let pinned = consume.under_gate.as_ref().map_or(&consume.under_current, |under_gate| &under_gate.advice);
    if pinned.policy.version == origin.policy_version {
        Ok(())
    } else {
        Err(Refusal::Defect { fault: Fault::PolicyVersion })
    }
}

fn allowed(ask: &Ask, grant: Option<GrantTerms>) -> Allowed {
    Allowed { action: ask.gate.action, context: ask.gate.context, policy: ask.advice.policy.clone(), grant }
}

fn consumed(
    grant: GrantId,
    action: crate::digest::Digest,
    consumer: Consumer,
    policy: PolicyRecord,
    now: crate::time::UnixMillis,
) -> Event {
    Event::Consumed(Consumed {
        grant,
        action,
        executor: consumer.executor,
        act_by: after(now, consumer.act_within),
        guard: GuardRecord {
            governance_head: consumer.governance_head,
            freeze_epoch: consumer.freeze_epoch,
            policy_version: policy.version,
            verdict: policy.verdict,
        },
        policy,
    })
}
