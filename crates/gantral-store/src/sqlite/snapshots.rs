//! Snapshots, and their erasure.

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::columns::{count, digest, instant, int, is_null, label, millis, rows, salt};
use super::instances::CHAIN;
use crate::error::StoreError;
use crate::page::CHAIN_PAGE_MAX;
use crate::rows::{Snapshot, SnapshotContent, SnapshotPlace};

impl SqliteStore {
    pub(crate) async fn snapshot(
        &self,
        tenant: TenantId,
        id: InstanceId,
        commitment: Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "{CHAIN} SELECT sequence, commitment, label, salt, plaintext, erased_at
                 FROM chain CROSS JOIN snapshot ON artifact = number WHERE commitment = ?4 LIMIT 1"
            ))?;
            let key = params![tenant.as_str(), id.as_bytes(), 0, commitment.as_bytes()];
            Ok(select.query_row(key, snapshot_row).optional()?)
        })
        .await
    }

    pub(crate) async fn snapshots_of(
        &self,
        tenant: TenantId,
        id: InstanceId,
        after: Option<SnapshotPlace>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "{CHAIN} SELECT sequence, commitment, label, salt, plaintext, erased_at
                 FROM chain CROSS JOIN snapshot ON artifact = number
                 WHERE sequence >= ?3 AND (sequence > ?3 OR commitment > ?4)
                 ORDER BY sequence, commitment LIMIT ?5"
            ))?;
            let (sequence, commitment) = match &after {
                Some(place) => (int(place.sequence), place.commitment.as_bytes().as_slice()),
                None => (0, [].as_slice()),
            };
            let limit = rows(limit.min(CHAIN_PAGE_MAX));
            let key = params![tenant.as_str(), id.as_bytes(), sequence, commitment, limit];
            let found = select.query_map(key, snapshot_row)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Erases a snapshot, and returns whether there was something to erase.
pub(super) fn erase(
    connection: &Connection,
    tenant: &TenantId,
    id: InstanceId,
    commitment: &Digest,
    at: UnixMillis,
) -> rusqlite::Result<bool> {
    let erased = connection
        .prepare_cached(&format!(
            "{CHAIN} UPDATE snapshot SET salt = NULL, plaintext = NULL, erased_at = ?5
             WHERE artifact IN (SELECT number FROM chain) AND commitment = ?4 AND erased_at IS NULL"
        ))?
        .execute(params![tenant.as_str(), id.as_bytes(), 0, commitment.as_bytes(), millis(at)])?;
    Ok(erased > 0)
}

/// Tells whether there is something to erase.
pub(super) fn is_kept(
    connection: &Connection,
    tenant: &TenantId,
    id: InstanceId,
    commitment: &Digest,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(&format!(
            "{CHAIN} SELECT 1 FROM chain CROSS JOIN snapshot ON artifact = number
             WHERE commitment = ?4 AND erased_at IS NULL"
        ))?
        .exists(params![tenant.as_str(), id.as_bytes(), 0, commitment.as_bytes()])
}

fn snapshot_row(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    let content = if is_null(row, 5)? {
        SnapshotContent::Kept { salt: salt(row, 3)?, plaintext: row.get(4)? }
    } else {
        SnapshotContent::Erased { at: instant(row, 5)? }
    };
    let place = SnapshotPlace { sequence: count(row, 0)?, commitment: digest(row, 1)? };
    Ok(Snapshot { place, label: label(row, 2)?, content })
}
