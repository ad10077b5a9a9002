//! Asking for authority, using it, and saying what came of it.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::action::ActionError;
use gantral_core::address::{EvidenceUrl, admit_name};
use gantral_core::command::{Command, Refusal};
use gantral_core::decide::decide;
use gantral_core::digest::CommitmentLabel;
use gantral_core::event::{EvidenceRef, Outcome};
use gantral_core::ids::{GrantId, InstanceId, TenantId};
use gantral_core::json::Value;
use gantral_core::secret::find_inline_secret;
use gantral_core::state::{ExecutorKind, OutcomeStatus};
use gantral_identity::AttemptBearer;

use crate::advice::AskFacts;
use crate::answer::{Answer, Done};
use crate::commit::Plan;
use crate::engine::{Call, DECISIONS_MAX, Engine};
use crate::error::EngineError;
use crate::fresh::Fresh;
use crate::snapshot::keep;
use crate::weighing::{Acting, Using, Weighed};

/// One ask, as it comes in.
#[derive(Debug, Clone)]
pub struct AskRequest {
    /// The action, as sent.
    pub action: Value,
    /// What is said beside it.
    pub facts: AskFacts,
    /// When the answer is ALLOW, consume in the same commit.
    pub consume: Option<ExecutorKind>,
}

/// What an executor reports.
#[derive(Debug, Clone)]
pub struct OutcomeReport {
    /// The consumed grant; none for what was done under SHADOW.
    pub grant: Option<GrantId>,
    /// SUCCEEDED or FAILED.
    pub status: OutcomeStatus,
    /// The result; kept in the erasable snapshot.
    pub result: Option<Value>,
    /// What it cost, in minor units.
    pub cost: Option<u64>,
    /// Captured evidence.
    pub evidence: Vec<EvidenceRef>,
}

impl OutcomeReport {
    /// Refuses what looks like a secret, also where captured evidence is said to lie: that is sealed, and never erased.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if let Some(path) = self.result.as_ref().and_then(find_inline_secret) {
            return Err(ActionError::InlineSecret { path }.into());
        }
        self.evidence.iter().enumerate().try_for_each(|(index, item)| {
            let refused = |member| move |error| EngineError::Evidence { index, member, error };
            admit_name(item.name.as_str()).map_err(refused("name"))?;
            let url = item.url.as_ref().map_or(Ok(()), |url| EvidenceUrl::admit(url.as_str()).map(|_| ()));
            url.map_err(refused("url"))
        })
    }

    /// Returns the outcome to seal; the result itself goes into the plan's snapshots.
    pub(crate) fn outcome(&self, plan: &mut Plan, fresh: &mut Fresh) -> Outcome {
        let result = self
            .result
            .as_ref()
            .map(|result| keep(&mut plan.snapshots, CommitmentLabel::Outcome, fresh, result.to_canonical()));
        Outcome {
            grant: self.grant,
            status: self.status,
            result,
            evidence: self.evidence.clone(),
            cost: self.cost,
        }
    }
}

