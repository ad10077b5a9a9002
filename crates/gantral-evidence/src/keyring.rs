//! Whom a reader of artifacts believes: the keys of a trust file that it has pinned, and what their issuers delegated.
//!
//! A delegate is believed exactly as far as its delegator is, and delegates nothing further. Which signature is good, and what a key that
//! has ended or was compromised still proves, is for the reader to say. Source: `spec/keys.md` §6.

use alloc::collections::BTreeMap;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::time::UnixMillis;

use crate::delegation::{KeyDelegation, NotDelegated};
use crate::keys::{KeyId, PublicKey};
use crate::trust::{KeyRole, Trust, TrustedKey};

/// The keys of a trust file, and their delegates.
#[derive(Debug, Clone)]
pub struct Keyring<'a> {
    trust: &'a Trust,
    delegations: BTreeMap<KeyId, (KeyDelegation, &'a TrustedKey)>,
}

/// A key that is believed, for something.
#[derive(Debug, Clone, Copy)]
pub struct KnownKey<'k> {
    /// The key that signs.
    pub key: &'k PublicKey,
    /// The pinned key whose limits hold: itself, or the delegator.
    pub pinned: &'k TrustedKey,
    delegation: Option<&'k KeyDelegation>,
}

/// Why a key may not sign an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// The pinned key is for another tenant or log.
    #[error("the key does not speak for this tenant and log")]
    Pinned,
    /// It was not delegated.
    #[error(transparent)]
    Delegated(#[from] NotDelegated),
}

impl<'a> Keyring<'a> {
    /// Begins with the keys of a trust file.
    pub const fn new(trust: &'a Trust) -> Self {
        Self { trust, delegations: BTreeMap::new() }
    }

    /// Adds what an envelope delegates, if an issuer key of the trust file signed it, its delegate is not pinned itself, and `counts` says
    /// so of it and its delegator. Of two delegations to one delegate the later counts. Returns whether it was added: what is not one is
    /// ignored (`spec/keys.md` K19).
    pub fn add(&mut self, envelope: &[u8], counts: impl FnOnce(&KeyDelegation, &TrustedKey) -> bool) -> bool {
        let trust = self.trust;
        let issuer = |id: &KeyId| trust.key(id).filter(|key| key.role == KeyRole::Issuer);
        let Ok(delegation) = KeyDelegation::open(envelope, |id| issuer(id).map(|key| &key.key)) else {
            return false;
        };
        let delegate = delegation.delegate.id();
        let delegator = issuer(&delegation.delegator);
        match delegator {
            Some(delegator) if trust.key(&delegate).is_none() && counts(&delegation, delegator) => {
                self.delegations.insert(delegate, (delegation, delegator));
                true
            }
            Some(_) | None => false,
        }
    }

    /// Finds the key that a signature names: a pinned one of any role, or a delegate.
    pub fn known(&self, name: &str) -> Option<KnownKey<'_>> {
        let id = KeyId::parse(name).ok()?;
        if let Some(pinned) = self.trust.key(&id) {
            return Some(KnownKey { key: &pinned.key, pinned, delegation: None });
        }
        let (delegation, pinned) = self.delegations.get(&id)?;
        Some(KnownKey { key: &delegation.delegate, pinned, delegation: Some(delegation) })
    }
}

impl KnownKey<'_> {
    /// Tells whether the key may sign an artifact of this tenant, log and instant. Says nothing of places in the log.
    ///
    /// # Errors
    /// What it is not for.
    pub fn permits(&self, tenant: &TenantId, origin: &LogOrigin, at: UnixMillis) -> Result<(), NotPermitted> {
        if !self.pinned.covers(tenant, origin) {
            return Err(NotPermitted::Pinned);
        }
        self.delegation.map_or(Ok(()), |delegation| Ok(delegation.permits(tenant, origin, at)?))
    }
}

#[cfg(test)]
mod tests;
