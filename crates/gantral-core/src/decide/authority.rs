//! Asking for authority, and using it.

use super::Draft;
use crate::command::{Advice, Ask, Consume, Consumer, Decided, Refusal};
use crate::event::{
    Allowed, Asked, Consumed, Ended, Event, GrantTerms, GuardRecord, HumanRequired, Outcome, PolicyRecord,
};
use crate::ids::GrantId;
use crate::instance::{Grant, Origin, Phase};
use crate::policy::Verdict;
use crate::rule::{GatePlan, Tally};
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
        let expires_at = self.now.plus(ask.grant_lifetime).min(self.instance.created.expires_at);
        self.push(Event::Allowed(allowed(&ask, Some(GrantTerms { id: ask.grant, expires_at }))));
        if let Some(consumer) = ask.consume {
            let event = consumed(ask.grant, ask.gate.action, consumer, ask.advice.policy, self.now);
            self.push(event);
        }
        self.done()
    }

    fn open_gate(mut self, gate: Asked, advice: Advice) -> Result<Decided, Refusal> {
        let Some(GatePlan { rule, timeout, escalation }) = advice.plan else {
            let refusal = Some(Refusal::NobodyEligible { version: advice.policy.version });
            return Ok(Decided { events: self.events, refusal });
        };
        let end = self.instance.created.expires_at;
        let latest = DurationMs::new(timeout.get().saturating_mul(EXTENSION_FACTOR));
        let detail = HumanRequired {
            gate,
            rule,
            deadline: self.now.plus(timeout).min(end),
            escalation,
            latest_deadline: self.now.plus(latest).min(end),
            policy: advice.policy,
        };
        self.push(Event::HumanRequired(detail));
        self.done()
    }

    fn deny(mut self, policy: PolicyRecord) -> Result<Decided, Refusal> {
        // An action that was consumed and never reported must not vanish behind the denial of another one.
        if let Some((grant, _)) = self.instance.open_consumptions().next() {
            return Ok(Decided { events: self.events, refusal: Some(Refusal::OutcomeOpen { grant }) });
        }
        self.push(Event::Terminated(Ended { cause: Some(Cause::Denied), policy: Some(policy) }));
        self.done()
    }

    pub(super) fn consume(mut self, consume: Consume) -> Result<Decided, Refusal> {
        if self.instance.phase != Phase::Running {
            return Err(self.wrong_state());
        }
        self.acting(consume.attempt)?;
        self.no_unknown_outcome()?;
        self.mode = consume.mode;
        let grant = self.usable(&consume)?.clone();
        for advice in consume.under_gate.iter().chain([&consume.under_current]) {
            if let Some(failure) = advice.policy.failure {
                self.push(Event::EvaluatorFailed(advice.policy.clone()));
                return Ok(Decided {
                    events: self.events,
                    refusal: Some(Refusal::EvaluatorFailed { failure }),
                });
            }
        }
        let strictest = consume
            .under_gate
            .into_iter()
            .chain([consume.under_current.clone()])
            .find(|advice| !self.suffices(advice, &grant));
        match strictest {
            None => {
                let policy = consume.under_current.policy;
                let event = consumed(consume.grant, grant.action, consume.consumer, policy, self.now);
                self.push(event);
                self.done()
            }
            Some(advice) if advice.policy.verdict == Verdict::Deny => self.deny(advice.policy),
            Some(advice) => {
                let gate = Asked {
                    id: consume.gate,
                    version: 1,
                    action: grant.action,
                    context: consume.context,
                    step: None,
                };
                self.open_gate(gate, advice)
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
            (Verdict::RequireHuman, Origin::Humans(origin)) => advice
                .plan
                .as_ref()
                .is_some_and(|plan| plan.rule.tally(origin.votes.iter()) == Tally::Satisfied),
            (Verdict::RequireHuman, Origin::Policy { .. }) | (Verdict::Deny, _) => false,
        }
    }

    pub(super) fn report(mut self, outcome: Outcome) -> Result<Decided, Refusal> {
        if outcome.status == OutcomeStatus::Unknown {
            return Err(match outcome.grant {
                Some(grant) => Refusal::OutcomeNotOwed { grant },
                None => self.wrong_state(),
            });
        }
        let attempt = match outcome.grant {
            Some(grant) => match self.instance.consumptions.get(&grant) {
                Some(consumption)
                    if !matches!(
                        consumption.outcome,
                        Some(OutcomeStatus::Succeeded | OutcomeStatus::Failed)
                    ) =>
                {
                    consumption.attempt
                }
                Some(_) | None => return Err(Refusal::OutcomeNotOwed { grant }),
            },
            None if self.instance.weakest_mode == Mode::Shadow => self.instance.attempt,
            None => return Err(self.wrong_state()),
        };
        self.push_as(Event::Outcome(outcome), attempt);
        self.done()
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
        act_by: now.plus(consumer.act_within),
        guard: GuardRecord {
            governance_head: consumer.governance_head,
            freeze_epoch: consumer.freeze_epoch,
            policy_version: policy.version,
            verdict: policy.verdict,
        },
        policy,
    })
}
