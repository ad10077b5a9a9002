//! What was in a span of time: every instance, by the ledger, under the issuer's signature. Source: `spec/window.md`.

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_core::time::UnixMillis;
use gantral_evidence::seal::Unsigned;
use gantral_evidence::window::{InstanceHead, InstanceList, WindowFilter, WindowStatement};
use gantral_store::{InstanceFilter, PAGE_MAX};

use crate::beside::SignedBeside;
use crate::engine::{Call, Engine, state_code};
use crate::error::EngineError;

/// The most instances of one window that is asked of a server.
pub const WINDOW_INSTANCES_MAX: usize = 10_000;

/// A signed window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedWindow {
    /// The statement.
    pub statement: SignedBeside,
    /// The list that it is about.
    pub list: Vec<u8>,
}

impl Engine {
    /// Says which instances were created from `from` to before `to`, and how far each has come.
    ///
    /// # Errors
    /// `Text` when the span is none, is not over, or has more than [`WINDOW_INSTANCES_MAX`] instances: the caller must narrow it. The
    /// signer's and the store's.
    pub async fn window(
        &self,
        mut call: Call,
        tenant: &TenantId,
        span: (UnixMillis, UnixMillis),
        filter: WindowFilter,
    ) -> Result<SignedWindow, EngineError> {
        let (from, to) = span;
        let wrong = |why| EngineError::Text { member: "to", why };
        if from >= to {
            return Err(wrong("does not lie after `from`"));
        }
        if to > call.now {
            return Err(wrong("lies in the future: what was created until then is not known yet"));
        }
        let list = self
            .created(tenant, span, &filter)
            .await?
            .ok_or_else(|| wrong("makes the window hold more than 10,000 executions: narrow it"))?;
        let bytes = list.encode();
        let statement = WindowStatement {
            tenant: tenant.clone(),
            origin: self.origin(tenant)?,
            from,
            to,
            filter,
            count: u64::try_from(list.instances.len()).unwrap_or(u64::MAX),
            instances_digest: Digest::of(&bytes),
            at: call.now,
            anchor: self.0.checkpoints.newest(tenant, 0),
            blind: call.fresh.bytes32(),
        };
        let statement = self.sign_beside(Unsigned::of_window(&statement)?).await?;
        Ok(SignedWindow { statement, list: bytes })
    }

    /// Lists the instances of a window; `None` when they are too many.
    async fn created(
        &self,
        tenant: &TenantId,
        (from, to): (UnixMillis, UnixMillis),
        filter: &WindowFilter,
    ) -> Result<Option<InstanceList>, EngineError> {
        let filter = InstanceFilter {
            state: filter.state.map(state_code),
            teams: filter.team.clone().map(|team| vec![team]),
            workflow: filter.workflow.clone(),
            session: None,
        };
        let (mut list, mut after) = (InstanceList::default(), None);
        loop {
            // From the newest to the oldest.
            let page = self.0.store.list_instances(tenant, filter.clone(), after, PAGE_MAX).await?;
            for row in page.items {
                if row.index.created_at < from {
                    return Ok(Some(list));
                }
                if row.index.created_at >= to {
                    continue;
                }
                if list.instances.len() == WINDOW_INSTANCES_MAX {
                    return Ok(None);
                }
                let (sequence, hash) = (row.head.sequence, row.head.hash);
                list.instances.push(InstanceHead { instance: row.id, sequence, hash });
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(Some(list)),
            }
        }
    }
}
