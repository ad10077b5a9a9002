//! The keys of a server's data folder: who signs artifacts here, and how far each log has come when a key is replaced.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use gantral_core::ids::{IdError, LogOrigin, TenantId};
use gantral_engine::EngineConfig;
use gantral_keys::{DelegatedSigner, DelegationTerms, IssuerSigner, KeyFolder, LogReach, Renewal};
use gantral_store::{CommittedPage, HeldLog, LOG_PAGE_MAX, OpenError, PAGE_MAX, Store, StoreError};

use crate::clock::{Clock as _, SystemClock};
use crate::settings::SetupError;

/// How often it is looked whether the issuer key must delegate anew: often enough to try many times before it is too late.
const RENEWAL_CHECK: Duration = Duration::from_secs(60);

/// Why it cannot be said how far the logs have come.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The ledger cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The ledger cannot be read; worth another try.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tenant whose log has no name: a defect.
    #[error(transparent)]
    Origin(#[from] IdError),
}

/// Returns the log of a tenant.
///
/// # Errors
/// If the tenant's name is too long to be part of it.
pub fn log_of(tenant: &TenantId) -> Result<LogOrigin, IdError> {
    LogOrigin::parse(&format!("{tenant}/{}", EngineConfig::default().log_suffix))
}

/// Reads from the ledger of a data folder how far each of its logs has come, and how far it will have come when everything
/// that is committed is in it. No server may run on the folder, or that is out of date at once.
///
/// # Errors
/// `ReachError`.
pub async fn log_reach(data: &Path) -> Result<Vec<LogReach>, ReachError> {
    let ledger = data.join("ledger.db");
    if !ledger.exists() {
        return Ok(Vec::new());
    }
    reach_of(&Store::open_sqlite(&ledger)?).await
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
