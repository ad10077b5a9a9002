//! What was observed under SHADOW, read back from the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantral_core::digest::CommitmentLabel;
use gantral_core::event::{Event, PolicyRecord};
use gantral_core::ids::{InstanceId, Name, TenantId};
use gantral_core::json::Value;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_store::{CHAIN_PAGE_MAX, InstanceFilter, InstanceRow};

use crate::asks::{AskCursor, FoundAsk, KeptOf, Walk};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{chain, open};

/// How many asks fill a page, whatever its limit. It ends with the step of the walk that brings it there.
const ASKS_FULL: usize = 2_000;

/// How many artifacts are looked at for one page, whatever asks are among them.
const LOOKED_AT_MAX: usize = 10_000;

/// One ask that was only observed.
#[derive(Debug, Clone)]
pub struct ObservedAsk {
    /// The instance.
    pub instance: InstanceId,
    /// When it was asked.
    pub at: UnixMillis,
    /// The definition under which.
    pub workflow: Arc<Workflow>,
    /// The action; `None` when the context was erased.
    pub action: Option<Name>,
    /// Under which policy, with the verdict that would have been enforced.
    pub policy: PolicyRecord,
    /// What policy answered, as committed to; `None` when it failed, or the answer was erased.
    pub decision: Option<Vec<u8>>,
}

/// One page of what was observed.
#[derive(Debug, Clone)]
pub struct ObservedPage {
    /// The asks, from the newest: in the order in which they were committed.
    pub asks: Vec<ObservedAsk>,
    /// How many instances have their newest ask of the span on this page: those of all pages together are all that have one.
    pub instances: usize,
    /// Where the next page begins; `None` at the end.
    pub next: Option<AskCursor>,
}

impl Engine {
    /// Returns what was observed from `from` to before `to`, by the instants at which the asks were sealed, in the instances that fit the
    /// filter; of at most `limit` of them.
    ///
    /// # Errors
    /// `Text` when the cursor is not of this tenant; `Damaged`; the store's.
    pub async fn observed(
        &self,
        tenant: &TenantId,
        span: (UnixMillis, UnixMillis),
        filter: &InstanceFilter,
        after: Option<AskCursor>,
        limit: usize,
    ) -> Result<ObservedPage, EngineError> {
        let mut walk = Walk::begin(self, tenant, span, filter, after).await?;
        // The newest ask of each instance.
        let mut instances: BTreeMap<InstanceId, u64> = BTreeMap::new();
        let (mut found, mut next, mut looked_at): (Vec<FoundAsk>, _, _) = (Vec::new(), None, 0usize);
        let mut full = false;
        while !full && !walk.is_over() {
            let step = walk.step(self).await?;
            looked_at = looked_at.saturating_add(step.looked_at);
            next = step.reached.map(|(place, _)| place).or(next);
            for ask in step.asks.into_iter().filter(|ask| ask.asked.observed) {
                if instances.len() >= limit && !instances.contains_key(&ask.instance) {
                    next = found.last().map(FoundAsk::place);
                    full = true;
                    break;
                }
                instances.entry(ask.instance).or_insert(ask.sequence);
                found.push(ask);
            }
            full = full || found.len() >= ASKS_FULL || looked_at >= LOOKED_AT_MAX;
        }
        if !full {
            next = None;
        }
        let mut page =
            ObservedPage { asks: Vec::with_capacity(found.len()), instances: instances.len(), next };
        if after.is_some() {
            for (instance, newest) in instances {
                if self.is_observed_after(tenant, instance, newest, span.1).await? {
                    page.instances = page.instances.saturating_sub(1);
                }
            }
        }
        let kept = walk.kept(self, &found).await?;
        for (ask, KeptOf { input, decision }) in found.into_iter().zip(kept) {
            let context = input.map(|input| input.document()).transpose()?;
            page.asks.push(ObservedAsk {
                instance: ask.instance,
                at: ask.at,
                workflow: self.0.registry.workflow(tenant, ask.workflow_version).await?,
                action: context.as_ref().and_then(action),
                policy: ask.asked.policy,
                decision: decision.map(|opened| opened.plaintext),
            });
        }
        Ok(page)
    }

    /// Tells whether anything was observed in an instance behind a place in its chain and before an instant.
    async fn is_observed_after(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        sequence: u64,
        to: UnixMillis,
    ) -> Result<bool, EngineError> {
        let mut from = sequence.saturating_add(1);
        loop {
            let page = self.0.store.chain(tenant, instance, from, CHAIN_PAGE_MAX).await?;
            for artifact in &page {
                let entry = open(artifact)?.entry;
                // Time does not go back within a chain.
                if entry.at >= to {
                    return Ok(false);
                }
                if matches!(entry.event, Event::Observed(_)) {
                    return Ok(true);
                }
            }
            if page.len() < CHAIN_PAGE_MAX {
                return Ok(false);
            }
            from = from.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        }
    }

    /// Returns what was observed in the newest `limit` instances, at most [`gantral_store::PAGE_MAX`], by when they were created.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn observed_in_newest(
        &self,
        tenant: &TenantId,
        filter: &InstanceFilter,
        limit: usize,
    ) -> Result<Vec<ObservedAsk>, EngineError> {
        let mut asks = Vec::new();
        for row in self.0.store.list_instances(tenant, filter.clone(), None, limit).await?.items {
            self.observed_in(tenant, &row, &mut asks).await?;
        }
        Ok(asks)
    }

    /// Adds what was observed in one instance.
    async fn observed_in(
        &self,
        tenant: &TenantId,
        row: &InstanceRow,
        asks: &mut Vec<ObservedAsk>,
    ) -> Result<(), EngineError> {
        let workflow = self.0.registry.workflow(tenant, row.index.workflow_version).await?;
        for artifact in chain(&self.0.store, tenant, row.id).await? {
            let entry = open(&artifact)?.entry;
            let Event::Observed(detail) = entry.event else { continue };
            let context = self.opened(tenant, row.id, CommitmentLabel::Context, detail.context).await?;
            let context = context.map(|context| context.document()).transpose()?;
            let decision = match detail.policy.decision {
                Some(decision) => self.opened(tenant, row.id, CommitmentLabel::Decision, decision).await?,
                None => None,
            };
            asks.push(ObservedAsk {
                instance: row.id,
                at: entry.at,
                workflow: Arc::clone(&workflow),
                action: context.as_ref().and_then(action),
                policy: detail.policy,
                decision: decision.map(|opened| opened.plaintext),
            });
        }
        Ok(())
    }
}

/// Returns the name of the action in an input of policy.
fn action(input: &Value) -> Option<Name> {
    Name::parse(input.get("action")?.get("name")?.as_str()?).ok()
}
