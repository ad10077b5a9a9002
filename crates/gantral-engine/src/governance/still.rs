//! The governance chain of a tenant, held still while somebody reads what is in force, or a ballot that rests on it commits.

use gantral_core::ids::TenantId;
use gantral_store::Guard;
use tokio::sync::OwnedMutexGuard;

use super::topic::Governed;
use crate::engine::Engine;
use crate::error::EngineError;

/// What is in force, while nothing is sealed on the governance chain: so the instants of a revocation and of the last ballot before it stand
/// in the order of the commits. Dropped when the ballot has committed, or will not; and by whoever only reads, before anything else is awaited.
pub(crate) struct Still {
    pub(super) governed: Governed,
    slot: OwnedMutexGuard<Option<Governed>>,
}

impl Engine {
    /// Holds the governance chain of a tenant still until what is returned is dropped.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub(crate) async fn still(&self, tenant: &TenantId) -> Result<Still, EngineError> {
        let mut slot = self.0.governance.slot(tenant).lock_owned().await;
        let governed = self.follow_governance(tenant, slot.take()).await?;
        Ok(Still { governed, slot })
    }
}

impl Still {
    /// Returns what must still stand when the ballot commits: another process may seal meanwhile.
    pub(crate) fn guard(&self) -> Guard {
        Guard::GovernanceHead(self.governed.head.map(|head| head.hash))
    }
}

/// Gives the chain back as it was folded, with what rests on it.
impl Drop for Still {
    fn drop(&mut self) {
        *self.slot = Some(std::mem::take(&mut self.governed));
    }
}
