//! Chains that are folded again, without an engine: whether a ledger is what its keys have signed.

use std::sync::Arc;

use gantral_core::ids::TenantId;
use gantral_evidence::keys::PublicKey;
use gantral_keys::Delegations;
use gantral_store::{Head, InstanceRow, SealedArtifact};

use crate::engine::state_code;
use crate::error::EngineError;
use crate::governance::Governed;
use crate::loaded::{Folded, Keyring, fold};

/// The keys of a ledger, and the rules by which its chains are folded: those by which the engine serves them.
#[derive(Debug)]
pub struct Refold {
    keys: Vec<PublicKey>,
    delegations: Option<Arc<Delegations>>,
}

impl Refold {
    /// Takes the issuer key, those before it, and what they delegated.
    pub const fn new(keys: Vec<PublicKey>, delegations: Option<Arc<Delegations>>) -> Self {
        Self { keys, delegations }
    }

    /// Folds the whole chain of an instance, and compares it with its row in the index.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn instance(
        &self,
        tenant: &TenantId,
        artifacts: &[SealedArtifact],
        row: &InstanceRow,
    ) -> Result<(), EngineError> {
        let Folded { instance, .. } = fold(artifacts, &self.keyring())?;
        let damaged = |what: &str| Err(EngineError::Damaged { what: what.to_owned() });
        if instance.identity.tenant != *tenant || instance.identity.instance != row.id {
            return damaged("its artifacts are those of another instance");
        }
        if artifacts.last().map(SealedArtifact::head) != Some(row.head) {
            return damaged("its row says another head than its chain");
        }
        let state = instance.state();
        if row.index.state != state_code(state) || row.index.open == state.is_final() {
            return damaged("its row says another state than its chain");
        }
        Ok(())
    }

    /// Folds the whole governance chain of a tenant, and compares it with its head in the index.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn governance(
        &self,
        tenant: &TenantId,
        artifacts: &[SealedArtifact],
        indexed: Head,
    ) -> Result<(), EngineError> {
        let (mut governed, keys) = (Governed::default(), self.keyring());
        for artifact in artifacts {
            governed.follow(tenant, artifact, &keys).map_err(|what| EngineError::Damaged { what })?;
        }
        if governed.head == Some(indexed) {
            Ok(())
        } else {
            Err(EngineError::Damaged { what: "its row says another head than its chain".to_owned() })
        }
    }

    fn keyring(&self) -> Keyring<'_> {
        Keyring { own: self.keys.iter().collect(), delegations: self.delegations.as_deref() }
    }
}
