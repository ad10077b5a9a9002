//! What others hold of this ledger: receipts that it gave, and may have forgotten.

use gantral_core::ids::{InstanceId, TenantId};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::statement::{Statement, artifact_hash};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::is_signed;

/// What a receipt says about the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// The ledger holds what it promises.
    Held,
    /// It is not of this ledger's making: nobody here signed it, or not for this tenant.
    Foreign,
    /// A key of this ledger signed it, and the ledger does not hold it.
    Forgotten {
        /// The instance.
        instance: InstanceId,
        /// The place in its chain.
        sequence: u64,
    },
}

impl Engine {
    /// Compares the envelope of a receipt with the ledger.
    ///
    /// # Errors
    /// The store's.
    pub async fn remembers(&self, tenant: &TenantId, envelope: &[u8]) -> Result<Remembered, EngineError> {
        let Ok(envelope) = Envelope::parse(envelope) else { return Ok(Remembered::Foreign) };
        if !is_signed(&envelope, &self.keys()) {
            return Ok(Remembered::Foreign);
        }
        let statement = match Statement::decode(&envelope.payload) {
            Ok(statement) if statement.identity.tenant == *tenant => statement,
            Ok(_) | Err(_) => return Ok(Remembered::Foreign),
        };
        let (instance, sequence) = (statement.identity.instance, statement.sequence);
        let stored = self.0.store.chain(tenant, instance, sequence, 1).await?;
        let hash = artifact_hash(&envelope.payload);
        if stored.first().is_some_and(|artifact| artifact.sequence == sequence && artifact.hash == hash) {
            Ok(Remembered::Held)
        } else {
            Ok(Remembered::Forgotten { instance, sequence })
        }
    }
}
