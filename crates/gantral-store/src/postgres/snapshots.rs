//! Snapshots, and their erasure.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{get, int, millis, rows};
use super::db::{Db, params};
use super::writer::Fail;
use crate::decoded;
use crate::error::StoreError;
use crate::governance::NO_INSTANCE;
use crate::page::CHAIN_PAGE_MAX;
use crate::rows::{Snapshot, SnapshotPlace};

/// What [`decoded::snapshot`] reads, of the chain `$2` of tenant `$1`.
const SNAPSHOTS: &str = "SELECT a.sequence, s.commitment, s.label, s.salt, s.plaintext, s.erased_at
     FROM artifact a JOIN snapshot s ON s.artifact = a.number WHERE a.tenant = $1 AND a.instance = $2";

impl PostgresStore {
    pub(crate) async fn snapshot(
        &self,
        tenant: TenantId,
        id: InstanceId,
        commitment: Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.snapshot_in(&tenant, id.as_bytes(), &commitment).await
    }

    pub(crate) async fn governance_snapshot(
        &self,
        tenant: TenantId,
        commitment: Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.snapshot_in(&tenant, &NO_INSTANCE, &commitment).await
    }

    /// Returns a snapshot of one chain.
    async fn snapshot_in(
        &self,
        tenant: &TenantId,
        chain: &[u8; 16],
        commitment: &Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        let db = self.db().await?;
        let sql = format!("{SNAPSHOTS} AND s.commitment = $3 LIMIT 1");
        let found = db
            .first(&sql, params![tenant.as_str(), chain.as_slice(), commitment.as_bytes().as_slice()])
            .await?;
        Ok(found.as_ref().map(decoded::snapshot).transpose()?)
    }

    pub(crate) async fn snapshots_of(
        &self,
        tenant: TenantId,
        id: InstanceId,
        after: Option<SnapshotPlace>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, StoreError> {
        let db = self.db().await?;
        let (sequence, commitment) = match &after {
            Some(place) => (int(place.sequence), place.commitment.as_bytes().as_slice()),
            None => (0, [].as_slice()),
        };
        let sql = format!(
            "{SNAPSHOTS} AND a.sequence >= $3 AND (a.sequence > $3 OR s.commitment > $4)
             ORDER BY a.sequence, s.commitment LIMIT $5"
        );
        let limit = rows(limit.min(CHAIN_PAGE_MAX));
        let found = db
            .query(&sql, params![tenant.as_str(), id.as_bytes().as_slice(), sequence, commitment, limit])
            .await?;
        Ok(found.iter().map(decoded::snapshot).collect::<Result<_, _>>()?)
    }
}

/// Keeps what opens a commitment of an artifact, by its number.
pub(super) async fn put(
    db: &Db,
    artifact: i64,
    commitment: &Digest,
    label: CommitmentLabel,
    (salt, plaintext): (&Salt, &[u8]),
) -> Result<(), Fail> {
    db.row(
        "INSERT INTO snapshot(artifact, commitment, label, salt, plaintext)
         SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::bytea[], $5::bytea[])",
        params![
            artifact,
            commitment.as_bytes().as_slice(),
            label.as_str(),
            salt.as_bytes().as_slice(),
            plaintext
        ],
    )
    .await
}

/// Erases a snapshot, and returns how many bytes it had: none when there was nothing to erase.
pub(super) async fn erase(db: &Db, artifact: i64, commitment: &Digest, at: UnixMillis) -> Result<i64, Fail> {
    let erased = db
        .first(
            "WITH kept AS (SELECT octet_length(plaintext)::bigint AS bytes FROM snapshot
               WHERE artifact = $1 AND commitment = $2 AND erased_at IS NULL FOR UPDATE)
             UPDATE snapshot SET salt = NULL, plaintext = NULL, erased_at = $3 FROM kept
             WHERE artifact = $1 AND commitment = $2 AND erased_at IS NULL RETURNING kept.bytes",
            params![artifact, commitment.as_bytes().as_slice(), millis(at)],
        )
        .await?;
    erased.map_or(Ok(0), |row| get(&row, 0))
}

/// Returns the number of the artifact that keeps what opens a commitment, of an instance's chain or of the governance chain; `None`
/// when there is nothing to erase.
pub(super) async fn kept_by(
    db: &Db,
    tenant: &TenantId,
    id: Option<InstanceId>,
    commitment: &Digest,
) -> Result<Option<i64>, Fail> {
    let chain = id.map_or(NO_INSTANCE, |id| *id.as_bytes());
    let found = db
        .first(
            "SELECT a.number FROM artifact a JOIN snapshot s ON s.artifact = a.number
             WHERE a.tenant = $1 AND a.instance = $2 AND s.commitment = $3 AND s.erased_at IS NULL LIMIT 1",
            params![tenant.as_str(), chain.as_slice(), commitment.as_bytes().as_slice()],
        )
        .await?;
    found.map(|row| get(&row, 0)).transpose()
}
