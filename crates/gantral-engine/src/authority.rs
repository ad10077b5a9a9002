//! Asking for authority, using it, and saying what came of it.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::action::{Action, ActionError};
use gantral_core::command::{Ask, Command, Consume, Consumer, Decided, Refusal, UnderGate};
use gantral_core::decide::decide;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Asked, Event, EvidenceRef, Executor, Outcome};
use gantral_core::ids::{AttemptNo, GrantId, InstanceId, Name, Role, TenantId};
use gantral_core::instance::{Grant, Instance, Origin};
use gantral_core::json::Value;
use gantral_core::policy::Verdict;
use gantral_core::secret::find_inline_secret;
use gantral_core::state::{ExecutorKind, Mode, OutcomeStatus};
use gantral_core::workflow::Workflow;
use gantral_identity::AttemptBearer;
use gantral_store::Guard;

use crate::advice::{Advised, AskFacts};
use crate::answer::{Answer, Done};
use crate::commit::Plan;
use crate::engine::{Call, DECISIONS_MAX, Engine};
use crate::error::EngineError;
use crate::governance::InForceAt;
use crate::snapshot::keep;
use crate::totals::{Counted, estimated};

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
        let tenant = principal.tenant();
        let actor = self.actor(call, principal, None).await?;
        let mut held = self.hold_at(tenant, scope.instance, call.now).await?;
        let loaded = held.loaded()?;
        // Fencing before evaluation: what may not ask does not cost an evaluation.
        fence(&loaded.instance, scope.attempt)?;
        let workflow = Arc::clone(&loaded.workflow);
        let action = Action::admit(&request.action, &workflow)?;
        if let Some(path) = find_inline_secret(&Value::Object(request.facts.attributes.clone())) {
            return Err(ActionError::InlineSecret { path: format!("/attributes{path}") }.into());
        }
        let in_force = self.in_force_for(tenant, &workflow, &action.name, request.consume.is_some()).await?;
        let (version, mode) = (in_force.policy(&workflow)?, in_force.mode(&workflow, Some(&action.name)));
        let mut plan = Plan { action: Some(action.name.clone()), ..Plan::default() };
        plan.guards.push(in_force.guard());
        // Under SHADOW there is no grant to use up, and nothing that could be released.
        let consume = request.consume.filter(|_| mode == Mode::Enforce);
        if consume.is_some() && workflow.release.witnesses().is_some() {
            return Err(EngineError::NotImmediate { release: workflow.release });
        }
        let consume = consume.map(|kind| {
            plan.guards.push(Guard::Lease { attempt: scope.attempt, now: call.now });
            self.consumer(&in_force, kind, &actor)
        });
        let committed =
            keep(&mut plan.snapshots, CommitmentLabel::Action, &mut call.fresh, action.to_canonical());
        let (facts, now) = (&request.facts, call.now);
        let counted = self.counted(loaded, facts.cost_estimate.as_ref(), now).await?;
        plan.guards.extend(counted.as_ref().map(Counted::guard));
        let input = Self::input(loaded, principal, &action, facts, version, counted.as_ref(), now)?;
        let advised = self.advise(&workflow, version, input, &mut call.fresh, &mut plan.snapshots).await;
        let Advised { advice, context, reasons } = advised;
        let roles = advice.plan.as_ref().map(|plan| plan.rule.roles()).unwrap_or_default();
        let step = request.facts.step.clone();
        let ask = Ask {
            attempt: scope.attempt,
            gate: Asked { id: call.fresh.gate(), version: 1, action: committed, context, step },
            grant: call.fresh.grant(),
            grant_lifetime: workflow.grant_lifetime,
            advice,
            mode,
            consume,
        };
        let decided = decide(&held.loaded()?.instance, &actor, Command::Ask(Box::new(ask)), call.now)?;
        plan.snapshots.extend(counted.iter().flat_map(|counted| counted.reservations(&decided.events)));
        let answer = answer_of(&decided, reasons, roles);
        self.settle(&mut held, call, decided, plan, answer).await?.answered()
    }

    /// Returns what is in force for an ask. What is done at once, because its grant is used up in the same commit or because it is only
    /// observed, is refused while the workflow is frozen.
    async fn in_force_for(
        &self,
        tenant: &TenantId,
        workflow: &Workflow,
        action: &Name,
        consumes: bool,
    ) -> Result<Arc<InForceAt>, EngineError> {
        let known = self.in_force(tenant).await?;
        if consumes || known.mode(workflow, Some(action)) == Mode::Shadow {
            self.unfrozen(tenant, workflow).await
        } else {
            Ok(known)
        }
    }

    /// Waits until the log covers a grant as its workflow wants, at most as long as the engine is set up to; returns whether
    /// time has passed meanwhile, so that the caller looks at its clock again before it consumes.
    ///
    /// Whether the grant is released, and whether it is a grant at all, is said by `consume`.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn await_release(&self, bearer: &AttemptBearer, grant: GrantId) -> Result<bool, EngineError> {
        let (tenant, id) = (bearer.principal().tenant(), bearer.scope().instance);
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

    /// Tells whether a grant may be used, waiting at most `limit` until it may.
    async fn is_released(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        workflow: &Workflow,
        sequence: u64,
        limit: Duration,
    ) -> bool {
        let Some(witnesses) = workflow.release.witnesses() else { return true };
        self.0.checkpoints.covering(tenant, id, sequence, witnesses, limit).await.is_some()
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
        grant_id: GrantId,
        action: &Value,
        executor: ExecutorKind,
    ) -> Result<Option<Done>, EngineError> {
        let (principal, scope) = (bearer.principal(), bearer.scope());
        let tenant = principal.tenant();
        let actor = self.actor(call, principal, None).await?;
        let mut held = self.hold_at(tenant, scope.instance, call.now).await?;
        let loaded = held.loaded()?;
        fence(&loaded.instance, scope.attempt)?;
        let grant = loaded.instance.grants.get(&grant_id);
        let grant = grant.ok_or(Refusal::GrantUnusable { grant: grant_id })?.clone();
        let workflow = Arc::clone(&loaded.workflow);
        if !self.is_released(tenant, scope.instance, &workflow, grant.sequence, Duration::ZERO).await {
            return Err(EngineError::NotReleased);
        }
        let action = Action::admit(action, &workflow)?;
        let (commitment, asked) =
            self.as_granted(tenant, loaded.instance.identity.instance, &grant, &action).await?;
        let in_force = self.unfrozen(tenant, &workflow).await?;
        let current = in_force.policy(&workflow)?;
        let mut plan = Plan { action: Some(action.name.clone()), ..Plan::default() };
        plan.guards.push(in_force.guard());
        plan.guards.push(Guard::Lease { attempt: scope.attempt, now: call.now });
        let consumer = self.consumer(&in_force, executor, &actor);
        let counted = self.counted(held.loaded()?, estimated(&asked), call.now).await?;
        plan.guards.extend(counted.as_ref().map(Counted::guard));
        let input = Self::input_again(&asked, &action, &workflow, current, counted.as_ref(), call.now)?;
        let under_current =
            self.advise(&workflow, current, input, &mut call.fresh, &mut plan.snapshots).await;
        let under_gate = match &grant.origin {
            Origin::Humans(origin) if origin.policy_version != current => {
                let version = origin.policy_version;
                let counted = counted.as_ref();
                let input = Self::input_again(&asked, &action, &workflow, version, counted, call.now)?;
                Some(self.advise(&workflow, version, input, &mut call.fresh, &mut plan.snapshots).await)
            }
            Origin::Humans(_) | Origin::Policy { .. } => None,
        };
        let mut reasons = under_current.reasons;
        reasons.extend(under_gate.iter().flat_map(|advised| advised.reasons.iter().cloned()));
        let consume = Consume {
            attempt: scope.attempt,
            grant: grant_id,
            action: commitment,
            context: under_current.context,
            under_gate: under_gate
                .map(|advised| UnderGate { advice: advised.advice, context: advised.context }),
            under_current: under_current.advice,
            consumer,
            gate: call.fresh.gate(),
        };
        let command = Command::Consume(Box::new(consume));
        let decided = decide(&held.loaded()?.instance, &actor, command, call.now)?;
        plan.snapshots.extend(counted.iter().flat_map(|counted| counted.reservations(&decided.events)));
        let answer = answer_of(&decided, reasons, Vec::new());
        self.settle(&mut held, call, decided, plan, answer).await?.answered()
    }

    /// Checks that an action is the granted one; returns its commitment, and what policy saw when it was asked for.
    async fn as_granted(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        grant: &Grant,
        action: &Action,
    ) -> Result<(Digest, Value), EngineError> {
        let erased =
            || EngineError::NotFound { what: "the approved action or its context, which was erased," };
        let opened =
            self.opened(tenant, id, CommitmentLabel::Action, grant.action).await?.ok_or_else(erased)?;
        let asked =
            self.opened(tenant, id, CommitmentLabel::Context, grant.context).await?.ok_or_else(erased)?;
        let commitment = action.commitment(&opened.salt);
        if commitment == grant.action {
            Ok((commitment, asked.document()?))
        } else {
            Err(Refusal::ActionChanged.into())
        }
    }

    /// Returns who would consume, under what is in force.
    fn consumer(&self, in_force: &InForceAt, kind: ExecutorKind, actor: &Actor) -> Consumer {
        Consumer {
            executor: Executor { kind, id: actor.id.clone() },
            act_within: self.0.config.act_within,
            governance_head: in_force.head(),
            freeze_epoch: in_force.epoch(),
        }
    }

    /// Records what came of a consumed grant: the consuming attempt may say so once, even after it lost its lease. Without a grant,
    /// what came of something that was only observed: the newest attempt may say so, as often as it likes.
    ///
    /// # Errors
    /// `Refused(OutcomeNotOwed)`; without a grant `Refused(WrongState | StaleAttempt)`; `Action(InlineSecret)` for the result; the store's.
    pub async fn report(
        &self,
        mut call: Call,
        bearer: &AttemptBearer,
        report: OutcomeReport,
    ) -> Result<Done, EngineError> {
        let (principal, scope) = (bearer.principal(), bearer.scope());
        let tenant = principal.tenant();
        let actor = self.actor(&mut call, principal, None).await?;
        if let Some(path) = report.result.as_ref().and_then(find_inline_secret) {
            return Err(ActionError::InlineSecret { path }.into());
        }
        self.execute(&mut call, tenant, scope.instance, |loaded, now, fresh| {
            if let Some(grant) = report.grant {
                let consumption = loaded.instance.consumptions.get(&grant);
                if consumption.map(|consumption| consumption.attempt) != Some(scope.attempt) {
                    return Err(Refusal::OutcomeNotOwed { grant }.into());
                }
            }
            let mut plan = Plan::default();
            let result = report.result.as_ref().map(|result| {
                keep(&mut plan.snapshots, CommitmentLabel::Outcome, fresh, result.to_canonical())
            });
            let outcome = Outcome {
                grant: report.grant,
                status: report.status,
                result,
                evidence: report.evidence.clone(),
                cost: report.cost,
            };
            let decided =
                decide(&loaded.instance, &actor, Command::Report { attempt: scope.attempt, outcome }, now)?;
            Ok((decided, plan, Answer::Recorded))
        })
        .await
    }
}

