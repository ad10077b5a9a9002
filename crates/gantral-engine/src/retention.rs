//! Content that was kept for as long as is configured: when an execution ended so long ago, what its commitments stand for is erased, and nothing that
//! verifies with it.
//!
//! It is no event. An erasure by right names a commitment on the governance chain, which every bundle brings along and every consumption rests on; one
//! for each commitment of every execution would make both as long as the ledger. What was kept for its time is no longer disclosed, as a bundle
//! may always be; the row of each says when it went.

use std::collections::BTreeMap;

use gantral_core::ids::TenantId;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_store::{Cursor, InstanceRow};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::open;

/// How many instances one step looks at: what it erases of them is one commit each, or some of them together.
const LOOKED_AT: usize = 64;

/// For how long content is kept after the end of an execution; `None`: for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// That of every tenant that has none of its own.
    pub usual: Option<DurationMs>,
    /// Tenants with a time of their own, which counts in place of the usual one.
    pub tenants: BTreeMap<TenantId, Option<DurationMs>>,
}

impl Retention {
    /// Returns for how long the content of a tenant is kept.
    pub fn of(&self, tenant: &TenantId) -> Option<DurationMs> {
        self.tenants.get(tenant).copied().unwrap_or(self.usual)
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Instances whose content was erased.
    pub instances: u64,
    /// How many bytes it had.
    pub bytes: u64,
    /// Instances that could not be read; they keep their content, and are looked at in the next pass.
    pub failed: u64,
    /// Where the next step goes on; `None` when all of the tenant was looked at.
    pub next: Option<Cursor>,
}

impl Engine {
    /// Returns for how long the content of a tenant is kept.
    pub fn content_kept(&self, tenant: &TenantId) -> Option<DurationMs> {
        self.0.config.retention.of(tenant)
    }

    /// Erases the content of some instances of a tenant that ended longer ago than it is kept, from the oldest on. May be cancelled and repeated: each
    /// instance is one transaction.
    ///
    /// # Errors
    /// The store's. What fails for one instance does not stop the others.
    pub async fn retain(
        &self,
        tenant: &TenantId,
        kept: DurationMs,
        now: UnixMillis,
        after: Option<Cursor>,
    ) -> Result<Retained, EngineError> {
        let Some(until) = now.get().checked_sub(kept.get()).and_then(|at| UnixMillis::new(at).ok()) else {
            return Ok(Retained::default());
        };
        let page = self.0.store.ended_before(tenant, until, after, LOOKED_AT).await?;
        let mut retained = Retained { next: page.next, ..Retained::default() };
        for row in page.ended {
            match self.ended_at(tenant, &row).await {
                Ok(ended) if ended >= until => continue,
                Ok(_) => {}
                Err(EngineError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%tenant, instance = %row.id, %error, "content is kept of an execution that cannot be read");
                    retained.failed = retained.failed.saturating_add(1);
                    continue;
                }
            }
            if let Some(erased) = self.0.store.erase_content(tenant, row.id, row.head, now).await? {
                retained.instances = retained.instances.saturating_add(1);
                retained.bytes = retained.bytes.saturating_add(erased.bytes);
            }
        }
        Ok(retained)
    }

    /// Returns when an instance ended: the instant of its last artifact.
    async fn ended_at(&self, tenant: &TenantId, row: &InstanceRow) -> Result<UnixMillis, EngineError> {
        let last = self.0.store.chain(tenant, row.id, row.head.sequence, 1).await?;
        let last = last.first().ok_or_else(|| EngineError::Damaged {
            what: format!("instance {} has no artifact {}", row.id, row.head.sequence),
        })?;
        Ok(open(last)?.entry.at)
    }
}
