//! What a relying party would pin of a tenant's log.

use gantral_core::ids::TenantId;
use gantral_engine::EngineError;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::note::{NoteKey, NoteKeyKind};
use gantral_evidence::trust::{Require, Trust, TrustedKey, TrustedLog};

use super::Logs;
use crate::keys::log_of;

/// The promise of the log: so long after its `issued_at`, every artifact is in it. In milliseconds.
const DELAY_MS: u64 = 3_600_000;
/// How far the clocks of issuer and witnesses may lie apart. In milliseconds.
const SKEW_MS: u64 = 300_000;

/// Returns a trust file to start from: these issuer keys and, where a log is kept, the log with its witnesses, and that every artifact
/// must be in it.
pub(crate) fn hint<'a>(
    issuers: impl Iterator<Item = &'a PublicKey>,
    logs: Option<&Logs>,
    tenant: &TenantId,
) -> Result<Trust, EngineError> {
    let damaged = |what: String| EngineError::Damaged { what };
    let require = Require { logged: logs.is_some(), ..Require::signed() };
    let keys = issuers.map(|key| TrustedKey::issuer(key.clone()));
    let trust = Trust::new(keys, Some(require)).map_err(|error| damaged(error.to_string()))?;
    let Some(logs) = logs else { return Ok(trust) };
    let policy = logs.policy(tenant).map_err(damaged)?;
    let log = TrustedLog::new(&policy, DELAY_MS, SKEW_MS).map_err(|error| damaged(error.to_string()))?;
    trust.with_log(log).map_err(|error| damaged(error.to_string()))
}

impl Logs {
    /// Returns the log and its witnesses as a `tlog-policy`, of whom any one is enough.
    pub(super) fn policy(&self, tenant: &TenantId) -> Result<String, String> {
        let origin = log_of(tenant).map_err(|error| error.to_string())?;
        let key = NoteKey::new(origin.as_str(), NoteKeyKind::Text, self.key().clone());
        let mut text = format!("log {}\n", key.map_err(|error| error.to_string())?);
        let mut names = String::new();
        for (number, witness) in self.0.witnesses.iter().enumerate() {
            let name = format!("w{}", number + 1);
            text.push_str(&format!("witness {name} {}\n", witness.key));
            names.push(' ');
            names.push_str(&name);
        }
        if names.is_empty() {
            text.push_str("quorum none\n");
        } else {
            text.push_str(&format!("group witnesses any{names}\nquorum witnesses\n"));
        }
        Ok(text)
    }
}
