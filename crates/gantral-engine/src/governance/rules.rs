//! What binds everybody from now on: policies in force, and freezes.

use gantral_core::ids::TenantId;
use gantral_core::policy::PolicyVersionId;
use gantral_evidence::governance::{Detail, Scope};

use super::{GovernanceReceipt, Governor};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

/// Which policy is to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// This version, whose bundle was published.
    Version(PolicyVersionId),
    /// The one that was in force in the scope before the present one.
    Before,
}

/// The policy of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInForce {
    /// Where it is in force.
    pub scope: Scope,
    /// The version.
    pub version: PolicyVersionId,
    /// The one before it in this scope.
    pub before: Option<PolicyVersionId>,
}

impl Engine {
    /// Returns the policies in force, of every scope that has one of its own.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn policies_in_force(&self, tenant: &TenantId) -> Result<Vec<PolicyInForce>, EngineError> {
        let known = self.in_force(tenant).await?;
        let policies = known.in_force.policies().map(|(scope, version)| PolicyInForce {
            scope: scope.clone(),
            version,
            before: known.in_force.policy_before(scope),
        });
        Ok(policies.collect())
    }

    /// Puts a policy in force for a scope, from the next ask of every instance on; returns nothing when it is already. An open gate keeps
    /// the version under which it was asked.
    ///
    /// `seen`: the version that the caller believes to be in force in exactly this scope; another one there refuses.
    ///
    /// # Errors
    /// `PolicyUnknown`; `PolicyMoved`; `NoPolicyBefore`; `Conflict`: others were faster, repeat; the signer's and the store's.
    pub async fn activate_policy(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        scope: &Scope,
        activation: Activation,
        seen: Option<PolicyVersionId>,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        if let Activation::Version(version) = activation
            && self.0.store.policy_bundle(tenant, version).await?.is_none()
        {
            return Err(EngineError::PolicyUnknown);
        }
        self.govern(tenant, call, by, |in_force| {
            let present = in_force.policy_of(scope);
            if seen.is_some() && seen != present {
                return Err(EngineError::PolicyMoved { present });
            }
            let version = match activation {
                Activation::Version(version) => version,
                Activation::Before => in_force.policy_before(scope).ok_or(EngineError::NoPolicyBefore)?,
            };
            // What is in force already is no change, and leaves no line in the history.
            if present == Some(version) {
                return Ok(None);
            }
            let scope = scope.clone();
            Ok(Some(Detail::PolicyActivated { scope, version, previous: present }.into()))
        })
        .await
    }

    /// Freezes a scope, or lifts its freeze; returns nothing when it is so already. While it is frozen nothing of it is assigned,
    /// resumed or consumed.
    ///
    /// # Errors
    /// `Conflict`: others were faster, repeat; the signer's and the store's.
    pub async fn set_frozen(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        scope: &Scope,
        frozen: bool,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        self.govern(tenant, call, by, |in_force| {
            if in_force.is_frozen(scope) == frozen {
                return Ok(None);
            }
            let (scope, epoch) = (scope.clone(), in_force.epoch().saturating_add(1));
            let detail =
                if frozen { Detail::Frozen { scope, epoch } } else { Detail::Lifted { scope, epoch } };
            Ok(Some(detail.into()))
        })
        .await
    }
}