impl Engine {
    /// Answers an ask: a grant, a gate, or the end; under SHADOW what it would have been, and the agent goes on.
    ///
    /// # Errors
    /// `Action`, `Input`, `NotImmediate`: the caller must change the ask. `Refused`: see the refusal. Everything else: nothing moved,
    /// and the same ask with the same key may be repeated.
    pub async fn ask(
        &self,
        mut call: Call,
        bearer: &AttemptBearer,
        request: AskRequest,
    ) -> Result<Done, EngineError> {
        let tenant = bearer.principal().tenant();
        let id = bearer.scope().instance;
        for _ in 0..DECISIONS_MAX {
            match self.ask_once(&mut call, bearer, &request).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) => return self.first_answer(&call, tenant, id, Err(error)).await,
            }
        }
        Err(EngineError::Conflict)
    }

    /// Asks over the instance as it stands; `None` when it, or what guards it, moved meanwhile.
    async fn ask_once(
        &self,
        call: &mut Call,
        bearer: &AttemptBearer,
        request: &AskRequest,
    ) -> Result<Option<Done>, EngineError> {
        let (principal, scope) = (bearer.principal(), bearer.scope());
        let actor = self.actor(call, principal, None).await?;
        let mut held = self.hold_at(principal.tenant(), scope.instance, call.now).await?;
        let acting = Acting { principal, actor: &actor, attempt: scope.attempt, begins: false };
        let Weighed { decided, plan, answer, counted: _turn } =
            self.weigh_ask(call, acting, held.loaded()?, request).await?;
        self.settle(&mut held, call, decided, plan, answer).await?.answered()
    }

    /// Waits until the log covers a grant as its workflow wants, at most as long as the engine is set up to; returns whether
    /// time has passed meanwhile, so that the caller looks at its clock again before it consumes.
    ///
    /// Whether the grant is released, and whether it is a grant at all, is said by `consume`.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn await_release(&self, bearer: &AttemptBearer, grant: GrantId) -> Result<bool, EngineError> {
        self.await_release_of(bearer.principal().tenant(), bearer.scope().instance, grant).await
    }

    pub(crate) async fn await_release_of(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        grant: GrantId,
    ) -> Result<bool, EngineError> {
        let (workflow, sequence) = {
            let held = self.hold(tenant, id).await?;
            let loaded = held.loaded()?;
            let Some(grant) = loaded.instance.grants.get(&grant) else { return Ok(false) };
            (Arc::clone(&loaded.workflow), grant.sequence)
        };
        if self.is_released(tenant, id, &workflow, sequence, Duration::ZERO).await {
            return Ok(false);
        }
        self.is_released(tenant, id, &workflow, sequence, self.0.config.release_wait).await;
        Ok(true)
    }

    /// Uses a grant: once this is durable, and not before, the action may start.
    ///
    /// Policy is evaluated again over the action as granted, under the version in force and, after a gate, under the
    /// gate's own. It may deny (the instance ends) or need more than the votes give (a new gate opens).
    ///
    /// # Errors
    /// As `ask`; `NotReleased`; `Refused(GrantUnusable | GrantExpired | ActionChanged | EvaluatorFailed)`.
    pub async fn consume(
        &self,
        mut call: Call,
        bearer: &AttemptBearer,
        grant_id: GrantId,
        action: &Value,
        executor: ExecutorKind,
    ) -> Result<Done, EngineError> {
        let tenant = bearer.principal().tenant();
        let id = bearer.scope().instance;
        for _ in 0..DECISIONS_MAX {
            match self.consume_once(&mut call, bearer, grant_id, action, executor).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) => return self.first_answer(&call, tenant, id, Err(error)).await,
            }
        }
        Err(EngineError::Conflict)
    }

    /// Consumes over the instance as it stands; `None` when it, or what guards it, moved meanwhile.
    async fn consume_once(
        &self,
        call: &mut Call,
        bearer: &AttemptBearer,
        grant: GrantId,
        action: &Value,
        executor: ExecutorKind,
    ) -> Result<Option<Done>, EngineError> {
        let (principal, scope) = (bearer.principal(), bearer.scope());
        let actor = self.actor(call, principal, None).await?;
        let mut held = self.hold_at(principal.tenant(), scope.instance, call.now).await?;
        let acting = Acting { principal, actor: &actor, attempt: scope.attempt, begins: false };
        let using = Using { grant, action, executor };
        let Weighed { decided, plan, answer, counted: _turn } =
            self.weigh_consumption(call, acting, held.loaded()?, using).await?;
        self.settle(&mut held, call, decided, plan, answer).await?.answered()
    }

    /// Records what came of a consumed grant: the consuming attempt may say so once, even after it lost its lease. Without a grant,
    /// what came of something that was only observed: the newest attempt may say so, as often as it likes.
    ///
    /// # Errors
    /// `Refused(OutcomeNotOwed)`; without a grant `Refused(WrongState | StaleAttempt)`; `Action(InlineSecret)` for the result; `Evidence`; the store's.
    pub async fn report(
        &self,
        mut call: Call,
        bearer: &AttemptBearer,
        report: OutcomeReport,
    ) -> Result<Done, EngineError> {
        let (principal, scope) = (bearer.principal(), bearer.scope());
        let tenant = principal.tenant();
        let actor = self.actor(&mut call, principal, None).await?;
        report.check()?;
        self.execute(&mut call, tenant, scope.instance, |loaded, now, fresh| {
            if let Some(grant) = report.grant {
                let consumption = loaded.instance.consumptions.get(&grant);
                if consumption.map(|consumption| consumption.attempt) != Some(scope.attempt) {
                    return Err(Refusal::OutcomeNotOwed { grant }.into());
                }
            }
            let mut plan = Plan::default();
            let outcome = report.outcome(&mut plan, fresh);
            let decided =
                decide(&loaded.instance, &actor, Command::Report { attempt: scope.attempt, outcome }, now)?;
            Ok((decided, plan, Answer::Recorded))
        })
        .await
    }
}
