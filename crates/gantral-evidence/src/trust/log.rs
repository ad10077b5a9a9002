//! The log of a trust file: which logs and witnesses a relying party believes, and what it holds them to.
//!
//! Source: `spec/verification.md` V26, `spec/log.md` §5.

use alloc::string::String;

use gantral_core::json::{Object, Value};

use super::{KeyRole, TrustError, TrustedKey};
use crate::fields::Fields;
use crate::log::policy::LogPolicy;

const LOG: [&str; 3] = ["delay_ms", "policy", "skew_ms"];

/// The logs and witnesses that a relying party believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedLog {
    policy: LogPolicy,
    /// The text that the policy was read from: what is pinned is the text.
    text: String,
    /// The promise of the log, in milliseconds: how long after its `issued_at` an artifact may stay out of it.
    pub delay_ms: u64,
    /// How far the clocks of issuer and witnesses may lie apart, in milliseconds.
    pub skew_ms: u64,
}

impl TrustedLog {
    /// Reads the text of a `tlog-policy`. Milliseconds above 2^53 - 1 cannot be written to a trust file.
    ///
    /// # Errors
    /// [`TrustError::Log`].
    pub fn new(policy: &str, delay_ms: u64, skew_ms: u64) -> Result<Self, TrustError> {
        Ok(Self { policy: LogPolicy::parse(policy.as_bytes())?, text: policy.into(), delay_ms, skew_ms })
    }

    /// Returns the policy.
    pub const fn policy(&self) -> &LogPolicy {
        &self.policy
    }

    /// Returns the text of the policy.
    pub fn policy_text(&self) -> &str {
        &self.text
    }

    /// Returns how long after its `issued_at` an artifact is in the log by any clock: promise and skew together.
    pub const fn patience_ms(&self) -> u64 {
        self.delay_ms.saturating_add(self.skew_ms)
    }

    /// Returns the keys of the policy, so that none of them is believed for anything else.
    pub(super) fn keys(&self) -> impl Iterator<Item = TrustedKey> {
        let of = |key: &crate::log::note::NoteKey, role| TrustedKey {
            role,
            ..TrustedKey::issuer(key.key().clone())
        };
        let logs = self.policy.logs().iter().map(move |log| of(&log.key, KeyRole::Log));
        let witnesses = self.policy.witnesses().iter();
        logs.chain(witnesses.map(move |witness| of(&witness.key, KeyRole::Witness)))
    }
}

pub(super) fn read(value: &Value) -> Result<TrustedLog, TrustError> {
    let fields = Fields::open(value, "log", LOG.into_iter())?;
    let policy: String = fields.get("policy")?;
    TrustedLog::new(&policy, fields.get("delay_ms")?, fields.get("skew_ms")?)
}

pub(super) fn value(log: &TrustedLog) -> Value {
    let object = Object::new()
        .with("delay_ms", log.delay_ms)
        .with("policy", log.text.as_str())
        .with("skew_ms", log.skew_ms);
    Value::Object(object)
}
