//! What the archiver reads and writes.

use gantral_core::ids::TenantId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{int, rows};
use crate::archive::{ArchiveStep, ArchivedObject, NumberedArtifact};
use crate::decoded::{self, ARCHIVE, ARCHIVED, SEALED};
use crate::error::StoreError;

impl SqliteStore {
    pub(crate) async fn sealed_after(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NumberedArtifact>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {SEALED} FROM artifact WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
            ))?;
            let found = select
                .query_map(params![tenant.as_str(), int(after), rows(limit)], |row| decoded::sealed(row))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(crate) async fn archive(&self, tenant: TenantId) -> Result<Option<ArchiveStep>, StoreError> {
        self.read(move |connection| Ok(last(connection, &tenant)?)).await
    }

    pub(crate) async fn archived(
        &self,
        tenant: TenantId,
        names: Vec<String>,
    ) -> Result<Vec<ArchivedObject>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {ARCHIVED} FROM archived WHERE tenant = ?1 AND name = ?2"
            ))?;
            let mut found = Vec::new();
            for name in &names {
                let row = select.query_row(params![tenant.as_str(), name], |row| decoded::archived(row));
                found.extend(row.optional()?);
            }
            found.sort_unstable_by(|one: &ArchivedObject, other| one.name.cmp(&other.name));
            Ok(found)
        })
        .await
    }

    pub(crate) async fn keep_archived(
        &self,
        tenant: TenantId,
        step: ArchiveStep,
        objects: Vec<ArchivedObject>,
    ) -> Result<bool, StoreError> {
        self.write(move |connection, _| {
            match step.follows(last(connection, &tenant)?.as_ref()) {
                None => return Ok(true),
                Some(false) => return Ok(false),
                Some(true) => {}
            }
            let ArchiveStep { segment, size, number, head, version } = &step;
            connection
                .prepare_cached(
                    "INSERT INTO archive(tenant, segment, size, number, head, version) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    tenant.as_str(),
                    int(*segment),
                    int(*size),
                    int(*number),
                    head.as_bytes(),
                    version
                ])?;
            for ArchivedObject { name, digest, version } in &objects {
                connection
                    .prepare_cached(
                        "INSERT INTO archived(tenant, name, digest, version) VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![tenant.as_str(), name, digest.as_bytes(), version])?;
            }
            Ok(true)
        })
        .await
    }
}

fn last(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<Option<ArchiveStep>> {
    connection
        .prepare_cached(&format!(
            "SELECT {ARCHIVE} FROM archive WHERE tenant = ?1 ORDER BY segment DESC LIMIT 1"
        ))?
        .query_row([tenant.as_str()], |row| decoded::archive(row))
        .optional()
}
