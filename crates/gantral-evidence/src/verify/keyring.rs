//! Whom a verifier believes: the keys of the trust file, what their issuers delegated, and where in the log they are good.
//!
//! Source: `spec/verification.md` V7, V10; `spec/keys.md` §6.

use alloc::string::String;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::time::UnixMillis;

use crate::container::{Files, KEYS_DIRECTORY};
use crate::delegation::{DELEGATION_SUFFIX, NotDelegated};
use crate::keyring::{KnownKey, NotPermitted};
use crate::keys::KeyId;
use crate::trust::{Trust, TrustedKey};

use super::code::Code;

/// The keys of the trust file, if there is one, and their delegates.
#[derive(Debug, Default)]
pub(super) struct Keyring<'a>(Option<crate::keyring::Keyring<'a>>);

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
    /// Gathers the delegations of a bundle, each under the name of its delegate. One that does not count is ignored (K19).
    pub(super) fn of(files: &Files<'_>, trust: Option<&'a Trust>) -> Self {
        let Some(trust) = trust else { return Self::default() };
        let mut ring = crate::keyring::Keyring::new(trust);
        for (path, content) in files.within(KEYS_DIRECTORY) {
            let name =
                path.strip_prefix(KEYS_DIRECTORY).and_then(|name| name.strip_suffix(DELEGATION_SUFFIX));
            let Some(id) = name.and_then(|name| KeyId::parse(name).ok()) else { continue };
            ring.add(content, |delegation, _| delegation.delegate.id() == id);
        }
        Self(Some(ring))
    }

    /// Tells whether there is a trust file at all.
    pub(super) const fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Finds the key that a signature names.
    pub(super) fn known(&self, name: &str) -> Option<KnownKey<'_>> {
        self.0.as_ref()?.known(name)
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

impl KnownKey<'_> {
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
        Some(match self.permits(tenant, origin, at).err()? {
            NotPermitted::Pinned => {
                let what = alloc::format!("the key does not speak for tenant `{tenant}` and log `{origin}`");
                (Code::KeyRole, what)
            }
            NotPermitted::Delegated(error @ NotDelegated::Scope) => {
                (Code::KeyRole, alloc::format!("{error}"))
            }
            NotPermitted::Delegated(error @ NotDelegated::Time) => {
                (Code::KeyWindow, alloc::format!("{error}"))
            }
        })
    }
}
