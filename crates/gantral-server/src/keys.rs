//! The keys of a server's data folder: who signs artifacts here, and how far each log has come when a key is replaced.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use gantral_core::ids::{IdError, LogOrigin, TenantId};
use gantral_engine::EngineConfig;
use gantral_evidence::trust::KeyRole;
use gantral_identity::TokenKey;
use gantral_keys::{DelegatedSigner, DelegationTerms, IssuerSigner, KeyFolder, KeysError, LogReach, Renewal};
use gantral_store::{CommittedPage, HeldLog, LOG_PAGE_MAX, PAGE_MAX, ServingKeys, Store, StoreError};

use crate::clock::{Clock as _, SystemClock};
use crate::settings::SetupError;
use crate::store::{LEDGER, StoreSettings, StoreSettingsError, open_store};

/// The file of a data folder with the key that signs the tokens of attempts.
pub const ATTEMPTS: &str = "attempts.pem";
/// How often it is looked whether the issuer key must delegate anew: often enough to try many times before it is too late.
const RENEWAL_CHECK: Duration = Duration::from_secs(60);

/// Why it cannot be said how far the logs have come.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The ledger cannot be opened.
    #[error(transparent)]
    Open(#[from] StoreSettingsError),
    /// The ledger cannot be read; worth another try.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tenant whose log has no name: a defect.
    #[error(transparent)]
    Origin(#[from] IdError),
}

/// Why a server does not serve the ledger that others serve.
#[derive(Debug, thiserror::Error)]
pub enum AgreeError {
    /// The servers upon this ledger sign by another key.
    #[error(
        "the {what} in the folder `data` is not the one by which the servers of this ledger sign: stop this server, copy {files} from the `data` of one that serves, and start it again"
    )]
    Other {
        /// Which key.
        what: &'static str,
        /// What to copy.
        files: &'static str,
    },
    /// Others changed what was agreed, again and again. Worth another try.
    #[error(
        "other servers replace the keys of this ledger at this moment: start this one again when they are done"
    )]
    Busy,
    /// The folder has no key of a role.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The ledger cannot be read or written; worth another try.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What makes up the keys of a folder, for whoever has to copy them.
const KEY_FILES: &str = "`keys.json`, the `.pk8` files, `delegations/` and `attempts.pem`";
/// How often it is looked what the servers of a ledger sign by while several of them start at once.
const AGREE_TRIES: u32 = 8;

/// Returns the keys of a folder as the ledger knows them.
fn keys_of(folder: &KeyFolder, token: &TokenKey) -> Result<ServingKeys, KeysError> {
    let current = |role: KeyRole| {
        let entry = folder.entries().iter().find(|entry| entry.role == role && entry.is_current());
        entry.map(|entry| *entry.public_key.as_bytes()).ok_or(KeysError::Role { role })
    };
    let (issuer, log) = (current(KeyRole::Issuer)?, current(KeyRole::Log)?);
    Ok(ServingKeys { issuer, log, attempts: token.kid().to_owned() })
}

/// Makes sure that this server signs by the keys of all the others upon the same ledger. The first one says which they are. A key that was
/// rotated takes the place of the one before, which its folder still knows; the key of attempt tokens may be replaced with it.
///
/// # Errors
/// `AgreeError`; then nothing was written by this server.
pub(crate) async fn agree(store: &Store, folder: &KeyFolder, token: &TokenKey) -> Result<(), AgreeError> {
    let own = keys_of(folder, token)?;
    for _ in 0..AGREE_TRIES {
        let agreed = store.serving_keys().await?;
        if agreed.as_ref() == Some(&own) {
            return Ok(());
        }
        if let Some(agreed) = &agreed {
            let follows = |role: KeyRole, now: &[u8; 32], before: &[u8; 32]| {
                now == before || folder.earlier(role).iter().any(|key| key.as_bytes() == before)
            };
            let other = |what, files| Err(AgreeError::Other { what, files });
            if !follows(KeyRole::Issuer, &own.issuer, &agreed.issuer) {
                return other("issuer key", KEY_FILES);
            }
            if !follows(KeyRole::Log, &own.log, &agreed.log) {
                return other("key of the logs", KEY_FILES);
            }
            if (&own.issuer, &own.log) == (&agreed.issuer, &agreed.log) {
                return other("key of attempt tokens", "`attempts.pem`");
            }
        }
        if store.serve_by(agreed, own.clone()).await? {
            return Ok(());
        }
    }
    Err(AgreeError::Busy)
}

