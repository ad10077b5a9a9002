//! Asks as they were recorded: the very input that policy saw, and what was enforced. For whoever wants to know what another
//! policy would have said; nothing is decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::event::{Event, PolicyRecord};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::json::Value;
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_store::{CHAIN_PAGE_MAX, Cursor, InstanceFilter, InstanceRow, SnapshotContent};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{chain, open};
use crate::policy_input::{InputError, under_version};

/// How many instances are read before it is looked whether a page is full.
const STRIDE: usize = 50;

/// One ask and what became of it.
#[derive(Debug, Clone)]
pub struct RecordedGate {
    /// The instance.
    pub instance: InstanceId,
    /// When the instance was created.
    pub created_at: UnixMillis,
    /// When it was asked.
    pub at: UnixMillis,
    /// The definition under which.
    pub workflow: Arc<Workflow>,
    /// Under which policy, and what was enforced, or would have been where it was only observed.
    pub policy: PolicyRecord,
    /// The input that policy saw.
    pub input: Value,
}

impl RecordedGate {
    /// Returns the input as another version would have seen it: all is as recorded but the version itself.
    ///
    /// # Errors
    /// The recorded input does not follow the contract of today.
    pub fn input_under(&self, version: PolicyVersionId) -> Result<Vec<u8>, InputError> {
        under_version(&self.input, version)
    }
}

/// One ask as its event tells of it, without the input that policy saw.
#[derive(Debug, Clone)]
pub struct RecordedAsk {
    /// The instance.
    pub instance: InstanceId,
    /// When it was asked.
    pub at: UnixMillis,
    /// Under which policy, and what was enforced, or would have been where it was only observed.
    pub policy: PolicyRecord,
    /// The commitment of the context, if the event names it.
    context: Option<Digest>,
}

/// One page of what was recorded.
#[derive(Debug, Clone)]
pub struct RecordedPage {
    /// The asks: by instance from the newest to the oldest, in each as they came.
    pub gates: Vec<RecordedGate>,
    /// How many asks have no input any more, because it was erased.
    pub erased: usize,
    /// How many instances were looked at.
    pub instances: usize,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

impl Engine {
    /// Returns the asks of the instances that were created from `from` to before `to`. A page ends with the instance that
    /// brings it to `asks` asks, or where there are no more.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn recorded(
        &self,
        tenant: &TenantId,
        (from, to): (UnixMillis, UnixMillis),
        filter: &InstanceFilter,
        after: Option<Cursor>,
        asks: usize,
    ) -> Result<RecordedPage, EngineError> {
        let mut page = RecordedPage { gates: Vec::new(), erased: 0, instances: 0, next: after };
        loop {
            let rows;
            (rows, page.next) = self.created_since(tenant, from, filter, page.next, STRIDE).await?;
            for row in rows {
                if row.index.created_at < to {
                    page.instances = page.instances.saturating_add(1);
                    self.recorded_in(tenant, &row, &mut page).await?;
                }
            }
            if page.next.is_none() || page.gates.len() >= asks {
                return Ok(page);
            }
        }
    }

