//! The emergency brake: what is frozen, and by whom.

use gantral_core::ids::TenantId;
use gantral_evidence::governance::{Detail, GovernanceKind, Scope};

use super::{GovernanceReceipt, Governor, Ruled, Unfreeze};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

/// One scope that is frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// What is frozen.
    pub scope: Scope,
    /// The artifact that says so: who did it, when and why.
    pub sealed: GovernanceReceipt,
}

impl Engine {
    /// Freezes a scope, or lifts its freeze; lifting it is proposed where that takes two persons, and freezing never is. While it is
    /// frozen nothing of it is assigned, resumed or consumed. A freeze of one scope says nothing about that of another: what is frozen
    /// twice, by its team and by itself, goes on when both were lifted.
    ///
    /// # Errors
    /// `SamePerson` where another person than the one who froze must lift; `ProposalsFull`; `Conflict`: others were faster, repeat; the signer's and the store's.
    pub async fn set_frozen(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        scope: &Scope,
        frozen: bool,
    ) -> Result<Ruled, EngineError> {
        let takes_two = !frozen && self.takes_two(tenant, GovernanceKind::Lifted);
        let must_be_another = !frozen && self.four_eyes(tenant).unfreeze == Unfreeze::Another;
        self.rule(tenant, call, by, takes_two, |governed| {
            let in_force = &governed.in_force;
            if in_force.is_frozen(scope) == frozen {
                return Ok(None);
            }
            if must_be_another && governed.froze(scope) == Some(&by.actor.id) {
                return Err(EngineError::SamePerson { why: "who froze it does not lift the freeze" });
            }
            let (scope, epoch) = (scope.clone(), in_force.epoch().saturating_add(1));
            let detail =
                if frozen { Detail::Frozen { scope, epoch } } else { Detail::Lifted { scope, epoch } };
            Ok(Some(detail))
        })
        .await
    }

    /// Returns every scope that is frozen by now, also by another server: the tenant, then teams and workflows by name.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn freezes(&self, tenant: &TenantId) -> Result<Vec<Freeze>, EngineError> {
        let places: Vec<(Scope, u64)> = {
            let still = self.still(tenant).await?;
            still.governed.freezes().map(|(scope, sequence)| (scope.clone(), sequence)).collect()
        };
        let mut freezes = Vec::with_capacity(places.len());
        for (scope, sequence) in places {
            let gone = || EngineError::Damaged { what: format!("governance artifact {sequence} is gone") };
            let sealed = self.governance(tenant, sequence, 1).await?.pop().ok_or_else(gone)?;
            freezes.push(Freeze { scope, sealed });
        }
        Ok(freezes)
    }
}
