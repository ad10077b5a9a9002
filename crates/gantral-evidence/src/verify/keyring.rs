//! Whom a verifier believes: the keys of the trust file, and what their issuers delegated.
//!
//! Source: `spec/verification.md` V7, V10; `spec/keys.md` §6.

use alloc::collections::BTreeMap;
use alloc::string::String;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::time::UnixMillis;

use crate::container::{Files, KEYS_DIRECTORY};
use crate::delegation::{DELEGATION_SUFFIX, KeyDelegation, NotDelegated};
use crate::keys::{KeyId, PublicKey};
use crate::trust::{KeyRole, Trust, TrustedKey};

use super::code::Code;

/// The keys of the trust file, and their delegates.
#[derive(Debug, Default)]
pub(super) struct Keyring<'a> {
    trust: Option<&'a Trust>,
    delegations: BTreeMap<KeyId, (KeyDelegation, &'a TrustedKey)>,
}

/// A key that is believed, for something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    /// The key that signs.
    pub(super) key: &'k PublicKey,
    /// The pinned key whose limits hold: itself, or the delegator.
    pub(super) pinned: &'k TrustedKey,
    delegation: Option<&'k KeyDelegation>,
}

/// Where in the log a key is good, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Option<u64>,
    pub(super) until: Option<u64>,
    pub(super) compromised_from: Option<u64>,
}

/// An issuer key with a good signature on an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) id: KeyId,
    pub(super) window: Window,
    /// Why the key may not sign this artifact.
    pub(super) unfit: Option<(Code, String)>,
}

impl<'a> Keyring<'a> {
    /// Gathers the delegations of a bundle. One that does not count is ignored (K19).
    pub(super) fn of(files: &Files<'_>, trust: Option<&'a Trust>) -> Self {
        let mut ring = Self { trust, delegations: BTreeMap::new() };
        let Some(trust) = trust else { return ring };
        let issuer = |id: &KeyId| trust.key(id).filter(|key| key.role == KeyRole::Issuer);
        for (path, content) in files.within(KEYS_DIRECTORY) {
            let name =
                path.strip_prefix(KEYS_DIRECTORY).and_then(|name| name.strip_suffix(DELEGATION_SUFFIX));
            let Some(id) = name.and_then(|name| KeyId::parse(name).ok()) else { continue };
            if trust.key(&id).is_some() {
                continue;
            }
            let Ok(delegation) = KeyDelegation::open(content, |id| issuer(id).map(|key| &key.key)) else {
                continue;
            };
            if delegation.delegate.id() == id
                && let Some(delegator) = issuer(&delegation.delegator)
            {
                ring.delegations.insert(id, (delegation, delegator));
            }
        }
        ring
    }

    /// Tells whether there is a trust file at all.
    pub(super) const fn is_given(&self) -> bool {
        self.trust.is_some()
    }

    /// Finds the key that a signature names.
    pub(super) fn known(&self, name: &str) -> Option<Known<'_>> {
        let id = KeyId::parse(name).ok()?;
        if let Some(pinned) = self.trust?.key(&id) {
            return Some(Known { key: &pinned.key, pinned, delegation: None });
        }
        let (delegation, pinned) = self.delegations.get(&id)?;
        Some(Known { key: &delegation.delegate, pinned, delegation: Some(delegation) })
    }
}

impl Window {
    /// Tells whether the key is good everywhere.
    pub(super) const fn is_unlimited(&self) -> bool {
        self.compromised_from.is_none() && !self.is_bounded()
    }

    /// Tells whether the key is good at this index of the log.
    pub(super) fn covers(&self, index: u64) -> bool {
        self.from.is_none_or(|from| index >= from)
            && self.until.is_none_or(|until| index < until)
            && self.compromised_from.is_none_or(|from| index < from)
    }

    /// Tells whether the key is good in a part of the log only.
    pub(super) const fn is_bounded(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }
}

impl Known<'_> {
    /// Returns where the key is good.
    pub(super) const fn window(&self) -> Window {
        let TrustedKey { valid_from, valid_until, compromised_from, .. } = self.pinned;
        Window { from: *valid_from, until: *valid_until, compromised_from: *compromised_from }
    }

    /// Returns what the key is to an artifact that it signed.
    pub(super) fn signer_of(&self, tenant: &TenantId, origin: &LogOrigin, at: UnixMillis) -> Signer {
        Signer { id: self.key.id(), window: self.window(), unfit: self.unfit(tenant, origin, at) }
    }

    fn unfit(&self, tenant: &TenantId, origin: &LogOrigin, at: UnixMillis) -> Option<(Code, String)> {
        if !self.pinned.covers(tenant, origin) {
            let message = alloc::format!("the key does not speak for tenant `{tenant}` and log `{origin}`");
            return Some((Code::KeyRole, message));
        }
        let error = self.delegation?.permits(tenant, origin, at).err()?;
        let code = match error {
            NotDelegated::Scope => Code::KeyRole,
            NotDelegated::Time => Code::KeyWindow,
        };
        Some((code, alloc::format!("{error}")))
    }
}
