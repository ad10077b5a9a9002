//! Policy bundles and the signatures over them. Both only grow.

use gantral_core::ids::TenantId;
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use tokio_postgres::Row;

use super::columns::{get, millis, rows};
use super::db::{Db, params};
use super::writer::Fail;
use super::{PostgresStore, usage};
use crate::decoded;
use crate::error::StoreError;
use crate::page::{Cursor, PAGE_MAX, Page};
use crate::rows::{PolicyArchive, PolicyBundleRow, PolicySignature, PutOutcome};
use crate::usage::Delta;

/// A bundle without its bytes, and the signature that counts.
const ROW: &str = "SELECT b.version, b.created_at, s.key, s.algorithm, s.scope, s.pinned
 FROM policy_bundle b LEFT JOIN LATERAL
   (SELECT key, algorithm, scope, pinned FROM policy_signature WHERE tenant = b.tenant AND version = b.version
    ORDER BY pinned DESC, number DESC LIMIT 1) s ON true";

impl PostgresStore {
    pub(crate) async fn put_policy_bundle(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
        bytes: Vec<u8>,
        at: UnixMillis,
    ) -> Result<PutOutcome, StoreError> {
        self.write((tenant, version, bytes, at), |(tenant, version, bytes, at), db, _| {
            Box::pin(async move { put_bundle(db, tenant, *version, bytes, *at).await })
        })
        .await
    }

    pub(crate) async fn put_signed_policy_bundle(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
        bytes: Vec<u8>,
        signature: PolicySignature,
        at: UnixMillis,
    ) -> Result<PutOutcome, StoreError> {
        let state = (tenant, version, bytes, signature, at);
        self.write(state, |(tenant, version, bytes, signature, at), db, _| {
            Box::pin(async move {
                let put = put_bundle(db, tenant, *version, bytes, *at).await?;
                put_signature(db, tenant, *version, bytes, signature, *at).await?;
                Ok(put)
            })
        })
        .await
    }

    pub(crate) async fn policy_bundle(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.db().await?;
        Ok(bundle(&db, &tenant, version).await?)
    }

    pub(crate) async fn policy_archive(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<PolicyArchive>, StoreError> {
        let db = self.db().await?;
        if let Some(signed) = signed(&db, &tenant, version, None).await? {
            return Ok(Some(signed));
        }
        let plain = bundle(&db, &tenant, version).await?;
        Ok(plain.map(|bytes| PolicyArchive { bytes, signature: None }))
    }

    pub(crate) async fn policy_bundle_row(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<PolicyBundleRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!("{ROW} WHERE b.tenant = $1 AND b.version = $2");
        let found = db.first(&sql, params![tenant.as_str(), version.0.as_bytes().as_slice()]).await?;
        Ok(found.as_ref().map(decoded::policy_bundle).transpose()?)
    }

    pub(crate) async fn list_policy_bundles(
        &self,
        tenant: TenantId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<PolicyBundleRow>, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let (at, id) = PolicyBundleRow::behind(after);
        let db = self.db().await?;
        let sql = format!(
            "{ROW} WHERE b.tenant = $1 AND (b.created_at, b.version) < ($2, $3)
             ORDER BY b.created_at DESC, b.version DESC LIMIT $4"
        );
        let limited = rows(limit.saturating_add(1));
        let found =
            db.query(&sql, params![tenant.as_str(), at.map_or(i64::MAX, millis), id, limited]).await?;
        let found = found.iter().map(decoded::policy_bundle).collect::<Result<_, _>>()?;
        Ok(Page::cut(found, limit, PolicyBundleRow::cursor))
    }
}

async fn put_bundle(
    db: &Db,
    tenant: &TenantId,
    version: PolicyVersionId,
    bytes: &[u8],
    at: UnixMillis,
) -> Result<PutOutcome, Fail> {
    let written = db
        .execute(
            "INSERT INTO policy_bundle(tenant, version, bytes, created_at) VALUES($1, $2, $3, $4)
             ON CONFLICT(tenant, version) DO NOTHING",
            params![tenant.as_str(), version.0.as_bytes().as_slice(), bytes, millis(at)],
        )
        .await?;
    if written == 1 {
        // Behind it comes a signature at most, which no lock is waited for.
        usage::count(db, tenant, Delta::kept(bytes.len())).await?;
        return Ok(PutOutcome::Stored);
    }
    let is_same = db
        .exists(
            "SELECT 1 FROM policy_bundle WHERE tenant = $1 AND version = $2 AND bytes = $3",
            params![tenant.as_str(), version.0.as_bytes().as_slice(), bytes],
        )
        .await?;
    Ok(if is_same { PutOutcome::Same } else { PutOutcome::Differs })
}

/// Keeps a signature of a bundle that is there, unless it is the newest of its kind already.
async fn put_signature(
    db: &Db,
    tenant: &TenantId,
    version: PolicyVersionId,
    bytes: &[u8],
    signature: &PolicySignature,
    at: UnixMillis,
) -> Result<(), Fail> {
    // Signatures of one bundle come one after the other, so that the newest is the one that came last.
    db.first(
        "SELECT 1 FROM policy_bundle WHERE tenant = $1 AND version = $2 FOR UPDATE",
        params![tenant.as_str(), version.0.as_bytes().as_slice()],
    )
    .await?;
    let newest = signed(db, tenant, version, Some(signature.pinned)).await?;
    if newest.is_some_and(|it| it.bytes == bytes && it.signature.as_ref() == Some(signature)) {
        return Ok(());
    }
    let PolicySignature { key, algorithm, scope, pinned } = signature;
    db.execute(
        "INSERT INTO policy_signature(tenant, version, key, algorithm, scope, pinned, bytes, created_at)
         VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            tenant.as_str(),
            version.0.as_bytes().as_slice(),
            key,
            algorithm,
            scope,
            pinned,
            bytes,
            millis(at)
        ],
    )
    .await
    .map(drop)
}

async fn bundle(db: &Db, tenant: &TenantId, version: PolicyVersionId) -> Result<Option<Vec<u8>>, Fail> {
    let found = db
        .first(
            "SELECT bytes FROM policy_bundle WHERE tenant = $1 AND version = $2",
            params![tenant.as_str(), version.0.as_bytes().as_slice()],
        )
        .await?;
    found.map(|row| get(&row, 0)).transpose()
}

/// Returns the archive of the signature that counts: the newest whose bundle is pinned, else the newest. So nobody takes a bundle from an
/// OPA by signing it with another revision. `pinned` looks among those of one kind only.
async fn signed(
    db: &Db,
    tenant: &TenantId,
    version: PolicyVersionId,
    pinned: Option<bool>,
) -> Result<Option<PolicyArchive>, Fail> {
    let found = db
        .first(
            "SELECT key, algorithm, scope, pinned, bytes FROM policy_signature
             WHERE tenant = $1 AND version = $2 AND pinned = coalesce($3, pinned)
             ORDER BY pinned DESC, number DESC LIMIT 1",
            params![tenant.as_str(), version.0.as_bytes().as_slice(), pinned],
        )
        .await?;
    let archive =
        |row: Row| Ok(PolicyArchive { signature: decoded::policy_signature(&row, 0)?, bytes: get(&row, 4)? });
    found.map(archive).transpose()
}
