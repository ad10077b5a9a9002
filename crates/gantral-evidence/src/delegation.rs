//! Delegated keys: an issuer key says that another key signs artifacts for it, for a short time.
//!
//! The key that relying parties pin can then stay in a key management service and sign now and then. A delegate is believed
//! exactly as far as its delegator is, and delegates nothing further. Source: `spec/keys.md` §6.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::json::{self, Object, ParseError, Profile, Value};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::container::KEYS_DIRECTORY;
use crate::dsse::{Envelope, EnvelopeError, EnvelopeSignature, pae};
use crate::fields::{FieldError, Fields};
use crate::keys::{KeyError, KeyId, PublicKey};
use crate::trust::NAMES_MAX;

/// The payload type of the envelope.
pub const DELEGATION_PAYLOAD_TYPE: &str = "application/vnd.gantral.delegation+json";
/// The format of the payload.
pub const DELEGATION_FORMAT: &str = "gantral/delegation/v1";
/// The longest time that a delegate may sign: a week, so that the loss of one does not last.
pub const DELEGATION_MAX: DurationMs = DurationMs::from_secs(7 * 24 * 3_600);
/// What the name of a delegation ends with ([`delegation_path`]).
pub const DELEGATION_SUFFIX: &str = ".delegation.json";

/// Returns where the delegation of a delegate stands in a bundle, and beside a window.
pub fn delegation_path(delegate: &KeyId) -> String {
    alloc::format!("{KEYS_DIRECTORY}{delegate}{DELEGATION_SUFFIX}")
}

/// What an issuer key says of its delegate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDelegation {
    /// The issuer key that delegates.
    pub delegator: KeyId,
    /// The key that signs for it.
    pub delegate: PublicKey,
    /// The tenants that the delegate speaks for; `None`: those of the delegator.
    pub tenants: Option<Vec<TenantId>>,
    /// The logs that the delegate speaks for; `None`: those of the delegator.
    pub origins: Option<Vec<LogOrigin>>,
    /// The first instant of an artifact that the delegate may sign.
    pub not_before: UnixMillis,
    /// The first instant of an artifact that it may sign no more.
    pub not_after: UnixMillis,
}

/// Why bytes are no delegation by a key that is known. Whoever made them is at fault; nothing follows from them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// Not an envelope of a delegation.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The payload is not canonical JSON.
    #[error("delegation is not canonical JSON: {0}")]
    Json(#[from] ParseError),
    /// Another format than [`DELEGATION_FORMAT`].
    #[error("delegation has another format than `{DELEGATION_FORMAT}`")]
    Format,
    /// A member is missing, unknown, or not what it must be.
    #[error("delegation: {0}")]
    Field(#[from] FieldError),
    /// A key that nobody can believe.
    #[error("delegation: key `{key_id}`: {why}")]
    Key {
        /// The name that the delegation gives the key.
        key_id: KeyId,
        /// What is wrong with it.
        why: KeyError,
    },
    /// A key id that is not the name of its key.
    #[error("delegation: `{key_id}` is not the id of its public key")]
    KeyId {
        /// The name that the delegation gives the key.
        key_id: KeyId,
    },
    /// A key that delegates to itself.
    #[error("delegation: a key delegates to itself")]
    Itself,
    /// No time at all, or more than [`DELEGATION_MAX`].
    #[error("delegation lasts no time, or longer than {} days", DELEGATION_MAX.get() / 86_400_000)]
    Window,
    /// The delegator is no issuer key that the reader knows.
    #[error("delegation is by key `{0}`, which is no known issuer key")]
    Unknown(KeyId),
    /// The delegator did not sign it.
    #[error("delegation is not signed by its delegator")]
    Signature,
}

/// Why an artifact is not one that its delegate may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDelegated {
    /// Another tenant or log.
    #[error("the delegation does not cover this tenant and log")]
    Scope,
    /// Before it began, or after it ended.
    #[error("the artifact was issued outside the time of the delegation")]
    Time,
}

const MEMBERS: [&str; 8] =
    ["delegator", "format", "key_id", "not_after", "not_before", "origins", "public_key", "tenants"];

impl KeyDelegation {
    /// Returns the bytes that the delegator signs.
    pub fn message(&self) -> Vec<u8> {
        pae(DELEGATION_PAYLOAD_TYPE, &self.encode())
    }

