//! The pinned trust file: which keys a relying party believes, for what, and what it requires of a bundle.
//!
//! It comes to the verifier out of band. A bundle may carry one as a hint; a hint is compared and otherwise ignored.
//! Source: `spec/verification.md` §2.

mod log;
mod relying_party;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::json::{self, Object, ParseError, Profile, Value};
use gantral_core::state::HumanEvidence;

use crate::container::Scope;
use crate::fields::{FieldError, Fields, Scalar};
use crate::human::{RelyingParty, RelyingPartyError};
use crate::keys::{ALGORITHM, KeyError, KeyId, PublicKey};
use crate::log::policy::PolicyError;

pub use log::TrustedLog;

/// The only format.
pub const TRUST_FORMAT: &str = "gantral/trust/v1";
/// The most keys of one file.
pub const KEYS_MAX: usize = 1_024;
/// The most tenants, and the most origins, of one key.
pub(crate) const NAMES_MAX: usize = 1_024;

/// What a key is for. One key has one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyRole {
    /// Signs artifacts.
    Issuer,
    /// Signs checkpoints of a log.
    Log,
    /// Signs enrolments of approvers.
    Directory,
    /// Cosigns checkpoints.
    Witness,
    /// Belongs to one human.
    Approver,
}

impl KeyRole {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Issuer, Self::Log, Self::Directory, Self::Witness, Self::Approver];

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Log => "log",
            Self::Directory => "directory",
            Self::Witness => "witness",
            Self::Approver => "approver",
        }
    }

    /// Finds a role by its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// One key that the relying party believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// What it is for.
    pub role: KeyRole,
    /// The tenants that it speaks for; `None`: any.
    pub tenants: Option<Vec<TenantId>>,
    /// The logs that it speaks for; `None`: any.
    pub origins: Option<Vec<LogOrigin>>,
    /// The first log index at which it is valid.
    pub valid_from: Option<u64>,
    /// The first log index at which it is valid no more.
    pub valid_until: Option<u64>,
    /// The first log index from which it counts as compromised.
    pub compromised_from: Option<u64>,
}

impl TrustedKey {
    /// Returns an issuer key without limits.
    pub const fn issuer(key: PublicKey) -> Self {
        Self {
            key,
            role: KeyRole::Issuer,
            tenants: None,
            origins: None,
            valid_from: None,
            valid_until: None,
            compromised_from: None,
        }
    }

    /// Tells whether the key speaks for a tenant and its log.
    pub fn covers(&self, tenant: &TenantId, origin: &LogOrigin) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
            && self.origins.as_ref().is_none_or(|origins| origins.contains(origin))
    }

    /// Tells whether the key is valid only within a part of the log.
    pub const fn has_window(&self) -> bool {
        self.valid_from.is_some() || self.valid_until.is_some()
    }
}

/// What a relying party requires before it calls a bundle valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Require {
    /// `complete` demands a chain that has reached a final state.
    pub scope: Scope,
    /// Whether every action must have been enforced by a runner or an interceptor.
    pub enforced: bool,
    /// Whether every artifact must be in the log.
    pub logged: bool,
    /// How many witnesses must have cosigned.
    pub witnessed: u32,
    /// The least evidence of every human decision; `None`: whatever the gate demanded.
    pub human_evidence: Option<HumanEvidence>,
    /// Whether it must be proved that nothing was left out.
    pub complete: bool,
    /// Whether every action, context and policy input must be disclosed.
    pub snapshots: bool,
    /// Whether two persons must have put every policy in force under which something was consumed.
    pub four_eyes: bool,
    /// Whether every human decision must be signed by a key that cannot leave its device: nothing but `webauthn` shows that.
    pub human_device_bound: bool,
}

impl Require {
    /// Returns the weakest profile: signed by a pinned key, chained, lawful, and no more.
    pub const fn signed() -> Self {
        Self {
            scope: Scope::Prefix,
            enforced: false,
            logged: false,
            witnessed: 0,
            human_evidence: None,
            complete: false,
            snapshots: false,
            four_eyes: false,
            human_device_bound: false,
        }
    }
}

/// The content of a trust file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// With those of the log policy, whose roles are theirs alone.
    keys: BTreeMap<KeyId, TrustedKey>,
    log: Option<TrustedLog>,
    /// For whom the authenticators of humans sign; `None`: no assertion is believed.
    pub relying_party: Option<RelyingParty>,
    /// What is required; `None` leaves every verdict inconclusive.
    pub require: Option<Require>,
}

