//! What is handed over: the document that an attempt's process starts from, and the grant that it may use.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::event::Event;
use gantral_core::ids::{AttemptNo, GrantId, InstanceId, Name, TenantId};
use gantral_core::instance::{Instance, Origin};
use gantral_core::json::{Object, Value};

use crate::answer::Done;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{Loaded, chain, statement};
use crate::snapshot::Opened;

/// The bytes that a process is given, with what opens their commitment.
#[derive(Clone)]
pub struct Handed {
    /// The commitment that the chain carries.
    pub commitment: Digest,
    /// Its salt.
    pub salt: Salt,
    /// The canonical document.
    pub bytes: Vec<u8>,
}

impl Engine {
    /// Returns what the newest attempt was given.
    ///
    /// # Errors
    /// `NotFound` when nothing was, or it was erased; the store's.
    pub async fn handed(&self, tenant: &TenantId, id: InstanceId) -> Result<Handed, EngineError> {
        let artifacts = chain(&self.0.store, tenant, id).await?;
        self.handed_by(tenant, id, artifacts.iter().rev().map(|artifact| artifact.envelope.as_slice())).await
    }

    /// Returns what the attempt was given that this write assigned.
    pub(crate) async fn handed_with(&self, tenant: &TenantId, done: &Done) -> Result<Handed, EngineError> {
        self.handed_by(
            tenant,
            done.instance,
            done.receipts.iter().rev().map(|receipt| receipt.envelope.as_slice()),
        )
        .await
    }

    /// Returns what was handed over by the first assignment among these artifacts.
    async fn handed_by<'a>(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        envelopes: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Handed, EngineError> {
        let missing = || EngineError::NotFound { what: "the attempt's context" };
        let mut newest = None;
        for envelope in envelopes {
            if let Event::AttemptAssigned(launch) | Event::Resumed(launch) = statement(envelope)?.entry.event
            {
                newest = launch.context;
                break;
            }
        }
        let commitment = newest.ok_or_else(missing)?;
        let opened =
            self.opened(tenant, id, CommitmentLabel::Context, commitment).await?.ok_or_else(missing)?;
        Ok(Handed { commitment, salt: opened.salt, bytes: opened.plaintext })
    }

    /// Returns the canonical document that the process of an attempt is given.
    pub(crate) async fn context(&self, loaded: &Loaded, attempt: AttemptNo) -> Result<Vec<u8>, EngineError> {
        let instance = &loaded.instance;
        let tenant = &instance.identity.tenant;
        let input = match instance.created.context {
            None => None,
            Some(commitment) => match self
                .opened(tenant, instance.identity.instance, CommitmentLabel::Context, commitment)
                .await?
            {
                Some(opened) => Some(opened.document()?),
                None => {
                    return Err(EngineError::NotFound { what: "the instance's input, which was erased," });
                }
            },
        };
        let grant = match usable_grant(instance, attempt) {
            None => None,
            Some(id) => Some(self.grant_document(instance, id).await?),
        };
        let outcomes = instance.consumptions.iter().map(|(id, consumption)| {
            let status = consumption.outcome.map(|outcome| outcome.as_str());
            Value::Object(Object::new().with("grant_id", id.to_string()).with("status", status))
        });
        let object = Object::new()
            .with("attempt", attempt.0)
            .with("grant", grant)
            .with("input", input)
            .with("instance_id", instance.identity.instance.to_string())
            .with("outcomes", Value::Array(outcomes.collect()))
            .with("session_id", instance.created.session.as_ref().map(|session| session.as_str()))
            .with("trigger", instance.created.trigger.as_ref().map(Name::as_str))
            .with(
                "workflow",
                Object::new()
                    .with("id", loaded.workflow.id.as_str())
                    .with("version", loaded.workflow.version.as_str()),
            );
        Ok(Value::Object(object).to_canonical())
    }

    /// Returns a grant of an instance, as it stood when it was read, with the action that it permits and the salt that opens its commitment.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn grant_document(&self, instance: &Instance, id: GrantId) -> Result<Value, EngineError> {
        let grant = instance.grants.get(&id).ok_or(EngineError::NotFound { what: "the grant" })?;
        let erased = EngineError::NotFound { what: "the approved action, which was erased," };
        let tenant = &instance.identity.tenant;
        let opened: Opened = self
            .opened(tenant, instance.identity.instance, CommitmentLabel::Action, grant.action)
            .await?
            .ok_or(erased)?;
        let (gate, overridden) = match &grant.origin {
            Origin::Policy { .. } => (None, false),
            Origin::Humans(origin) => (Some(origin.gate.to_string()), origin.overridden),
        };
        let object = Object::new()
            .with("action", opened.document()?)
            .with("action_commitment", grant.action.to_hex())
            .with("action_salt", opened.salt.to_hex())
            .with("expires_at", grant.expires_at.to_text())
            .with("gate_id", gate)
            .with("grant_id", id.to_string())
            .with("overridden", overridden);
        Ok(Value::Object(object))
    }
}

/// The grant of humans that an attempt may consume once it has attached: also that of an attempt that was lost before
/// it consumed.
pub(crate) fn usable_grant(instance: &Instance, attempt: AttemptNo) -> Option<GrantId> {
    instance.grants.iter().find_map(|(id, grant)| match &grant.origin {
        Origin::Humans(origin) if attempt > origin.retired => Some(*id),
        Origin::Humans(_) | Origin::Policy { .. } => None,
    })
}
