//! From a folder to the trust file that a relying party starts from.
//!
//! What is exported is what the operator says of its own keys. It is believed because somebody compared it over another channel,
//! and pinned it.

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_evidence::human::RelyingParty;
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::log::note::{NoteKey, NoteKeyError, NoteKeyKind};
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustError, TrustedKey, TrustedLog};

use super::entry::{KeyEntry, of_log};

/// For whom a trust file is.
#[derive(Debug, Clone)]
pub struct TrustTerms {
    /// The tenant and its log; `None`: any tenant, and no log.
    pub tenant: Option<(TenantId, LogOrigin)>,
    /// What is required of a bundle.
    pub require: Require,
    /// The keys of the directory that enrols authenticators.
    pub directory: Vec<PublicKey>,
    /// For whom authenticators sign.
    pub relying_party: Option<RelyingParty>,
    /// The promise of the log, in milliseconds: how long after its `issued_at` an artifact may stay out of it.
    pub delay_ms: u64,
    /// How far the clocks of issuer and witnesses may lie apart, in milliseconds.
    pub skew_ms: u64,
}

/// Why no trust file can be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Indexes are those of one log, and a trust file has one for each key.
    #[error("key `{key_id}` has limits in log `{log}`: the trust file must be for one tenant")]
    Tenant {
        /// The key.
        key_id: KeyId,
        /// The log.
        log: LogOrigin,
    },
    /// The name of the log is none that a checkpoint may have.
    #[error("log `{log}`: {why}")]
    Name {
        /// The log.
        log: LogOrigin,
        /// What is wrong.
        why: NoteKeyError,
    },
    /// The file would be none: a defect.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Returns the trust file of these keys: every issuer key with its limits, and the log of the tenant under every key that signed
/// its checkpoints and is not compromised.
///
/// # Errors
/// `ExportError`.
pub fn export_trust(entries: &[KeyEntry], terms: &TrustTerms) -> Result<Trust, ExportError> {
    let issuers = entries.iter().filter(|entry| entry.role == KeyRole::Issuer);
    let mut keys = issuers.map(|entry| issuer(entry, terms)).collect::<Result<Vec<_>, _>>()?;
    keys.extend(terms.directory.iter().map(|key| directory(key, terms)));
    let mut trust = Trust::new(keys, Some(terms.require))?;
    if let Some(relying_party) = &terms.relying_party {
        trust = trust.with_relying_party(relying_party.clone());
    }
    let Some((_, origin)) = &terms.tenant else { return Ok(trust) };
    let mut policy = String::new();
    for entry in entries.iter().filter(|entry| entry.role == KeyRole::Log) {
        if of_log(&entry.compromised_from, Some(origin)).is_some() {
            continue;
        }
        let key = NoteKey::new(origin.as_str(), NoteKeyKind::Text, entry.public_key.clone());
        let key = key.map_err(|why| ExportError::Name { log: origin.clone(), why })?;
        policy.push_str(&format!("log {key}\n"));
    }
    policy.push_str("quorum none\n");
    Ok(trust.with_log(TrustedLog::new(&policy, terms.delay_ms, terms.skew_ms)?)?)
}

fn directory(key: &PublicKey, terms: &TrustTerms) -> TrustedKey {
    TrustedKey {
        role: KeyRole::Directory,
        tenants: terms.tenant.as_ref().map(|(tenant, _)| vec![tenant.clone()]),
        origins: terms.tenant.as_ref().map(|(_, origin)| vec![origin.clone()]),
        ..TrustedKey::issuer(key.clone())
    }
}

fn issuer(entry: &KeyEntry, terms: &TrustTerms) -> Result<TrustedKey, ExportError> {
    let log = terms.tenant.as_ref().map(|(_, origin)| origin);
    let limits = [&entry.valid_from, &entry.valid_until, &entry.compromised_from];
    if log.is_none()
        && let Some(named) = limits.into_iter().flatten().find_map(|limit| limit.log.clone())
    {
        return Err(ExportError::Tenant { key_id: entry.public_key.id(), log: named });
    }
    Ok(TrustedKey {
        tenants: terms.tenant.as_ref().map(|(tenant, _)| vec![tenant.clone()]),
        origins: log.map(|log| vec![log.clone()]),
        // From the first leaf on is no limit, and would demand a log where there is none.
        valid_from: of_log(&entry.valid_from, log).filter(|index| *index > 0),
        valid_until: of_log(&entry.valid_until, log),
        compromised_from: of_log(&entry.compromised_from, log),
        ..TrustedKey::issuer(entry.public_key.clone())
    })
}
