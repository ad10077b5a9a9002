//! From an action to enforceable advice: the input is built, evaluated and committed to, and floors are applied.

use gantral_core::action::Action;
use gantral_core::command::Advice;
use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::event::PolicyRecord;
use gantral_core::ids::Name;
use gantral_core::json::{Number, Object, Value};
use gantral_core::policy::{PolicyVersionId, resolve_failure};
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_identity::Principal;
use gantral_store::Effect;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::fresh::Fresh;
use crate::loaded::Loaded;
use crate::policy_input::{ActionInput, Domain, InstanceInput, PolicyInput, Trigger, patched};
use crate::policy_point::Answered;
use crate::snapshot::keep;
use crate::totals::Counted;

/// What an ask says beside its action.
#[derive(Debug, Clone, Default)]
pub struct AskFacts {
    /// The step of the workflow, in the agent's words.
    pub step: Option<Name>,
    /// What made the agent ask.
    pub trigger: Option<Trigger>,
    /// What the action is expected to cost.
    pub cost_estimate: Option<Number>,
    /// Attributes for policy.
    pub attributes: Object,
}

/// Advice with everything that was committed to on the way.
pub(crate) struct Advised {
    pub advice: Advice,
    /// Commitment of the context snapshot: the input bytes under the label that approvers are shown.
    pub context: Digest,
    pub reasons: Vec<String>,
    /// The standing rules on which it rests.
    pub standing_rules: Vec<Name>,
}

impl Engine {
    /// Builds the input of an ask.
    pub(crate) fn input(
        loaded: &Loaded,
        principal: &Principal,
        action: &Action,
        facts: &AskFacts,
        version: PolicyVersionId,
        counted: Option<&Counted>,
        now: UnixMillis,
    ) -> Result<Vec<u8>, EngineError> {
        let workflow = &loaded.workflow;
        let instance = &loaded.instance;
        let trigger = instance.created.trigger.as_ref().and_then(|word| Trigger::parse(word.as_str()));
        let step = match &facts.step {
            Some(step) => step.clone(),
            None => action.name.clone(),
        };
        let input = PolicyInput {
            instance: InstanceInput {
                instance_id: instance.identity.instance,
                workflow_id: workflow.id.clone(),
                workflow_version: workflow.version.clone(),
                materiality: workflow.materiality,
                owning_team_id: workflow.team.clone(),
            },
            step,
            cost_estimate: facts.cost_estimate.clone().unwrap_or_else(|| 0u64.into()),
            domain: domain(workflow)?,
            trigger: facts.trigger.or(trigger).unwrap_or(Trigger::Other),
            attributes: facts.attributes.clone(),
            actor_id: principal.client().clone(),
            roles: principal.roles().iter().cloned().collect(),
            policy_version_id: version,
            action: Some(action_input(action, workflow)),
            requester: Some(requester(loaded)),
            totals: counted.map(Counted::to_input),
            now: Some(now),
        };
        Ok(input.to_canonical()?)
    }

    /// Builds the input of a consumption: what was evaluated at the ask, with the action as granted.
    pub(crate) fn input_again(
        asked: &Value,
        action: &Action,
        workflow: &Workflow,
        version: PolicyVersionId,
        counted: Option<&Counted>,
        now: UnixMillis,
    ) -> Result<Vec<u8>, EngineError> {
        Ok(patched(asked, &action_input(action, workflow), version, counted.map(Counted::to_input), now)?)
    }

    /// Evaluates an input and applies failure matrix and floors.
    pub(crate) async fn advise(
        &self,
        workflow: &Workflow,
        version: PolicyVersionId,
        input: Vec<u8>,
        fresh: &mut Fresh,
        snapshots: &mut Vec<Effect>,
    ) -> Advised {
        let answered = self.0.policy.evaluate(workflow.evaluator.as_ref(), version, &input).await;
        let Answered { by: evaluator, result: evaluated } = answered;
        let salt = fresh.salt();
        let input_commitment = commit(CommitmentLabel::Input, &salt, &input);
        let context = commit(CommitmentLabel::Context, &salt, &input);
        snapshots.push(Effect::PutSnapshot {
            commitment: context,
            label: CommitmentLabel::Context,
            salt,
            plaintext: input,
        });
        let floors = &workflow.floors;
        let (verdict, failure, decision, plan, (reasons, standing_rules)) = match evaluated {
            Ok(evaluation) => {
                let verdict = evaluation.verdict.max(floors.least_verdict);
                let plan = floors.plan(Some(&evaluation));
                let kept = keep(snapshots, CommitmentLabel::Decision, fresh, evaluation.decision);
                (verdict, None, Some(kept), plan, (evaluation.reasons, evaluation.standing_rules))
            }
            Err(failure) => {
                let resolved = resolve_failure(workflow.materiality, failure, workflow.failure);
                let verdict = resolved.max(floors.least_verdict);
                (verdict, Some(failure), None, floors.plan(None), (vec![failure.to_string()], Vec::new()))
            }
        };
        let policy = PolicyRecord { version, evaluator, input: input_commitment, decision, verdict, failure };
        Advised { advice: Advice { policy, plan }, context, reasons, standing_rules }
    }
}

/// A definition with another domain is not read; one that were must not be evaluated under a wrong one.
fn domain(workflow: &Workflow) -> Result<Domain, EngineError> {
    Domain::parse(workflow.domain.as_str()).ok_or_else(|| EngineError::Damaged {
        what: format!("workflow `{}` has a domain that the policy contract does not know", workflow.id),
    })
}

fn action_input(action: &Action, workflow: &Workflow) -> ActionInput {
    ActionInput {
        name: action.name.clone(),
        target: action.target.clone(),
        parameters: action.policy_view(workflow),
    }
}

fn requester(loaded: &Loaded) -> Value {
    let links = loaded.instance.created.requester.iter().map(|link| {
        Value::Object(
            Object::new()
                .with("id", link.id.as_str())
                .with("kind", link.kind.as_str())
                .with("owner", link.owner.map(|owner| owner.0.to_hex())),
        )
    });
    Value::Array(links.collect())
}
