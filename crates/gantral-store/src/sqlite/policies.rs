//! Policy bundles and the signatures over them. Both only grow.

use gantral_core::ids::TenantId;
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::columns::{millis, rows};
use super::{SqliteStore, usage};
use crate::decoded;
use crate::error::StoreError;
use crate::page::{Cursor, PAGE_MAX, Page};
use crate::rows::{PolicyArchive, PolicyBundleRow, PolicySignature, PutOutcome};
use crate::usage::Delta;

/// A bundle without its bytes, and the signature that counts.
const ROW: &str = "SELECT b.version, b.created_at, s.key, s.algorithm, s.scope, s.pinned
 FROM policy_bundle b LEFT JOIN policy_signature s ON s.number =
   (SELECT number FROM policy_signature WHERE tenant = b.tenant AND version = b.version
    ORDER BY pinned DESC, number DESC LIMIT 1)";

impl SqliteStore {
    pub(crate) async fn put_policy_bundle(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
        bytes: Vec<u8>,
        at: UnixMillis,
    ) -> Result<PutOutcome, StoreError> {
        self.write(move |connection, _| Ok(put_bundle(connection, &tenant, version, &bytes, at)?)).await
    }

    pub(crate) async fn put_signed_policy_bundle(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
        bytes: Vec<u8>,
        signature: PolicySignature,
        at: UnixMillis,
    ) -> Result<PutOutcome, StoreError> {
        self.write(move |connection, _| {
            let put = put_bundle(connection, &tenant, version, &bytes, at)?;
            let newest = signed(connection, &tenant, version, Some(signature.pinned))?;
            if newest.is_some_and(|it| it.bytes == bytes && it.signature.as_ref() == Some(&signature)) {
                return Ok(put);
            }
            let PolicySignature { key, algorithm, scope, pinned } = &signature;
            connection
                .prepare_cached(
                    "INSERT INTO policy_signature(tenant, version, key, algorithm, scope, pinned, bytes, created_at)
                     VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    tenant.as_str(),
                    version.0.as_bytes(),
                    key,
                    algorithm,
                    scope,
                    pinned,
                    bytes,
                    millis(at)
                ])?;
            Ok(put)
        })
        .await
    }

    pub(crate) async fn policy_bundle(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |connection| Ok(bundle(connection, &tenant, version)?)).await
    }

    pub(crate) async fn policy_archive(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<PolicyArchive>, StoreError> {
        self.read(move |connection| {
            if let Some(signed) = signed(connection, &tenant, version, None)? {
                return Ok(Some(signed));
            }
            let plain = bundle(connection, &tenant, version)?;
            Ok(plain.map(|bytes| PolicyArchive { bytes, signature: None }))
        })
        .await
    }

    pub(crate) async fn policy_bundle_row(
        &self,
        tenant: TenantId,
        version: PolicyVersionId,
    ) -> Result<Option<PolicyBundleRow>, StoreError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached(&format!("{ROW} WHERE b.tenant = ?1 AND b.version = ?2"))?
                .query_row(params![tenant.as_str(), version.0.as_bytes()], |row| decoded::policy_bundle(row))
                .optional()?;
            Ok(found)
        })
        .await
    }

    pub(crate) async fn list_policy_bundles(
        &self,
        tenant: TenantId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<PolicyBundleRow>, StoreError> {
        self.read(move |connection| {
            let limit = limit.clamp(1, PAGE_MAX);
            let (at, id) = PolicyBundleRow::behind(after);
            let mut select = connection.prepare_cached(&format!(
                "{ROW} WHERE b.tenant = ?1 AND (b.created_at, b.version) < (?2, ?3)
                 ORDER BY b.created_at DESC, b.version DESC LIMIT ?4"
            ))?;
            let limited = rows(limit.saturating_add(1));
            let found = select
                .query_map(params![tenant.as_str(), at.map_or(i64::MAX, millis), id, limited], |row| {
                    decoded::policy_bundle(row)
                })?;
            Ok(Page::cut(found.collect::<rusqlite::Result<_>>()?, limit, PolicyBundleRow::cursor))
        })
        .await
    }
}

fn put_bundle(
    connection: &Connection,
    tenant: &TenantId,
    version: PolicyVersionId,
    bytes: &[u8],
    at: UnixMillis,
) -> rusqlite::Result<PutOutcome> {
    if let Some(stored) = bundle(connection, tenant, version)? {
        return Ok(if stored == bytes { PutOutcome::Same } else { PutOutcome::Differs });
    }
    connection
        .prepare_cached(
            "INSERT INTO policy_bundle(tenant, version, bytes, created_at) VALUES(?1, ?2, ?3, ?4)",
        )?
        .execute(params![tenant.as_str(), version.0.as_bytes(), bytes, millis(at)])?;
    usage::count(connection, tenant, Delta::kept(bytes.len()))?;
    Ok(PutOutcome::Stored)
}

fn bundle(
    connection: &Connection,
    tenant: &TenantId,
    version: PolicyVersionId,
) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT bytes FROM policy_bundle WHERE tenant = ?1 AND version = ?2")?
        .query_row(params![tenant.as_str(), version.0.as_bytes()], |row| row.get(0))
        .optional()
}

/// Returns the archive of the signature that counts: the newest whose bundle is pinned, else the newest. So nobody takes a bundle from an
/// OPA by signing it with another revision. `pinned` looks among those of one kind only.
fn signed(
    connection: &Connection,
    tenant: &TenantId,
    version: PolicyVersionId,
    pinned: Option<bool>,
) -> rusqlite::Result<Option<PolicyArchive>> {
    connection
        .prepare_cached(
            "SELECT key, algorithm, scope, pinned, bytes FROM policy_signature
             WHERE tenant = ?1 AND version = ?2 AND pinned = coalesce(?3, pinned)
             ORDER BY pinned DESC, number DESC LIMIT 1",
        )?
        .query_row(params![tenant.as_str(), version.0.as_bytes(), pinned], |row| {
            Ok(PolicyArchive { signature: decoded::policy_signature(row, 0)?, bytes: row.get(4)? })
        })
        .optional()
}
