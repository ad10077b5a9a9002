//! Content of instances that ended long ago.

use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{Cells as _, count, int, millis, rows};
use super::instances::CHAIN;
use super::usage;
use crate::append::Head;
use crate::decoded::{self, INSTANCE};
use crate::error::StoreError;
use crate::page::Cursor;
use crate::retention::{ContentErased, EndedPage, page};
use crate::usage::Delta;

impl SqliteStore {
    pub(crate) async fn ended_before(
        &self,
        tenant: TenantId,
        created_before: UnixMillis,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<EndedPage, StoreError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {INSTANCE}, open = 0 AND NOT EXISTS
                   (SELECT 1 FROM content_erased e WHERE e.tenant = i.tenant AND e.instance = i.id)
                 FROM instance i WHERE tenant = ?1 AND created_at < ?2 AND (created_at, id) > (?3, ?4)
                 ORDER BY created_at, id LIMIT ?5"
            );
            let (at, id) = after.map_or((-1, [0; 16]), |after| (millis(after.at), after.id));
            let mut select = connection.prepare_cached(&sql)?;
            let key = params![tenant.as_str(), millis(created_before), at, id, rows(limit)];
            let found = select.query_map(key, |row| Ok((decoded::instance_row(row)?, row.flag(15)?)))?;
            Ok(page(found.collect::<rusqlite::Result<_>>()?, limit))
        })
        .await
    }

    pub(crate) async fn erase_content(
        &self,
        tenant: TenantId,
        id: InstanceId,
        head: Head,
        at: UnixMillis,
    ) -> Result<Option<ContentErased>, StoreError> {
        self.write(move |connection, after| {
            let key = params![tenant.as_str(), id.as_bytes(), int(head.sequence), head.hash.as_bytes()];
            let is_due = connection
                .prepare_cached(
                    "SELECT 1 FROM instance WHERE tenant = ?1 AND id = ?2 AND head_sequence = ?3 AND head_hash = ?4 AND open = 0
                       AND NOT EXISTS (SELECT 1 FROM content_erased WHERE tenant = ?1 AND instance = ?2)",
                )?
                .query_row(key, |_| Ok(()))
                .optional()?;
            if is_due.is_none() {
                return Ok(None);
            }
            let erased = connection
                .prepare_cached(&format!(
                    "{CHAIN} SELECT count(*), coalesce(sum(length(plaintext)), 0)
                     FROM chain CROSS JOIN snapshot ON artifact = number WHERE erased_at IS NULL"
                ))?
                .query_row(params![tenant.as_str(), id.as_bytes(), 0], |row| {
                    Ok(ContentErased { snapshots: count(row, 0)?, bytes: count(row, 1)? })
                })?;
            connection
                .prepare_cached(&format!(
                    "UPDATE snapshot SET salt = NULL, plaintext = NULL, erased_at = ?4 WHERE erased_at IS NULL
                       AND artifact IN ({CHAIN} SELECT number FROM chain)"
                ))?
                .execute(params![tenant.as_str(), id.as_bytes(), 0, millis(at)])?;
            connection
                .prepare_cached("INSERT INTO content_erased(tenant, instance, erased_at) VALUES(?1, ?2, ?3)")?
                .execute(params![tenant.as_str(), id.as_bytes(), millis(at)])?;
            after.erased |= erased.snapshots > 0;
            usage::count(connection, &tenant, Delta::erased(int(erased.bytes)))?;
            Ok(Some(erased))
        })
        .await
    }
}
