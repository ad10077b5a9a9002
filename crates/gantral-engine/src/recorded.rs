//! Asks as they were recorded: the very input that policy saw, and what was enforced. For whoever wants to know what another
//! policy would have said; nothing is decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::event::PolicyRecord;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::json::Value;
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_store::{CHAIN_PAGE_MAX, InstanceFilter, SnapshotContent};

use crate::asks::{Asked, Walk, asked_by};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::open;
use crate::policy_input::{InputError, under_version};
use crate::snapshot::Opened;

/// How many artifacts are looked at for one page, whatever asks are among them.
const LOOKED_AT_MAX: usize = 10_000;

/// One ask and what became of it.
#[derive(Debug, Clone)]
pub struct RecordedGate {
    /// The instance.
    pub instance: InstanceId,
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
#[derive(Debug, Clone, Default)]
pub struct RecordedPage {
    /// The asks, from the newest: in the order in which they were committed.
    pub gates: Vec<RecordedGate>,
    /// The instances of the asks that have no input any more, because it was erased: one for each ask.
    pub erased: Vec<InstanceId>,
    /// When what was looked at last was sealed; `None` if nothing was.
    pub reached: Option<UnixMillis>,
}

/// A walk back through recorded asks.
pub struct Recorded {
    engine: Engine,
    tenant: TenantId,
    walk: Walk,
}

impl Recorded {
    /// Returns the next page: about `asks` asks, or fewer where they lie far apart. `None` when there are no more.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn next(&mut self, asks: usize) -> Result<Option<RecordedPage>, EngineError> {
        if self.walk.is_over() {
            return Ok(None);
        }
        let (mut page, mut looked_at) = (RecordedPage::default(), 0usize);
        while !self.walk.is_over() && page.gates.len() < asks && looked_at < LOOKED_AT_MAX {
            let step = self.walk.step(&self.engine).await?;
            looked_at = looked_at.saturating_add(step.looked_at);
            page.reached = step.reached.map(|(_, at)| at).or(page.reached);
            let kept = self.walk.kept(&self.engine, &step.asks).await?;
            for (ask, kept) in step.asks.into_iter().zip(kept) {
                let Some(input) = kept.input else {
                    page.erased.push(ask.instance);
                    continue;
                };
                page.gates.push(RecordedGate {
                    instance: ask.instance,
                    at: ask.at,
                    workflow: self.engine.0.registry.workflow(&self.tenant, ask.workflow_version).await?,
                    policy: ask.asked.policy,
                    input: input.document()?,
                });
            }
        }
        Ok(Some(page))
    }
}

impl Engine {
    /// Begins to walk back through the asks that were made from `from` to before `to`, by the instants at which they were sealed, in the
    /// instances that fit the filter.
    ///
    /// # Errors
    /// The store's.
    pub async fn recorded(
        &self,
        tenant: &TenantId,
        span: (UnixMillis, UnixMillis),
        filter: &InstanceFilter,
    ) -> Result<Recorded, EngineError> {
        let walk = Walk::begin(self, tenant, span, filter, None).await?;
        Ok(Recorded { engine: self.clone(), tenant: tenant.clone(), walk })
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
        if first > last {
            return Ok(Vec::new());
        }
        let count = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(usize::MAX);
        let mut asks = Vec::new();
        for artifact in self.0.store.chain(tenant, instance, first, count.min(CHAIN_PAGE_MAX)).await? {
            let entry = open(&artifact)?.entry;
            let at = entry.at;
            if let Some(Asked { policy, context, .. }) = asked_by(entry.event) {
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
        Ok(Some(RecordedGate { instance, at, workflow, policy, input }))
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
                let opened = Opened { salt, plaintext };
                inputs.insert(commitment, opened.document()?);
            }
        }
        Ok(inputs)
    }
}
