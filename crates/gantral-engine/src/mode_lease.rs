//! Mode leases: how far a client may go on when no server answers it. Source: `spec/governance.md` §7.

use std::collections::BTreeMap;

use gantral_core::ids::{Name, TenantId};
use gantral_core::state::Mode;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_evidence::governance::Scope;
use gantral_evidence::mode_lease::{ACTIONS_MAX, LIFETIME_MAX, ModeLease};
use gantral_evidence::seal::Unsigned;

use crate::beside::SignedBeside;
use crate::engine::{Call, Engine};
use crate::error::EngineError;

/// A signed lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedModeLease {
    /// The envelope, and the delegation of its key.
    pub signed: SignedBeside,
    /// Until when it holds, exclusive.
    pub expires_at: UnixMillis,
}

impl Engine {
    /// Says under which modes a workflow's actions are by now, for as long as the engine is set up to.
    ///
    /// # Errors
    /// `Frozen`: nothing is done there; `Damaged`; the signer's and the store's.
    pub async fn mode_lease(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        workflow: &Workflow,
    ) -> Result<SignedModeLease, EngineError> {
        let known = self.present(tenant).await?;
        if known.freezes(workflow) {
            return Err(EngineError::Frozen);
        }
        let scope = Scope::Workflow(workflow.id.clone());
        let own: BTreeMap<Name, Mode> = known
            .modes()
            .filter(|(of, ..)| **of == scope)
            .filter_map(|(_, action, mode)| action.map(|action| (action.clone(), mode)))
            .collect();
        // A lease that cannot name all of them permits nothing.
        let (mode, actions) = if own.len() > ACTIONS_MAX {
            (Mode::Enforce, BTreeMap::new())
        } else {
            (known.mode(workflow, None), own)
        };
        let expires_at = call.now.plus(self.0.config.mode_lease.min(LIFETIME_MAX));
        let lease = ModeLease {
            tenant: tenant.clone(),
            origin: self.origin(tenant)?,
            workflow: workflow.id.clone(),
            mode,
            actions,
            governance_head: known.head(),
            at: call.now,
            expires_at,
            anchor: self.0.checkpoints.newest(tenant, 0),
            blind: call.fresh.bytes32(),
        };
        Ok(SignedModeLease { signed: self.sign_beside(Unsigned::of_mode_lease(&lease)?).await?, expires_at })
    }
}
