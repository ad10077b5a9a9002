//! Snapshots, and their erasure.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{int, millis, rows};
use super::governance;
use super::instances::CHAIN;
use crate::decoded;
use crate::error::StoreError;
use crate::page::CHAIN_PAGE_MAX;
use crate::rows::{Snapshot, SnapshotPlace};

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
            Ok(select.query_row(key, |row| decoded::snapshot(row)).optional()?)
        })
        .await
    }

    pub(crate) async fn governance_snapshot(
        &self,
        tenant: TenantId,
        commitment: Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "{} SELECT sequence, commitment, label, salt, plaintext, erased_at
                 FROM chain CROSS JOIN snapshot ON artifact = number WHERE commitment = ?3 LIMIT 1",
                governance::CHAIN
            ))?;
            Ok(select
                .query_row(params![tenant.as_str(), 0, commitment.as_bytes()], |row| decoded::snapshot(row))
                .optional()?)
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
            let found = select.query_map(key, |row| decoded::snapshot(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Keeps what opens a commitment of the artifact that has this number.
pub(super) fn put(
    connection: &Connection,
    artifact: i64,
    commitment: &Digest,
    label: CommitmentLabel,
    salt: &Salt,
    plaintext: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO snapshot(artifact, commitment, label, salt, plaintext) VALUES(?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![artifact, commitment.as_bytes(), label.as_str(), salt.as_bytes(), plaintext])
        .map(drop)
}

/// Erases a snapshot, and returns how many bytes it had; `None` when there was nothing to erase.
pub(super) fn erase(
    connection: &Connection,
    artifact: i64,
    commitment: &Digest,
    at: UnixMillis,
) -> rusqlite::Result<Option<i64>> {
    let bytes: Option<i64> = connection
        .prepare_cached(
            "SELECT length(plaintext) FROM snapshot WHERE artifact = ?1 AND commitment = ?2 AND erased_at IS NULL",
        )?
        .query_row(params![artifact, commitment.as_bytes()], |row| row.get(0))
        .optional()?;
    let erased = connection
        .prepare_cached(
            "UPDATE snapshot SET salt = NULL, plaintext = NULL, erased_at = ?3
             WHERE artifact = ?1 AND commitment = ?2 AND erased_at IS NULL",
        )?
        .execute(params![artifact, commitment.as_bytes(), millis(at)])?;
    Ok(bytes.filter(|_| erased > 0))
}

/// Returns the number of the artifact that keeps what opens a commitment, of an instance's chain or of the governance chain; `None`
/// when there is nothing to erase.
pub(super) fn kept_by(
    connection: &Connection,
    tenant: &TenantId,
    id: Option<InstanceId>,
    commitment: &Digest,
) -> rusqlite::Result<Option<i64>> {
    let of = |chain: &str, place: u8| {
        format!(
            "{chain} SELECT number FROM chain CROSS JOIN snapshot ON artifact = number
             WHERE commitment = ?{place} AND erased_at IS NULL LIMIT 1"
        )
    };
    let found = match id {
        Some(id) => connection
            .prepare_cached(&of(CHAIN, 4))?
            .query_row(params![tenant.as_str(), id.as_bytes(), 0, commitment.as_bytes()], |row| row.get(0)),
        None => connection
            .prepare_cached(&of(governance::CHAIN, 3))?
            .query_row(params![tenant.as_str(), 0, commitment.as_bytes()], |row| row.get(0)),
    };
    found.optional()
}
