//! The keys that a governance chain names.

use gantral_core::ids::TenantId;
use gantral_evidence::governance::{DeclaredKey, Detail, InForce};
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::trust::KeyRole;

use super::{Act, Governor};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

impl Engine {
    /// Sees to it that the chain names the keys that sign from now on: adds those that it does not know, and retires those of
    /// the same roles that are no longer used. Called when a server starts.
    ///
    /// # Errors
    /// `Damaged` when the chain cannot be relied on; the signer's and the store's.
    pub async fn declare_keys(
        &self,
        mut call: Call,
        tenant: &TenantId,
        keys: &[(PublicKey, KeyRole)],
    ) -> Result<(), EngineError> {
        let actor = self.system().clone();
        let by = Governor::from(&actor);
        while self
            .govern(tenant, &mut call, by, |governed| Ok(next_key(&governed.in_force, keys)))
            .await?
            .is_some()
        {}
        let still = self.still(tenant).await?;
        let retired =
            |key: &PublicKey| still.governed.in_force.key(&key.id()).is_some_and(|declared| declared.retired);
        match keys.iter().find(|(key, _)| retired(key)) {
            None => Ok(()),
            Some((key, _)) => Err(EngineError::RetiredKey { key: key.id(), tenant: tenant.clone() }),
        }
    }

    /// Sees to it that the chain names the keys that were in other hands, each from an index of the log on. A key that the chain never
    /// named stays unnamed: nothing rests on it here. Called when a server starts.
    ///
    /// # Errors
    /// As [`Engine::declare_keys`].
    pub async fn declare_compromised(
        &self,
        mut call: Call,
        tenant: &TenantId,
        keys: &[(KeyId, u64)],
    ) -> Result<(), EngineError> {
        let actor = self.system().clone();
        let by = Governor::from(&actor);
        let missing = |in_force: &InForce| {
            let unsaid = |(key, index): &&(KeyId, u64)| {
                in_force
                    .key(key)
                    .is_some_and(|declared| declared.compromised_from.is_none_or(|from| from > *index))
            };
            let (key, from_index) = *keys.iter().find(unsaid)?;
            Some(Detail::KeyCompromised { key, from_index }.into())
        };
        while self.govern(tenant, &mut call, by, |governed| Ok(missing(&governed.in_force))).await?.is_some()
        {
        }
        Ok(())
    }
}

/// Returns the next key event that is missing; `None` when the chain says what is used.
fn next_key(in_force: &InForce, keys: &[(PublicKey, KeyRole)]) -> Option<Act> {
    let added = keys.iter().find(|(key, _)| in_force.key(&key.id()).is_none());
    let detail = match added {
        Some((key, role)) => Detail::KeyAdded { key: key.clone(), role: *role },
        None => {
            let roles = |role| keys.iter().any(|(_, used)| *used == role);
            let used = |id| keys.iter().any(|(key, _)| key.id() == id);
            let unused = |(key, declared): &(KeyId, DeclaredKey)| {
                !declared.retired && roles(declared.role) && !used(*key)
            };
            let (key, _) = in_force.keys().find(unused)?;
            Detail::KeyRetired { key }
        }
    };
    Some(detail.into())
}