/// Why bytes are not a trust file. Whoever pinned it is at fault; nothing was verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not strict JSON.
    #[error("trust file is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// Another format than [`TRUST_FORMAT`].
    #[error("trust file has another format than `{TRUST_FORMAT}`")]
    Format,
    /// A member is missing, unknown, or not what it must be.
    #[error("trust file: {0}")]
    Field(#[from] FieldError),
    /// A key that nobody can believe.
    #[error("trust file: key `{key_id}`: {why}")]
    Key {
        /// The name that the file gives the key.
        key_id: KeyId,
        /// What is wrong with it.
        why: KeyError,
    },
    /// The log policy.
    #[error("trust file: {0}")]
    Log(#[from] PolicyError),
    /// The relying party has no origin, or too many.
    #[error("trust file: {0}")]
    RelyingParty(#[from] RelyingPartyError),
    /// A key of a log or of a witness outside the log policy.
    #[error("trust file: key `{key_id}` is for `{}`: such keys stand in the log policy", .role.as_str())]
    Role {
        /// The key.
        key_id: KeyId,
        /// What it is said to be for.
        role: KeyRole,
    },
    /// A key id that is not the name of its key.
    #[error("trust file: `{key_id}` is not the id of its public key `{found}`")]
    KeyId {
        /// The name that the file gives the key.
        key_id: KeyId,
        /// The key's own name.
        found: KeyId,
    },
    /// One key twice: roles are never shared.
    #[error("trust file: key `{key_id}` occurs twice")]
    Duplicate {
        /// The key.
        key_id: KeyId,
    },
}

/// May be missing: then no assertion is believed.
const RELYING_PARTY: &str = "relying_party";
const TRUST: [&str; 5] = ["format", "keys", "log", RELYING_PARTY, "require"];
const KEY: [&str; 9] = [
    "algorithm",
    "compromised_from",
    "key_id",
    "origins",
    "public_key",
    "role",
    "tenants",
    "valid_from",
    "valid_until",
];
/// Members that may be missing, and are then `false`.
const FOUR_EYES: &str = "four_eyes";
const HUMAN_DEVICE_BOUND: &str = "human_device_bound";
const REQUIRE: [&str; 9] = [
    "complete",
    "enforced",
    FOUR_EYES,
    HUMAN_DEVICE_BOUND,
    "human_evidence",
    "logged",
    "scope",
    "snapshots",
    "witnessed",
];

impl Trust {
    /// Returns a trust file of these keys.
    ///
    /// # Errors
    /// [`TrustError::Duplicate`], [`TrustError::Role`].
    pub fn new(
        keys: impl IntoIterator<Item = TrustedKey>,
        require: Option<Require>,
    ) -> Result<Self, TrustError> {
        let mut trust = Self { keys: BTreeMap::new(), log: None, relying_party: None, require };
        for key in keys {
            if is_of_log(&key) {
                return Err(TrustError::Role { key_id: key.key.id(), role: key.role });
            }
            trust.insert(key)?;
        }
        Ok(trust)
    }

    /// Adds the logs and witnesses that are believed, in place of those that were.
    ///
    /// # Errors
    /// [`TrustError::Duplicate`] if one of their keys has another role already.
    pub fn with_log(mut self, log: TrustedLog) -> Result<Self, TrustError> {
        self.keys.retain(|_, key| !is_of_log(key));
        for key in log.keys() {
            self.insert(key)?;
        }
        self.log = Some(log);
        Ok(self)
    }

    /// Adds the relying party that assertions must be for, in place of the one that was.
    #[must_use]
    pub fn with_relying_party(self, relying_party: RelyingParty) -> Self {
        Self { relying_party: Some(relying_party), ..self }
    }

    fn insert(&mut self, key: TrustedKey) -> Result<(), TrustError> {
        let key_id = key.key.id();
        match self.keys.insert(key_id, key) {
            None => Ok(()),
            Some(_) => Err(TrustError::Duplicate { key_id }),
        }
    }

    /// Returns the logs and witnesses that are believed; `None`: no log is.
    pub const fn log(&self) -> Option<&TrustedLog> {
        self.log.as_ref()
    }

    /// Returns a key by its name, be it of the file or of its log policy.
    pub fn key(&self, id: &KeyId) -> Option<&TrustedKey> {
        self.keys.get(id)
    }

    /// Iterates over the keys of the file in the order of their names, without those of the log policy.
    pub fn keys(&self) -> impl Iterator<Item = &TrustedKey> {
        self.keys.values().filter(|key| !is_of_log(key))
    }

    /// Tells whether another file believes the same keys, logs and witnesses for the same purposes.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.keys == other.keys
            && self.log.as_ref().map(TrustedLog::policy) == other.log.as_ref().map(TrustedLog::policy)
    }

    /// Reads a file: any spelling of strict JSON, closed members.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let value = json::parse(bytes, &Profile::DOCUMENT)?;
        if value.get("format").and_then(Value::as_str).is_some_and(|format| format != TRUST_FORMAT) {
            return Err(TrustError::Format);
        }
        let fields = Fields::open_with(&value, "trust", TRUST.into_iter(), &[RELYING_PARTY])?;
        let _: String = fields.get("format")?;
        let keys = fields.list("keys", KEYS_MAX, read_key)?;
        let log = fields.opt_with("log", log::read)?;
        let mut trust = Self::new(keys, fields.opt_with("require", read_require)?)?;
        trust.relying_party = fields.maybe(RELYING_PARTY, relying_party::read)?;
        match log {
            Some(log) => trust.with_log(log),
            None => Ok(trust),
        }
    }

    /// Returns the canonical bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let keys: Vec<Value> = self.keys().map(key_value).collect();
        let file = Object::new()
            .with("format", TRUST_FORMAT)
            .with("keys", keys)
            .with("log", self.log.as_ref().map(log::value));
        let file = match &self.relying_party {
            Some(relying_party) => file.with(RELYING_PARTY, relying_party::value(relying_party)),
            None => file,
        };
        Value::Object(file.with("require", self.require.as_ref().map(require_value))).to_canonical()
    }
}