/// Refuses every attempt but the newest, attached one.
fn fence(instance: &Instance, attempt: AttemptNo) -> Result<(), Refusal> {
    let acts = instance.live.as_ref().is_some_and(|live| live.attached && !live.retired);
    if instance.state().is_final() {
        Err(Refusal::Ended { state: instance.state() })
    } else if attempt != instance.attempt {
        Err(Refusal::StaleAttempt { attempt, newest: instance.attempt })
    } else if acts {
        Ok(())
    } else {
        Err(Refusal::AttemptInactive { attempt })
    }
}

/// Reads the answer off the events that were decided; `roles` are those that a human would have had to hold.
fn answer_of(decided: &Decided, reasons: Vec<String>, roles: Vec<Role>) -> Answer {
    let mut answer = Answer::Recorded;
    for entry in &decided.events {
        answer = match (&entry.event, answer) {
            (Event::Observed(detail), _) => {
                let verdict = detail.policy.verdict;
                let roles = if verdict == Verdict::RequireHuman { roles.clone() } else { Vec::new() };
                Answer::Observed { verdict, roles, reasons: reasons.clone() }
            }
            (Event::Allowed(detail), _) => Answer::Allowed {
                grant: detail.grant.map(|terms| terms.id),
                expires_at: detail.grant.map(|terms| terms.expires_at),
                act_by: None,
                reasons: reasons.clone(),
            },
            (Event::Consumed(detail), Answer::Allowed { grant, expires_at, reasons, .. }) => {
                Answer::Allowed { grant, expires_at, act_by: Some(detail.act_by), reasons }
            }
            (Event::Consumed(detail), _) => Answer::Consumed { act_by: detail.act_by },
            (Event::HumanRequired(detail), _) => Answer::Waiting {
                gate: detail.gate.id,
                deadline: detail.deadline,
                roles: detail.rule.roles(),
                reasons: reasons.clone(),
            },
            (Event::Terminated(_), _) => Answer::Denied { reasons: reasons.clone() },
            (_, answer) => answer,
        };
    }
    answer
}
