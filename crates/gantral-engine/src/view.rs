//! What a person is shown of an instance or a gate: read from the fold and the snapshots, never from a cache of rows.

use std::sync::Arc;

use gantral_core::digest::CommitmentLabel;
use gantral_core::event::{Entry, Event, GateMoved, HumanRequired, PolicyRecord};
use gantral_core::ids::{ActorId, GateId, GrantId, InstanceId, TenantId};
use gantral_core::instance::{Gate, Instance};
use gantral_core::json::Value;
use gantral_core::rule::Rule;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_store::{Head, SealedArtifact, Snapshot, StoredGate};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{chain, open};

/// The most snapshots that are read at once.
const SNAPSHOT_PAGE: usize = 200;

/// One instance, as folded.
#[derive(Debug, Clone)]
pub struct InstanceFacts {
    /// The fold.
    pub instance: Instance,
    /// The head of its chain.
    pub head: Head,
    /// Its definition.
    pub workflow: Arc<Workflow>,
    /// When it was created.
    pub created_at: UnixMillis,
}

/// One gate, as a list shows it.
#[derive(Debug, Clone)]
pub struct GateOutline {
    /// The index row: state, and who closed it.
    pub row: StoredGate,
    /// The gate as folded, while it is open.
    pub gate: Option<Gate>,
    /// Who must agree; as it was asked for at first, once the gate is closed.
    pub rule: Rule,
    /// The action that was asked for; absent when it was erased.
    pub action: Option<Value>,
    /// The instance.
    pub instance: InstanceFacts,
}

/// One gate, with all that it shows.
#[derive(Debug, Clone)]
pub struct GateFacts {
    /// What a list shows of it.
    pub outline: GateOutline,
    /// The context snapshot; absent when it was erased.
    pub context: Option<Value>,
    /// Policy's reasons: text by its author.
    pub reasons: Vec<String>,
    /// What was sealed when it opened.
    pub opened: HumanRequired,
    /// How it has moved since then, the oldest first.
    pub moves: Vec<Moved>,
}

/// One move of a gate: an escalation or an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What it is like since then.
    pub to: GateMoved,
    /// Who moved it.
    pub by: ActorId,
    /// When.
    pub at: UnixMillis,
}

impl Engine {
    /// Returns an instance.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn instance(&self, tenant: &TenantId, id: InstanceId) -> Result<InstanceFacts, EngineError> {
        let held = self.hold(tenant, id).await?;
        let loaded = held.loaded()?;
        Ok(InstanceFacts {
            instance: loaded.instance.clone(),
            head: loaded.head,
            workflow: Arc::clone(&loaded.workflow),
            created_at: loaded.row.index.created_at,
        })
    }

    /// Returns a gate with everything that an approver is shown.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn gate(&self, tenant: &TenantId, id: GateId) -> Result<GateFacts, EngineError> {
        let row = self.gate_row(tenant, id).await?;
        let instance = self.instance(tenant, row.instance).await?;
        let (opened, moves) = self.past(tenant, &row).await?;
        let gate = instance.instance.gate_named(id).cloned();
        let asked = &opened.gate;
        let (action, context, reasons) = tokio::try_join!(
            self.document(tenant, row.instance, CommitmentLabel::Action, asked.action),
            self.document(tenant, row.instance, CommitmentLabel::Context, asked.context),
            self.reasons(tenant, row.instance, &opened.policy),
        )?;
        let rule = gate.as_ref().map_or(&opened.rule, |gate| &gate.rule).clone();
        let outline = GateOutline { row, gate, rule, action, instance };
        Ok(GateFacts { outline, context, reasons, opened, moves })
    }

    /// Returns what a list shows of a gate. Of an open one the fold says who must agree, so that its chain is not read for it.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn gate_outline(&self, tenant: &TenantId, row: StoredGate) -> Result<GateOutline, EngineError> {
        let instance = self.instance(tenant, row.instance).await?;
        let gate = instance.instance.gate_named(row.gate.id).cloned();
        let (rule, asked) = match &gate {
            Some(gate) => (gate.rule.clone(), gate.asked.action),
            None => {
                let (opened, _) = self.past(tenant, &row).await?;
                (opened.rule, opened.gate.action)
            }
        };
        let action = self.document(tenant, row.instance, CommitmentLabel::Action, asked).await?;
        Ok(GateOutline { row, gate, rule, action, instance })
    }

    /// Returns what was sealed when a gate opened, and how it has moved since then, the oldest first.
    async fn past(
        &self,
        tenant: &TenantId,
        row: &StoredGate,
    ) -> Result<(HumanRequired, Vec<Moved>), EngineError> {
        let mut moves = Vec::new();
        for artifact in chain(&self.0.store, tenant, row.instance).await?.iter().rev() {
            let Entry { event, actor, at, .. } = open(artifact)?.entry;
            match event {
                Event::HumanRequired(detail) if detail.gate.id == row.gate.id => {
                    moves.reverse();
                    return Ok((detail, moves));
                }
                Event::Escalated(to) | Event::Extended(to) if to.gate == row.gate.id => {
                    moves.push(Moved { to, by: actor.id, at });
                }
                _ => {}
            }
        }
        Err(EngineError::NotFound { what: "the gate" })
    }

    /// Returns a grant with the action that it permits, for the attempt that may consume it.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn grant(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        grant: GrantId,
    ) -> Result<Value, EngineError> {
        let facts = self.instance(tenant, id).await?;
        self.grant_document(&facts.instance, grant).await
    }

    /// Returns the whole chain of an instance.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn chain(&self, tenant: &TenantId, id: InstanceId) -> Result<Vec<SealedArtifact>, EngineError> {
        let artifacts = chain(&self.0.store, tenant, id).await?;
        if artifacts.is_empty() { Err(EngineError::NotFound { what: "the instance" }) } else { Ok(artifacts) }
    }

    /// Returns every snapshot of an instance, erased ones included.
    ///
    /// # Errors
    /// The store's.
    pub async fn snapshots(&self, tenant: &TenantId, id: InstanceId) -> Result<Vec<Snapshot>, EngineError> {
        let mut all: Vec<Snapshot> = Vec::new();
        loop {
            let after = all.last().map(|snapshot| snapshot.place);
            let page = self.0.store.snapshots_of(tenant, id, after, SNAPSHOT_PAGE).await?;
            let last = page.len() < SNAPSHOT_PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    async fn document(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        label: CommitmentLabel,
        commitment: gantral_core::digest::Digest,
    ) -> Result<Option<Value>, EngineError> {
        match self.opened(tenant, id, label, commitment).await? {
            Some(opened) => Ok(Some(opened.document()?)),
            None => Ok(None),
        }
    }

    async fn reasons(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        policy: &PolicyRecord,
    ) -> Result<Vec<String>, EngineError> {
        if let Some(failure) = policy.failure {
            return Ok(vec![failure.to_string()]);
        }
        let Some(decision) = policy.decision else { return Ok(Vec::new()) };
        let document = self.document(tenant, id, CommitmentLabel::Decision, decision).await?;
        let reasons =
            document.as_ref().and_then(|document| document.get("reasons")).and_then(Value::as_array);
        let texts = reasons.unwrap_or_default().iter().filter_map(Value::as_str);
        Ok(texts.map(str::to_owned).collect())
    }
}