/// Tells whether a key is one of those that the log policy pins.
const fn is_of_log(key: &TrustedKey) -> bool {
    matches!(key.role, KeyRole::Log | KeyRole::Witness)
}

impl Scalar for KeyId {
    const EXPECTED: &'static str = "64 lower-case hexadecimal digits";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(|text| Self::parse(text).ok())
    }
}

impl Scalar for KeyRole {
    const EXPECTED: &'static str = "a role of a key";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::parse)
    }
}

impl Scalar for Scope {
    const EXPECTED: &'static str = "`complete` or `prefix`";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::parse)
    }
}

/// The name of the only algorithm.
struct Algorithm;

impl Scalar for Algorithm {
    const EXPECTED: &'static str = "`ed25519`";

    fn read(value: &Value) -> Option<Self> {
        (value.as_str() == Some(ALGORITHM)).then_some(Self)
    }
}

fn read_key(value: &Value) -> Result<TrustedKey, TrustError> {
    let fields = Fields::open(value, "key", KEY.into_iter())?;
    let key_id: KeyId = fields.get("key_id")?;
    let Algorithm = fields.get("algorithm")?;
    let hex: String = fields.get("public_key")?;
    let key = PublicKey::parse(&hex).map_err(|why| TrustError::Key { key_id, why })?;
    if key.id() != key_id {
        return Err(TrustError::KeyId { key_id, found: key.id() });
    }
    let names = |member| if_present(&fields, member);
    Ok(TrustedKey {
        key,
        role: fields.get("role")?,
        tenants: names("tenants")?.then(|| fields.scalars("tenants", NAMES_MAX)).transpose()?,
        origins: names("origins")?.then(|| fields.scalars("origins", NAMES_MAX)).transpose()?,
        valid_from: fields.opt("valid_from")?,
        valid_until: fields.opt("valid_until")?,
        compromised_from: fields.opt("compromised_from")?,
    })
}

fn if_present(fields: &Fields<'_>, member: &'static str) -> Result<bool, FieldError> {
    fields.value(member).map(|value| !value.is_null())
}

fn read_require(value: &Value) -> Result<Require, TrustError> {
    let optional = [FOUR_EYES, HUMAN_DEVICE_BOUND];
    let fields = Fields::open_with(value, "require", REQUIRE.into_iter(), &optional)?;
    let flag = |member| Ok::<_, FieldError>(value.get(member).is_some() && fields.get(member)?);
    Ok(Require {
        four_eyes: flag(FOUR_EYES)?,
        human_device_bound: flag(HUMAN_DEVICE_BOUND)?,
        scope: fields.get("scope")?,
        enforced: fields.get("enforced")?,
        logged: fields.get("logged")?,
        witnessed: fields.get("witnessed")?,
        human_evidence: fields.opt("human_evidence")?,
        complete: fields.get("complete")?,
        snapshots: fields.get("snapshots")?,
    })
}

fn key_value(key: &TrustedKey) -> Value {
    fn texts<T>(list: &[T], text: impl Fn(&T) -> &str) -> Vec<Value> {
        list.iter().map(|name| Value::from(text(name))).collect()
    }
    let object = Object::new()
        .with("algorithm", ALGORITHM)
        .with("compromised_from", key.compromised_from)
        .with("key_id", key.key.id().to_string())
        .with("origins", key.origins.as_ref().map(|list| texts(list, LogOrigin::as_str)))
        .with("public_key", key.key.to_hex())
        .with("role", key.role.as_str())
        .with("tenants", key.tenants.as_ref().map(|list| texts(list, TenantId::as_str)))
        .with("valid_from", key.valid_from)
        .with("valid_until", key.valid_until);
    Value::Object(object)
}

fn require_value(require: &Require) -> Value {
    let object = Object::new().with("complete", require.complete).with("enforced", require.enforced);
    let object = if require.four_eyes { object.with(FOUR_EYES, true) } else { object };
    let object = if require.human_device_bound { object.with(HUMAN_DEVICE_BOUND, true) } else { object };
    let object = object
        .with("human_evidence", require.human_evidence.map(HumanEvidence::as_str))
        .with("logged", require.logged)
        .with("scope", require.scope.as_str())
        .with("snapshots", require.snapshots)
        .with("witnessed", require.witnessed);
    Value::Object(object)
}

#[cfg(test)]
mod tests;
