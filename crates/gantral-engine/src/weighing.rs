//! Weighing an ask or a consumption: what policy says of it over an instance as it stands, and what that leads to.
//!
//! Nothing is written here. The instance may be one whose attempt begins in the same commit, so that a governed call is created, asked
//! and consumed at once.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::action::{Action, ActionError};
use gantral_core::command::{Ask, Command, Consume, Consumer, Decided, Refusal, UnderGate};
use gantral_core::decide::decide;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Asked, Event, Executor};
use gantral_core::ids::{AttemptNo, GrantId, InstanceId, Name, Role, TenantId};
use gantral_core::instance::{Grant, Instance, Origin};
use gantral_core::json::Value;
use gantral_core::policy::Verdict;
use gantral_core::secret::find_inline_secret;
use gantral_core::state::{ExecutorKind, Mode};
use gantral_core::workflow::Workflow;
use gantral_identity::Principal;
use gantral_store::Guard;

use crate::advice::Advised;
use crate::answer::Answer;
use crate::authority::AskRequest;
use crate::commit::Plan;
use crate::engine::{Call, Engine};
use crate::error::EngineError;
use crate::governance::InForceAt;
use crate::loaded::Loaded;
use crate::snapshot::keep;
use crate::totals::{Counted, estimated};

/// Who asks or consumes.
#[derive(Clone, Copy)]
pub(crate) struct Acting<'a> {
    pub principal: &'a Principal,
    pub actor: &'a Actor,
    pub attempt: AttemptNo,
    /// Whether the attempt begins in the same commit: then it has no lease yet that could have been lost.
    pub begins: bool,
}

/// Which grant is used, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Using<'a> {
    pub grant: GrantId,
    pub action: &'a Value,
    pub executor: ExecutorKind,
}

/// What it leads to. To be kept until it is committed: the turn in which totals were read goes with it.
pub(crate) struct Weighed {
    pub decided: Decided,
    pub plan: Plan,
    pub answer: Answer,
    pub counted: Option<Counted>,
}

impl Engine {
    /// Evaluates an ask and decides it.
    pub(crate) async fn weigh_ask(
        &self,
        call: &mut Call,
        acting: Acting<'_>,
        loaded: &Loaded,
        request: &AskRequest,
    ) -> Result<Weighed, EngineError> {
        let tenant = acting.principal.tenant();
        // Fencing before evaluation: what may not ask does not cost an evaluation.
        fence(&loaded.instance, acting.attempt)?;
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
        if consume.is_some() && self.0.checkpoints.release_waits() {
            return Err(EngineError::NotArchived);
        }
        let consume = consume.map(|kind| {
            plan.guards.extend(lease(acting, call));
            self.consumer(&in_force, kind, acting.actor)
        });
        let committed =
            keep(&mut plan.snapshots, CommitmentLabel::Action, &mut call.fresh, action.to_canonical());
        let (facts, now) = (&request.facts, call.now);
        let counted = self.counted(loaded, facts.cost_estimate.as_ref(), now).await?;
        plan.guards.extend(counted.as_ref().map(Counted::guard));
        let input = Self::input(loaded, acting.principal, &action, facts, version, counted.as_ref(), now)?;
        let advised = self.advise(&workflow, version, input, &mut call.fresh, &mut plan.snapshots).await;
        let Advised { advice, context, reasons, standing_rules } = advised;
        let roles = advice.plan.as_ref().map(|plan| plan.rule.roles()).unwrap_or_default();
        let ask = Ask {
            attempt: acting.attempt,
            gate: Asked {
                id: call.fresh.gate(call.now),
                version: 1,
                action: committed,
                context,
                step: request.facts.step.clone(),
            },
            grant: call.fresh.grant(),
            grant_lifetime: workflow.grant_lifetime,
            advice,
            mode,
            consume,
        };
        let decided = decide(&loaded.instance, acting.actor, Command::Ask(Box::new(ask)), call.now)?;
        let events = &decided.events;
        if let Some(counted) = &counted {
            plan.snapshots.extend(counted.reservations(events));
            plan.snapshots.extend(counted.uses(events, standing_rules));
        }
        let answer = answer_of(&decided, reasons, roles);
        Ok(Weighed { decided, plan, answer, counted })
    }

    /// Evaluates a consumption and decides it: under the version in force and, after a gate, under the gate's own.
    pub(crate) async fn weigh_consumption(
        &self,
        call: &mut Call,
        acting: Acting<'_>,
        loaded: &Loaded,
        using: Using<'_>,
    ) -> Result<Weighed, EngineError> {
        let tenant = acting.principal.tenant();
        let id = loaded.instance.identity.instance;
        fence(&loaded.instance, acting.attempt)?;
        let grant = loaded.instance.grants.get(&using.grant);
        let grant = grant.ok_or(Refusal::GrantUnusable { grant: using.grant })?;
        let workflow = Arc::clone(&loaded.workflow);
        if !self.is_released(tenant, id, &workflow, grant.sequence, Duration::ZERO).await {
            return Err(EngineError::NotReleased);
        }
        let action = Action::admit(using.action, &workflow)?;
        let (commitment, asked) = self.as_granted(tenant, id, grant, &action).await?;
        let in_force = self.unfrozen(tenant, &workflow).await?;
        let current = in_force.policy(&workflow)?;
        let mut plan = Plan { action: Some(action.name.clone()), ..Plan::default() };
        plan.guards.push(in_force.guard());
        plan.guards.extend(lease(acting, call));
        let consumer = self.consumer(&in_force, using.executor, acting.actor);
        let counted = self.counted(loaded, estimated(&asked), call.now).await?;
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
            attempt: acting.attempt,
            grant: using.grant,
            action: commitment,
            context: under_current.context,
            under_gate: under_gate
                .map(|advised| UnderGate { advice: advised.advice, context: advised.context }),
            under_current: under_current.advice,
            consumer,
            gate: call.fresh.gate(call.now),
        };
        let command = Command::Consume(Box::new(consume));
        let decided = decide(&loaded.instance, acting.actor, command, call.now)?;
        plan.snapshots.extend(counted.iter().flat_map(|counted| counted.reservations(&decided.events)));
        let answer = answer_of(&decided, reasons, Vec::new());
        Ok(Weighed { decided, plan, answer, counted })
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

    /// Tells whether a grant may be used, waiting at most `limit` until it may.
    pub(crate) async fn is_released(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        workflow: &Workflow,
        sequence: u64,
        limit: Duration,
    ) -> bool {
        let waits = self.0.checkpoints.release_waits().then_some(0);
        let Some(witnesses) = workflow.release.witnesses().or(waits) else { return true };
        self.0.checkpoints.covering(tenant, id, sequence, witnesses, limit).await.is_some()
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
}

/// What an attempt that began before must still hold when it uses a grant.
fn lease(acting: Acting<'_>, call: &Call) -> Option<Guard> {
    (!acting.begins).then_some(Guard::Lease { attempt: acting.attempt, now: call.now })
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