    /// Returns the asks among the artifacts of an instance from `first` to `last`, both included.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn recorded_between(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        (first, last): (u64, u64),
    ) -> Result<Vec<RecordedAsk>, EngineError> {
        let count = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(usize::MAX);
        let mut asks = Vec::new();
        for artifact in self.0.store.chain(tenant, instance, first, count.min(CHAIN_PAGE_MAX)).await? {
            let entry = open(&artifact)?.entry;
            let at = entry.at;
            if let Some((policy, context)) = asked_by(entry.event) {
                asks.push(RecordedAsk { instance, at, policy, context });
            }
        }
        Ok(asks)
    }

    /// Returns an ask with the input that policy saw; `None` when it was erased.
    ///
    /// # Errors
    /// `NotFound` without the instance; `Damaged`; the store's.
    pub async fn recorded_gate(
        &self,
        tenant: &TenantId,
        ask: &RecordedAsk,
    ) -> Result<Option<RecordedGate>, EngineError> {
        let RecordedAsk { instance, at, policy, context } = ask.clone();
        let input = match context {
            Some(context) => {
                let opened = self.opened(tenant, instance, CommitmentLabel::Context, context).await?;
                opened.map(|opened| opened.document()).transpose()?
            }
            None => self.inputs(tenant, instance).await?.remove(&policy.input),
        };
        let Some(input) = input else { return Ok(None) };
        let row = self.0.store.instance(tenant, instance).await?;
        let row = row.ok_or(EngineError::NotFound { what: "the instance" })?;
        let workflow = self.0.registry.workflow(tenant, row.index.workflow_version).await?;
        Ok(Some(RecordedGate { instance, created_at: row.index.created_at, at, workflow, policy, input }))
    }

    /// Returns up to `limit` instances from the newest to the oldest, none of them created before `from`, and where the next ones
    /// begin.
    pub(crate) async fn created_since(
        &self,
        tenant: &TenantId,
        from: UnixMillis,
        filter: &InstanceFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<InstanceRow>, Option<Cursor>), EngineError> {
        let mut found = self.0.store.list_instances(tenant, filter.clone(), after, limit).await?;
        let older = found.items.iter().position(|row| row.index.created_at < from);
        if let Some(older) = older {
            found.items.truncate(older);
            found.next = None;
        }
        Ok((found.items, found.next))
    }

    /// Adds the asks of one instance.
    async fn recorded_in(
        &self,
        tenant: &TenantId,
        row: &InstanceRow,
        page: &mut RecordedPage,
    ) -> Result<(), EngineError> {
        let workflow = self.0.registry.workflow(tenant, row.index.workflow_version).await?;
        let mut asked = Vec::new();
        for artifact in chain(&self.0.store, tenant, row.id).await? {
            let entry = open(&artifact)?.entry;
            let Some((policy, _)) = asked_by(entry.event) else { continue };
            asked.push((entry.at, policy));
        }
        if asked.is_empty() {
            return Ok(());
        }
        let inputs = self.inputs(tenant, row.id).await?;
        for (at, policy) in asked {
            let Some(input) = inputs.get(&policy.input) else {
                page.erased = page.erased.saturating_add(1);
                continue;
            };
            page.gates.push(RecordedGate {
                instance: row.id,
                created_at: row.index.created_at,
                at,
                workflow: Arc::clone(&workflow),
                policy,
                input: input.clone(),
            });
        }
        Ok(())
    }

    /// Returns the inputs of an instance's evaluations that are still there, by their commitments. They are kept as what
    /// approvers see: the same bytes and salt under another label.
    async fn inputs(
        &self,
        tenant: &TenantId,
        id: InstanceId,
    ) -> Result<BTreeMap<Digest, Value>, EngineError> {
        let mut inputs = BTreeMap::new();
        for snapshot in self.snapshots(tenant, id).await? {
            if snapshot.label != CommitmentLabel::Context {
                continue;
            }
            if let SnapshotContent::Kept { salt, plaintext } = snapshot.content {
                let commitment = commit(CommitmentLabel::Input, &salt, &plaintext);
                let opened = crate::snapshot::Opened { salt, plaintext };
                inputs.insert(commitment, opened.document()?);
            }
        }
        Ok(inputs)
    }
}

/// Returns what an event says that policy was asked, with the commitment of the context if it names that; `None` for events that
/// follow from no ask.
fn asked_by(event: Event) -> Option<(PolicyRecord, Option<Digest>)> {
    match event {
        Event::Allowed(detail) | Event::Observed(detail) => Some((detail.policy, Some(detail.context))),
        Event::HumanRequired(detail) => Some((detail.policy, Some(detail.gate.context))),
        Event::Terminated(detail) => detail.policy.map(|policy| (policy, None)),
        // A failure is followed by what it was resolved to, and a consumption asks nothing new.
        Event::EvaluatorFailed(_)
        | Event::Consumed(_)
        | Event::Created(_)
        | Event::Started(_)
        | Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Resumed(_)
        | Event::Running(_)
        | Event::Completed(_)
        | Event::AttemptAssigned(_)
        | Event::AttemptEnded(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Outcome(_)
        | Event::Reconciled(_) => None,
    }
}
