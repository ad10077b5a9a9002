//! The one way from a bearer token to a principal.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, Role, TenantId};
use gantral_core::json::Object;
use gantral_core::time::{DurationMs, UnixMillis};

use crate::attempt::{ATTEMPT_TYPE, ActingWorkload, AttemptTokens};
use crate::cache::Cache;
use crate::claims;
use crate::config::{IdentityConfig, LoginConfig};
use crate::error::TokenError;
use crate::issuer::{ConfigError, Issuer, compile};
use crate::jws::Unverified;
use crate::keys::{JwkSet, KeyError, KeyRing};
use crate::principal::{Principal, PrincipalKind};

/// The longest token, in bytes: what common servers accept as one header.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// How far the clocks of issuers may be from ours, in either direction.
pub const CLOCK_SKEW: DurationMs = DurationMs::from_secs(60);

/// Turns tokens into principals, for the issuers of one configuration, which can be replaced while it runs.
///
/// Shared between threads; never blocks on anything but short locks, and does no I/O.
pub struct Verifier {
    current: RwLock<Arc<Generation>>,
    attempts: Option<Arc<AttemptTokens>>,
    cache: Cache,
}

/// Who holds a role, as far as the configuration says: people are known to their provider alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holders {
    /// No human of the tenant can have it: no claim of any provider stands for it.
    Nobody,
    /// A provider may give it, and nothing in the configuration names it.
    Unknown,
    /// The configuration names it: a value of a provider's claim stands for it.
    Named,
}

/// One state of the configuration and of the keys that issuers publish. Its number is never used again.
pub(crate) struct Generation {
    number: u64,
    pub(crate) issuers: Arc<BTreeMap<String, Issuer>>,
    /// Of issuers that publish their keys: the newest that were brought.
    published: BTreeMap<String, Arc<Published>>,
}

/// Keys that were brought.
struct Published {
    set: JwkSet,
    ring: KeyRing,
}

impl Generation {
    /// Returns the keys of an issuer; `None` while none are here.
    fn keys<'a>(&'a self, issuer: &'a Issuer) -> Option<&'a KeyRing> {
        issuer.keys.as_ref().or_else(|| self.published.get(&issuer.url).map(|published| &published.ring))
    }

    /// Returns the claims of a token that a configured issuer signed, with that issuer; `accepts` says which types it takes.
    pub(crate) fn signed(
        &self,
        token: Unverified<'_>,
        accepts: impl Fn(&Issuer, Option<&str>) -> bool,
    ) -> Result<(&Issuer, Object), TokenError> {
        let issuer = token.claimed_issuer().ok_or(TokenError::Claim { name: "iss" })?;
        let issuer = self.issuers.get(issuer).ok_or(TokenError::UnknownIssuer)?;
        if !accepts(issuer, token.typ()) {
            return Err(TokenError::Type);
        }
        if !issuer.algorithms.contains(&token.algorithm()) {
            return Err(TokenError::Algorithm);
        }
        let keys = self.keys(issuer).ok_or(TokenError::KeysUnavailable)?;
        Ok((issuer, token.verify(keys)?))
    }
}

/// What came of keys that were brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysPut {
    /// Whether they are others than before.
    pub changed: bool,
    /// What is wrong with keys of the set, which are left out.
    pub left_out: Vec<KeyError>,
}

impl Verifier {
    /// Makes a verifier that believes the configured issuers and nobody else.
    pub fn new(config: &IdentityConfig) -> Result<Self, ConfigError> {
        let issuers = Arc::new(compile(config)?);
        let generation = Generation { number: 0, issuers, published: BTreeMap::new() };
        Ok(Self { current: RwLock::new(Arc::new(generation)), attempts: None, cache: Cache::new() })
    }

    /// Also believes the attempt tokens of this server.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Arc<AttemptTokens>) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Puts another configuration in place. From then on a token counts only if the new one accepts it: a removed
    /// key, client or issuer is out at once, whatever was verified before, and keys that an issuer publishes have to be brought
    /// anew. On error the old one stays.
    pub fn replace(&self, config: &IdentityConfig) -> Result<(), ConfigError> {
        let issuers = Arc::new(compile(config)?);
        self.advance(|_| (issuers, BTreeMap::new()));
        Ok(())
    }

    /// Brings the keys that an issuer publishes, in place of those that were here: a key that the set no longer has is out at
    /// once, whatever was verified by it before. An issuer that publishes none here, and one that is not configured, is left alone.
    ///
    /// # Errors
    /// `KeyError` when no key of the set can be used; the keys of before stay.
    pub fn put_keys(&self, issuer: &str, set: JwkSet) -> Result<KeysPut, KeyError> {
        let (ring, left_out) = KeyRing::published(&set)?;
        let generation = self.generation();
        let publishes = generation.issuers.get(issuer).is_some_and(|issuer| issuer.keys.is_none());
        let known = generation.published.get(issuer).is_some_and(|published| published.set == set);
        if !publishes || known {
            return Ok(KeysPut { changed: false, left_out });
        }
        self.advance(|current| {
            let mut published = current.published.clone();
            published.insert(issuer.to_owned(), Arc::new(Published { set, ring }));
            (Arc::clone(&current.issuers), published)
        });
        Ok(KeysPut { changed: true, left_out })
    }

    /// Takes the published keys of an issuer away: nobody can say any more that they are its keys. Its tokens are refused from now on.
    pub fn drop_keys(&self, issuer: &str) {
        if self.generation().published.contains_key(issuer) {
            self.advance(|current| {
                let mut published = current.published.clone();
                published.remove(issuer);
                (Arc::clone(&current.issuers), published)
            });
        }
    }

