//! What was observed under SHADOW, read back from the ledger.

use std::sync::Arc;

use gantral_core::digest::CommitmentLabel;
use gantral_core::event::{Event, PolicyRecord};
use gantral_core::ids::{InstanceId, Name, TenantId};
use gantral_core::json::Value;
use gantral_core::state::Mode;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_store::{Cursor, InstanceFilter, InstanceRow};

use crate::engine::{Engine, mode_code};
use crate::error::EngineError;
use crate::loaded::{chain, open};

/// How many instances are read before it is looked whether a page is full.
const STRIDE: usize = 20;

/// How many asks fill a page, whatever its limit. One that began its last instances below this many may have more.
const ASKS_FULL: usize = 2_000;

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
    /// The asks: by instance from the newest to the oldest, in each as they came.
    pub asks: Vec<ObservedAsk>,
    /// How many instances were looked at.
    pub instances: usize,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

impl Engine {
    /// Returns what was observed in the instances that were created from `from` to before `to`, those of at most `limit` of them.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn observed(
        &self,
        tenant: &TenantId,
        (from, to): (UnixMillis, UnixMillis),
        filter: &InstanceFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<ObservedPage, EngineError> {
        let mut page = ObservedPage { asks: Vec::new(), instances: 0, next: after };
        loop {
            let most = limit.saturating_sub(page.instances).min(STRIDE);
            let rows;
            (rows, page.next) = self.created_since(tenant, from, filter, page.next, most).await?;
            for row in rows {
                page.instances = page.instances.saturating_add(1);
                if row.index.created_at < to && row.index.mode == mode_code(Mode::Shadow) {
                    self.observed_in(tenant, &row, &mut page.asks).await?;
                }
            }
            if page.next.is_none() || page.instances >= limit || page.asks.len() >= ASKS_FULL {
                return Ok(page);
            }
        }
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
