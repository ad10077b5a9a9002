//! What binds everybody from now on: policies in force, and modes.

use std::sync::Arc;

use gantral_core::ids::{Name, TenantId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::Mode;
use gantral_core::workflow::Workflow;
use gantral_evidence::governance::{Detail, GovernanceKind, Scope};

use super::{FourEyesRules, Governed, Governor, InForceAt, Ruled};
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

/// The mode of one scope, or of one action of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeInForce {
    /// Where it is in force.
    pub scope: Scope,
    /// For this action of the workflow alone.
    pub action: Option<Name>,
    /// Whether what policy says is enforced there, or only observed.
    pub mode: Mode,
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

    /// Returns the policy that is in force for a scope by now, also where another server has changed it: that of the scope itself, or else
    /// of the team of a workflow, or else of the tenant.
    ///
    /// # Errors
    /// `NotFound` for a workflow, `NoActivePolicy`, `Damaged`; the store's.
    pub async fn policy_for(&self, tenant: &TenantId, scope: &Scope) -> Result<PolicyVersionId, EngineError> {
        let known = self.present(tenant).await?;
        match scope {
            Scope::Workflow(id) => known.policy(&*self.workflow(tenant, id, None).await?),
            Scope::Team(_) | Scope::Tenant => {
                let own = known.in_force.policy_of(scope);
                own.or_else(|| known.in_force.policy_of(&Scope::Tenant)).ok_or(EngineError::NoActivePolicy)
            }
        }
    }

    /// Returns from which scope a workflow has its policy by now, also where another server has changed it, and that policy.
    ///
    /// # Errors
    /// `NoActivePolicy`, `Damaged`; the store's.
    pub async fn policy_scope(
        &self,
        tenant: &TenantId,
        workflow: &Workflow,
    ) -> Result<(Scope, PolicyVersionId), EngineError> {
        let known = self.present(tenant).await?;
        let scope = known.in_force.policy_scope(&workflow.id, Some(&workflow.team));
        let found = scope.and_then(|scope| known.in_force.policy_of(&scope).map(|version| (scope, version)));
        found.ok_or(EngineError::NoActivePolicy)
    }

    /// Proposes that a policy be in force for a scope in place of `present`, whether or not that takes two persons there: whoever proposes
    /// need not be one who may put it in force.
    ///
    /// # Errors
    /// `PolicyUnknown`; `PolicyUnsigned`, `PolicyUnpinned`; `PolicyMoved`; `ProposalsFull`; `Conflict`: others were faster, repeat; the store's.
    pub async fn propose_policy(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        scope: &Scope,
        version: PolicyVersionId,
        present: PolicyVersionId,
    ) -> Result<Ruled, EngineError> {
        self.may_be_in_force(tenant, version).await?;
        self.propose(tenant, call, by, |governed| activated(governed, scope, version, Some(present))).await
    }

    /// Puts a policy in force for a scope, from the next ask of every instance on, or proposes it where that takes two persons. An open
    /// gate keeps the version under which it was asked.
    ///
    /// `seen`: the version that the caller believes to be in force in exactly this scope; another one there refuses.
    ///
    /// # Errors
    /// `PolicyUnknown`; `PolicyUnsigned`, `PolicyUnpinned`; `PolicyMoved`; `NoPolicyBefore`; `ProposalsFull`; `Conflict`: others were faster, repeat; the signer's and the store's.
    pub async fn activate_policy(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        scope: &Scope,
        activation: Activation,
        seen: Option<PolicyVersionId>,
    ) -> Result<Ruled, EngineError> {
        let looked_at = match activation {
            Activation::Version(version) => Some(version),
            Activation::Before => self.policy_before(tenant, scope).await?,
        };
        if let Some(version) = looked_at {
            self.may_be_in_force(tenant, version).await?;
        }
        let takes_two = self.takes_two(tenant, GovernanceKind::PolicyActivated);
        self.rule(tenant, call, by, takes_two, |governed| {
            let version = match activation {
                Activation::Version(version) => version,
                Activation::Before => {
                    governed.in_force.policy_before(scope).ok_or(EngineError::NoPolicyBefore)?
                }
            };
            let activated = activated(governed, scope, version, seen)?;
            // Others were faster: what would be in force now is not what was looked at.
            if activated.is_some() && looked_at != Some(version) {
                return Err(EngineError::Conflict);
            }
            Ok(activated)
        })
        .await
    }

    /// Tells whether a policy that were in force for a scope would be the one of a workflow: whether no narrower scope has one.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn would_reach(
        &self,
        tenant: &TenantId,
        scope: &Scope,
        workflow: &Workflow,
    ) -> Result<bool, EngineError> {
        let known = self.in_force(tenant).await?;
        let has = |scope: Scope| known.in_force.policy_of(&scope).is_some();
        let own = || has(Scope::Workflow(workflow.id.clone()));
        Ok(match scope {
            Scope::Workflow(id) => *id == workflow.id,
            Scope::Team(team) => *team == workflow.team && !own(),
            Scope::Tenant => !own() && !has(Scope::Team(workflow.team.clone())),
        })
    }

    /// Refuses a policy version that is not there, or is not what this deployment demands of one.
    ///
    /// # Errors
    /// `PolicyUnknown`, `PolicyUnsigned`, `PolicyUnpinned`; the store's.
    pub async fn may_be_in_force(
        &self,
        tenant: &TenantId,
        version: PolicyVersionId,
    ) -> Result<(), EngineError> {
        let row = self.0.store.policy_bundle_row(tenant, version).await?.ok_or(EngineError::PolicyUnknown)?;
        let demand = self.0.config.policy_demand;
        match row.signature {
            None if demand.signed => Err(EngineError::PolicyUnsigned),
            Some(signature) if demand.pinned && !signature.pinned => Err(EngineError::PolicyUnpinned),
            None | Some(_) => Ok(()),
        }
    }

    /// Returns what a rollback of the scope would put in force.
    async fn policy_before(
        &self,
        tenant: &TenantId,
        scope: &Scope,
    ) -> Result<Option<PolicyVersionId>, EngineError> {
        Ok(self.present(tenant).await?.in_force.policy_before(scope))
    }

    /// Returns what is in force by the chain as it is now, and not as it was when it was looked at last.
    pub(crate) async fn present(&self, tenant: &TenantId) -> Result<Arc<InForceAt>, EngineError> {
        if !self.0.store.is_shared() {
            self.forget_what_moved(tenant).await?;
        }
        self.in_force(tenant).await
    }

    /// Drops what is known to be in force where the chain has gone on since.
    pub(crate) async fn forget_what_moved(&self, tenant: &TenantId) -> Result<(), EngineError> {
        let head = self.0.store.governance_head(tenant).await?.map(|head| head.hash);
        if self.0.registry.in_force(tenant).is_some_and(|known| known.head() != head) {
            self.0.registry.forget_in_force(tenant);
        }
        Ok(())
    }

    /// Returns the modes in force, of every scope, and every action of a workflow, for which one was set. Where none was, what policy says is enforced.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn modes_in_force(&self, tenant: &TenantId) -> Result<Vec<ModeInForce>, EngineError> {
        let known = self.in_force(tenant).await?;
        let modes = known.in_force.modes().map(|(scope, action, mode)| ModeInForce {
            scope: scope.clone(),
            action: action.cloned(),
            mode,
        });
        Ok(modes.collect())
    }

    /// Says whether what policy says of a scope, or of one action of a workflow, is enforced or only observed, from the next ask of every instance
    /// on, or proposes it where that takes two persons. A gate that is open stays open, and a grant that was given is consumed under `ENFORCE`.
    ///
    /// # Errors
    /// `NotFound` for an action that the newest definition of the workflow does not have, or of something else than a workflow; `ProposalsFull`; `Conflict`: others were faster, repeat; the signer's and the store's.
    pub async fn set_mode(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        ModeInForce { scope, action, mode }: &ModeInForce,
    ) -> Result<Ruled, EngineError> {
        if let Some(action) = action {
            let unknown = EngineError::NotFound { what: "the action" };
            let Scope::Workflow(workflow) = scope else { return Err(unknown) };
            if !self.workflow(tenant, workflow, None).await?.actions.contains_key(action) {
                return Err(unknown);
            }
        }
        let takes_two = self.takes_two(tenant, GovernanceKind::ModeChanged);
        self.rule(tenant, call, by, takes_two, |governed| {
            if governed.in_force.mode_of(scope, action.as_ref()) == Some(*mode) {
                return Ok(None);
            }
            let (scope, action, mode) = (scope.clone(), action.clone(), *mode);
            Ok(Some(Detail::ModeChanged { scope, action, mode }))
        })
        .await
    }

    /// Returns what takes two persons in a tenant.
    pub(super) fn four_eyes(&self, tenant: &TenantId) -> FourEyesRules {
        self.0.config.four_eyes.of(tenant)
    }

    pub(super) fn takes_two(&self, tenant: &TenantId, kind: GovernanceKind) -> bool {
        self.four_eyes(tenant).takes_two(kind)
    }
}

/// Returns the event that puts a policy in force; nothing where it is already, which leaves no line in the history.
fn activated(
    governed: &Governed,
    scope: &Scope,
    version: PolicyVersionId,
    seen: Option<PolicyVersionId>,
) -> Result<Option<Detail>, EngineError> {
    let present = governed.in_force.policy_of(scope);
    if seen.is_some() && seen != present {
        return Err(EngineError::PolicyMoved { present });
    }
    let change = || Detail::PolicyActivated { scope: scope.clone(), version, previous: present };
    Ok((present != Some(version)).then(change))
}
