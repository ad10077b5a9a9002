//! The call at a gate as a precedent: what a human would let pass from now on, as far as policy sees it. Reads and writes nothing.

use std::sync::Arc;

use gantral_core::action::Action;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Event};
use gantral_core::ids::{GateId, InstanceId, PersonId, TenantId};
use gantral_core::instance::Instance;
use gantral_core::json::{Object, Value};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{chain, open};
use crate::policy_input::{ActionInput, InputError, patched};
use crate::totals::told;

/// The call at a gate that is open, or at which humans approved or changed it.
#[derive(Debug, Clone)]
pub struct Precedent {
    /// The definition under which it was asked for.
    pub workflow: Arc<Workflow>,
    /// The action: as approved, or as asked while nobody has decided.
    pub action: Action,
    /// Its parameters as far as policy sees them.
    pub seen: Object,
    /// The input that policy saw.
    input: Value,
    /// What was spent by now, where the workflow counts.
    totals: Option<Object>,
    instance: Instance,
}

impl Precedent {
    /// Returns the agent's client, as policy saw it.
    pub fn agent(&self) -> Option<&str> {
        self.input.get("identity")?.get("actor_id")?.as_str()
    }

    /// Tells whether somebody is behind the agent that asks: who may not let it pass.
    pub fn is_requester(&self, actor: &Actor) -> bool {
        PersonId::from_actor(&actor.id).is_none_or(|person| self.instance.is_requester(person))
    }

    /// Returns the input as a policy version would see the same call now.
    ///
    /// # Errors
    /// The recorded input does not follow the contract of today.
    pub fn input_under(&self, version: PolicyVersionId, now: UnixMillis) -> Result<Vec<u8>, InputError> {
        let Action { name, target, .. } = &self.action;
        let action =
            ActionInput { name: name.clone(), target: target.clone(), parameters: self.seen.clone() };
        patched(&self.input, &action, version, self.totals.clone(), now)
    }
}

impl Engine {
    /// Returns the call at a gate as a precedent; `None` where humans did not let it pass, or nobody was in time.
    ///
    /// # Errors
    /// `NotFound`, also where the call was erased; `Damaged`; the store's.
    pub async fn precedent(
        &self,
        tenant: &TenantId,
        gate: GateId,
        now: UnixMillis,
    ) -> Result<Option<Precedent>, EngineError> {
        let row = self.gate_row(tenant, gate).await?;
        let instance = self.instance(tenant, row.instance).await?;
        let (mut asked, mut approved) = (None, None);
        for artifact in chain(&self.0.store, tenant, row.instance).await? {
            match open(&artifact)?.entry.event {
                Event::HumanRequired(detail) if detail.gate.id == gate => asked = Some(detail.gate),
                Event::Approved(granted) | Event::Overridden(granted) if granted.ballot.gate == gate => {
                    approved = Some(granted.ballot.approved);
                }
                _ => {}
            }
        }
        let asked = asked.ok_or(EngineError::NotFound { what: "the gate" })?;
        let is_open = instance.instance.gate_named(gate).is_some();
        let Some(action) = approved.or_else(|| is_open.then_some(asked.action)) else { return Ok(None) };
        let action = self.kept(tenant, row.instance, CommitmentLabel::Action, action).await?;
        let input = self.kept(tenant, row.instance, CommitmentLabel::Context, asked.context).await?;
        let workflow = instance.workflow;
        let (id, team) = (&workflow.id, &workflow.team);
        let totals = match workflow.totals {
            true => Some(told(&self.0.store.spending(tenant, row.instance, id, team, now).await?)),
            false => None,
        };
        let action = Action::admit(&action, &workflow)?;
        let seen = action.policy_view(&workflow);
        Ok(Some(Precedent { workflow, action, seen, input, totals, instance: instance.instance }))
    }

    async fn kept(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        label: CommitmentLabel,
        commitment: Digest,
    ) -> Result<Value, EngineError> {
        let opened = self.opened(tenant, id, label, commitment).await?;
        opened.ok_or(EngineError::NotFound { what: "the call, which was erased," })?.document()
    }
}