/// Returns the log of a tenant.
///
/// # Errors
/// If the tenant's name is too long to be part of it.
pub fn log_of(tenant: &TenantId) -> Result<LogOrigin, IdError> {
    LogOrigin::parse(&format!("{tenant}/{}", EngineConfig::default().log_suffix))
}

/// Reads from the ledger in a database, or else from that of a data folder, how far each of its logs has come, and how far it will have come
/// when everything that is committed is in it. No server may run upon it, or that is out of date at once.
///
/// # Errors
/// `ReachError`.
pub async fn log_reach(settings: Option<&StoreSettings>, data: &Path) -> Result<Vec<LogReach>, ReachError> {
    if settings.is_none() && !data.join(LEDGER).exists() {
        return Ok(Vec::new());
    }
    reach_of(&open_store(settings, data).await?).await
}

async fn reach_of(store: &Store) -> Result<Vec<LogReach>, ReachError> {
    let mut logs: Vec<(TenantId, LogReach)> = Vec::new();
    loop {
        let page = store.logged_tenants(logs.last().map(|(tenant, _)| tenant), PAGE_MAX).await?;
        let last = page.len() < PAGE_MAX;
        for tenant in page {
            let (origin, size) = (log_of(&tenant)?, store.log(&tenant).await?.map_or(0, |row| row.size));
            logs.push((tenant, LogReach { origin, size, through: size }));
        }
        if last {
            break;
        }
    }
    let taken = store.log_claim().await?.taken;
    let mut after = taken;
    loop {
        let page = store.committed(after, LOG_PAGE_MAX).await?;
        if page.through == after {
            break;
        }
        after = page.through;
        add(&mut logs, &page);
    }
    let mut after = None;
    loop {
        let held = store.held_logs(after.as_ref(), PAGE_MAX).await?;
        let Some(last) = held.last() else { break };
        after = Some(last.tenant.clone());
        for HeldLog { tenant, mut number } in held {
            while number <= taken {
                let page = store.committed_of(&tenant, number, taken, LOG_PAGE_MAX).await?;
                number = page.through.saturating_add(1);
                add(&mut logs, &page);
            }
        }
    }
    Ok(logs.into_iter().map(|(_, reach)| reach).collect())
}

/// Adds what is committed to how far each log will have come. What cannot be read now takes its place once it is mended.
fn add(logs: &mut [(TenantId, LogReach)], page: &CommittedPage) {
    let tenants = page.artifacts.iter().map(|artifact| &artifact.tenant);
    for tenant in tenants.chain(page.damaged.iter().map(|artifact| &artifact.tenant)) {
        if let Some((_, reach)) = logs.iter_mut().find(|(of, _)| of == tenant) {
            reach.through = reach.through.saturating_add(1);
        }
    }
}

/// Returns who signs artifacts. A key that is held elsewhere has delegated once when this returns, and does so again as long as
/// the signer is used.
pub(crate) async fn issuer(folder: &KeyFolder) -> Result<IssuerSigner, SetupError> {
    let issuer = folder.issuer(DelegationTerms::default()).await?;
    if let Some(delegated) = &issuer.renewed {
        delegated.renew(SystemClock.now()).await?;
        tokio::spawn(keep_renewed(Arc::downgrade(delegated)));
    }
    Ok(issuer)
}

/// Renews until nobody signs any more. Meanwhile the delegates that there are sign; when the last one's time is over, writes are
/// refused.
async fn keep_renewed(signer: Weak<DelegatedSigner>) {
    let mut interval = tokio::time::interval(RENEWAL_CHECK);
    loop {
        interval.tick().await;
        let Some(signer) = signer.upgrade() else { return };
        match signer.renew(SystemClock.now()).await {
            Ok(Renewal::NotDue) => {}
            Ok(Renewal::Renewed) => tracing::info!("the issuer key delegated to a new key"),
            Err(error) => tracing::error!(%error, "the issuer key did not delegate: it is tried again"),
        }
    }
}

#[cfg(test)]
mod tests;
