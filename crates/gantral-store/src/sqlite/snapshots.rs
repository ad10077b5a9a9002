//! Snapshots, and their erasure.

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::columns::{digest, instance, instant, is_null, label, millis, rows, salt};
use crate::error::StoreError;
use crate::page::CHAIN_PAGE_MAX;
use crate::rows::{Snapshot, SnapshotContent};

impl SqliteStore {
    pub(crate) async fn snapshot(
        &self,
        tenant: TenantId,
        id: InstanceId,
        commitment: Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT commitment, instance, label, salt, plaintext, erased_at FROM snapshot
                 WHERE tenant = ?1 AND instance = ?2 AND commitment = ?3",
            )?;
            let key = params![tenant.as_str(), id.as_bytes(), commitment.as_bytes()];
            Ok(select.query_row(key, snapshot_row).optional()?)
        })
        .await
    }

    pub(crate) async fn snapshots_of(
        &self,
        tenant: TenantId,
        id: InstanceId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT commitment, instance, label, salt, plaintext, erased_at FROM snapshot
                 WHERE tenant = ?1 AND instance = ?2 AND commitment > ?3 ORDER BY commitment LIMIT ?4",
            )?;
            let after = after.as_ref().map_or([].as_slice(), |digest| digest.as_bytes());
            let limit = rows(limit.min(CHAIN_PAGE_MAX));
            let found =
                select.query_map(params![tenant.as_str(), id.as_bytes(), after, limit], snapshot_row)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn erase_snapshot(
        &self,
        tenant: TenantId,
        id: InstanceId,
        commitment: Digest,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.write(move |connection, after| {
            let changed = connection
                .prepare_cached(
                    "UPDATE snapshot SET salt = NULL, plaintext = NULL, erased_at = ?4
                     WHERE tenant = ?1 AND instance = ?2 AND commitment = ?3 AND erased_at IS NULL",
                )?
                .execute(params![tenant.as_str(), id.as_bytes(), commitment.as_bytes(), millis(at)])?;
            after.erased |= changed == 1;
            Ok(changed == 1)
        })
        .await
    }
}

fn snapshot_row(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    let content = if is_null(row, 5)? {
        SnapshotContent::Kept { salt: salt(row, 3)?, plaintext: row.get(4)? }
    } else {
        SnapshotContent::Erased { at: instant(row, 5)? }
    };
    Ok(Snapshot { commitment: digest(row, 0)?, instance: instance(row, 1)?, label: label(row, 2)?, content })
}