    /// Completes the delegation with the delegator's signature. That it is good is the signer's promise; a reader finds out.
    pub fn signed(&self, signature: &[u8; 64]) -> Vec<u8> {
        let signatures = alloc::vec![EnvelopeSignature {
            key_id: self.delegator.to_string(),
            signature: signature.to_vec(),
        }];
        Envelope { payload: self.encode(), signatures }.encode_typed(DELEGATION_PAYLOAD_TYPE)
    }

    /// Reads an envelope and checks it under the key of its delegator.
    ///
    /// `issuer` finds the issuer keys that are believed of themselves. It never finds a delegate: what was delegated is not
    /// delegated further.
    ///
    /// # Errors
    /// `DelegationError`; the same for the same bytes and keys.
    pub fn open<'a>(
        bytes: &[u8],
        issuer: impl FnOnce(&KeyId) -> Option<&'a PublicKey>,
    ) -> Result<Self, DelegationError> {
        let envelope = Envelope::parse_typed(bytes, DELEGATION_PAYLOAD_TYPE)?;
        let delegation = Self::decode(&envelope.payload)?;
        let delegator = delegation.delegator;
        let key = issuer(&delegator).ok_or(DelegationError::Unknown(delegator))?;
        let message = pae(DELEGATION_PAYLOAD_TYPE, &envelope.payload);
        let (name, mut signatures) = (delegator.to_string(), envelope.signatures.iter());
        let good = signatures
            .any(|entry| entry.key_id == name && key.verify_strict(&message, &entry.signature).is_ok());
        if good && key.id() == delegator { Ok(delegation) } else { Err(DelegationError::Signature) }
    }

    /// Tells whether the delegate may sign an artifact of this tenant, log and instant.
    ///
    /// # Errors
    /// What is not delegated.
    pub fn permits(&self, tenant: &TenantId, origin: &LogOrigin, at: UnixMillis) -> Result<(), NotDelegated> {
        let covers = self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
            && self.origins.as_ref().is_none_or(|origins| origins.contains(origin));
        if !covers {
            return Err(NotDelegated::Scope);
        }
        if self.not_before <= at && at < self.not_after { Ok(()) } else { Err(NotDelegated::Time) }
    }

    fn encode(&self) -> Vec<u8> {
        fn texts<T>(list: &[T], text: impl Fn(&T) -> &str) -> Vec<Value> {
            list.iter().map(|name| Value::from(text(name))).collect()
        }
        let object = Object::new()
            .with("delegator", self.delegator.to_string())
            .with("format", DELEGATION_FORMAT)
            .with("key_id", self.delegate.id().to_string())
            .with("not_after", self.not_after.to_text())
            .with("not_before", self.not_before.to_text())
            .with("origins", self.origins.as_ref().map(|list| texts(list, LogOrigin::as_str)))
            .with("public_key", self.delegate.to_hex())
            .with("tenants", self.tenants.as_ref().map(|list| texts(list, TenantId::as_str)));
        Value::Object(object).to_canonical()
    }

    fn decode(payload: &[u8]) -> Result<Self, DelegationError> {
        let value = json::parse_canonical(payload, &Profile::ARTIFACT)?;
        if value.get("format").and_then(Value::as_str).is_some_and(|format| format != DELEGATION_FORMAT) {
            return Err(DelegationError::Format);
        }
        let fields = Fields::open(&value, "delegation", MEMBERS.into_iter())?;
        let _: &Value = fields.value("format")?;
        let key_id: KeyId = fields.get("key_id")?;
        let hex: String = fields.get("public_key")?;
        let delegate = PublicKey::parse(&hex).map_err(|why| DelegationError::Key { key_id, why })?;
        if delegate.id() != key_id {
            return Err(DelegationError::KeyId { key_id });
        }
        let names = |member| fields.value(member).map(|value| !value.is_null());
        let delegation = Self {
            delegator: fields.get("delegator")?,
            delegate,
            tenants: names("tenants")?.then(|| fields.scalars("tenants", NAMES_MAX)).transpose()?,
            origins: names("origins")?.then(|| fields.scalars("origins", NAMES_MAX)).transpose()?,
            not_before: fields.get("not_before")?,
            not_after: fields.get("not_after")?,
        };
        delegation.checked()
    }

    fn checked(self) -> Result<Self, DelegationError> {
        if self.delegator == self.delegate.id() {
            return Err(DelegationError::Itself);
        }
        let lasts = self.not_after.since(self.not_before);
        if self.not_before < self.not_after && lasts <= DELEGATION_MAX {
            Ok(self)
        } else {
            Err(DelegationError::Window)
        }
    }
}

#[cfg(test)]
mod tests;