    /// Returns how people log in, by issuer; of issuers that say so.
    pub fn logins(&self) -> Vec<(String, LoginConfig)> {
        let generation = self.generation();
        let logins = generation.issuers.values().filter_map(|issuer| Some((issuer, issuer.login.clone()?)));
        logins.map(|(issuer, login)| (issuer.url.clone(), login)).collect()
    }

    /// Returns the configured issuer that a token claims to be of, if that issuer publishes its keys: whom to ask again for keys when
    /// [`verify`](Self::verify) said [`TokenError::UnknownKey`] or [`TokenError::KeysUnavailable`]. Nothing of the token is believed.
    pub fn publisher_of(&self, token: &str) -> Option<String> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let token = Unverified::parse(token).ok()?;
        let generation = self.generation();
        let issuer = generation.issuers.get(token.claimed_issuer()?)?;
        issuer.keys.is_none().then(|| issuer.url.clone())
    }

    /// Goes on to another generation, and forgets what was verified before.
    fn advance(
        &self,
        next: impl FnOnce(&Generation) -> (Arc<BTreeMap<String, Issuer>>, BTreeMap<String, Arc<Published>>),
    ) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let (issuers, published) = next(&current);
        *current = Arc::new(Generation { number: current.number.saturating_add(1), issuers, published });
        drop(current);
        self.cache.clear();
    }

    /// Verifies a token as of `now`: signature, issuer, audience, times, client, tenant.
    ///
    /// A token that was verified before costs a hash and a lookup; its times are checked each time.
    ///
    /// # Errors
    /// The first reason found. None is worth trying again with the same token, but for [`TokenError::NotYetValid`],
    /// [`TokenError::KeysUnavailable`] and, where the issuer publishes its keys, [`TokenError::UnknownKey`].
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Principal, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let generation = self.generation();
        let digest = Digest::of(token.as_bytes());
        if let Some(principal) = self.cache.get(&digest, generation.number) {
            let checked = principal.window().check(now);
            if checked == Err(TokenError::Expired) {
                self.cache.remove(&digest);
            }
            return checked.map(|()| principal);
        }
        let principal = self.verify_anew(&generation, token, now)?;
        self.cache.put(digest, generation.number, principal.clone());
        Ok(principal)
    }

    /// Returns what the configuration says now about a workload, for the token of an attempt that acts for it: `None`
    /// if it is no longer configured, is no workload, or has no place in this tenant.
    pub fn acting_workload(
        &self,
        tenant: &TenantId,
        issuer: &str,
        client: &ActorId,
    ) -> Option<ActingWorkload> {
        let generation = self.generation();
        let issuer = generation.issuers.get(issuer)?;
        let client = issuer.clients.get(client.as_str())?;
        if client.kind != PrincipalKind::Workload || !issuer.tenants_of(client).contains(tenant) {
            return None;
        }
        Some(ActingWorkload {
            tenant: tenant.clone(),
            issuer: issuer.url.clone(),
            client: client.id.clone(),
            display_name: client.name.clone(),
            roles: client.roles.clone(),
            teams: client.teams.clone(),
            owner: client.owner.clone(),
        })
    }

    /// Returns what the configuration says now about the humans of a tenant who hold a role.
    pub fn holders(&self, tenant: &TenantId, role: &Role) -> Holders {
        let generation = self.generation();
        let issuers = generation.issuers.values().filter(|issuer| issuer.has_humans_of(tenant));
        issuers.map(|issuer| issuer.holders(role)).max().unwrap_or(Holders::Nobody)
    }

    pub(crate) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn verify_anew(
        &self,
        generation: &Generation,
        token: &str,
        now: UnixMillis,
    ) -> Result<Principal, TokenError> {
        let token = Unverified::parse(token)?;
        // The type keeps our own tokens and those of issuers apart before any key is looked at (RFC 8725 section
        // 3.11): neither can be taken for the other.
        if token.typ() == Some(ATTEMPT_TYPE) {
            let attempts = self.attempts.as_ref().ok_or(TokenError::Type)?;
            return attempts.check(token, now);
        }
        let (issuer, claims) = generation.signed(token, Issuer::accepts_type)?;
        claims::principal(issuer, &claims, now)
    }
}

/// Shows which configuration is in place, and nothing of what was verified.
impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let generation = self.generation();
        f.debug_struct("Verifier")
            .field("generation", &generation.number)
            .field("issuers", &generation.issuers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{DevDirectory, DevIssuer};
    use crate::signing::TokenKey;

    #[test]
    fn a_verification_that_ends_after_the_configuration_was_replaced_is_not_remembered() {
        let now = UnixMillis::new(1_767_225_600_000).unwrap();
        let issuer = DevIssuer::new(TokenKey::generate().unwrap(), DevDirectory::standard());
        let verifier = Verifier::new(&IdentityConfig { issuers: vec![issuer.config()] }).unwrap();
        let token = issuer.human_token("alice", now).unwrap();
        let before = verifier.generation();
        let principal = verifier.verify_anew(&before, token.expose(), now).unwrap();
        verifier.replace(&IdentityConfig::default()).unwrap();
        verifier.cache.put(Digest::of(token.expose().as_bytes()), before.number, principal);
        assert_eq!(verifier.verify(token.expose(), now).map(|_| ()), Err(TokenError::UnknownIssuer));
    }
}
