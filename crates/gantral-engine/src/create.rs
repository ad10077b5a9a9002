//! Instances: created once, on behalf of a requester chain that never changes.

use std::sync::Arc;

use gantral_core::action::{Action, ActionError};
use gantral_core::decide::create;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Created, Identity, Parent};
use gantral_core::ids::{InstanceId, Name, SessionId, WorkflowId};
use gantral_core::json::Value;
use gantral_core::secret::find_inline_secret;
use gantral_core::state::Mode;
use gantral_identity::Requester;

use crate::answer::Done;
use crate::commit::Plan;
use crate::engine::{Call, Engine};
use crate::error::EngineError;
use crate::policy_input::Trigger;
use crate::snapshot::keep;

/// What an instance is created with.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its version; the newest when absent.
    pub version: Option<Name>,
    /// The session that ties instances together.
    pub session: Option<SessionId>,
    /// What set it off, in the word of the policy contract.
    pub trigger: Option<Trigger>,
    /// What the agent is given; kept in the erasable snapshot, committed to in the chain.
    pub input: Option<Value>,
    /// The governed call that this instance is for, as sent: a retry of it is told of the instance that is open for it.
    pub call: Option<Value>,
    /// The instance that asks for this one, and the artifact of it that this one rests on.
    pub parent: Option<(InstanceId, Digest)>,
}

impl Engine {
    /// Creates an instance.
    ///
    /// # Errors
    /// `NotFound` for workflow or parent, `NoActivePolicy`, `Action` for the call and for a secret in the input,
    /// `CallKeyTaken` when an instance is open for the same call: join it; the store's.
    pub async fn create(
        &self,
        mut call: Call,
        requester: &Requester,
        new: NewInstance,
    ) -> Result<Done, EngineError> {
        let principal = requester.principal();
        let tenant = principal.tenant();
        let workflow = self.workflow(tenant, &new.workflow, new.version.as_ref()).await?;
        if let Some(first) = self.lookup(&call, tenant).await? {
            return self.replayed(tenant, first).await;
        }
        self.active_policy(tenant, &workflow).await?;
        let actor = self.actor(&mut call, principal, None).await?;
        let mut chain = self.requester(&mut call, principal, &actor).await?;
        let parent = match new.parent {
            None => None,
            Some((id, artifact_hash)) => {
                let artifacts = self.chain(tenant, id).await?;
                let facts = self.instance(tenant, id).await?;
                if facts.instance.created_by != actor.id {
                    return Err(EngineError::Forbidden { why: "the parent was created by somebody else" });
                }
                if !artifacts.iter().any(|artifact| artifact.hash == artifact_hash) {
                    return Err(EngineError::NotFound { what: "the parent's artifact" });
                }
                chain.splice(0..0, facts.instance.created.requester.iter().cloned());
                Some(Parent { instance: id, artifact_hash })
            }
        };
        let mut snapshots = Vec::new();
        let context = match &new.input {
            None => None,
            Some(input) => {
                if let Some(path) = find_inline_secret(input) {
                    return Err(ActionError::InlineSecret { path }.into());
                }
                Some(keep(&mut snapshots, CommitmentLabel::Context, &mut call.fresh, input.to_canonical()))
            }
        };
        let call_key = match &new.call {
            None => None,
            Some(call) => {
                let action = Action::admit(call, &workflow)?;
                Some(action.call_key(tenant, &actor.id, new.session.as_ref(), &workflow.id))
            }
        };
        let created = Created {
            requester: chain,
            parent,
            session: new.session,
            trigger: new.trigger.and_then(|trigger| Name::parse(trigger.as_str()).ok()),
            context,
            expires_at: call.now.plus(workflow.lifetime),
        };
        let identity = Identity {
            tenant: tenant.clone(),
            origin: self.origin(tenant)?,
            instance: call.fresh.instance(call.now),
            workflow: workflow.reference(),
        };
        let entry = create(&actor, created, Mode::Enforce, call.now);
        let plan = Plan { entries: vec![entry], snapshots, call_key, ..Plan::default() };
        self.create_chain(&mut call, identity, Arc::clone(&workflow), plan).await
    }
}
