//! Which logs stand still, and at which artifact.

use gantral_core::ids::TenantId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::SqliteStore;
use super::super::columns::{count, int, rows, text};
use crate::error::StoreError;
use crate::log::{HeldLog, LogHold};
use crate::page::PAGE_MAX;

impl SqliteStore {
    pub(crate) async fn held_logs(
        &self,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<HeldLog>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT tenant, number FROM log_held WHERE tenant > ?1 ORDER BY tenant LIMIT ?2",
            )?;
            let after = after.as_ref().map_or("", TenantId::as_str);
            let found = select.query_map(params![after, rows(limit.min(PAGE_MAX))], |row| {
                Ok(HeldLog { tenant: text(row, 0, TenantId::parse)?, number: count(row, 1)? })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Returns the number of the first artifact that the log of a tenant has not taken; `None` while it goes on.
pub(super) fn number(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT number FROM log_held WHERE tenant = ?1")?
        .query_row([tenant.as_str()], |row| count(row, 0))
        .optional()
}

/// Notes that a log stands still; one that does already stays where it is.
pub(super) fn hold(connection: &Connection, hold: &LogHold) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO log_held(tenant, number) VALUES(?1, ?2)")?
        .execute(params![hold.tenant.as_str(), int(hold.first())])?;
    Ok(())
}

/// Notes that a log has gone on, up to an artifact or as far as everything was taken.
pub(super) fn go_on(connection: &Connection, tenant: &TenantId, to: Option<u64>) -> rusqlite::Result<()> {
    match to {
        Some(number) => connection
            .prepare_cached("UPDATE log_held SET number = ?2 WHERE tenant = ?1")?
            .execute(params![tenant.as_str(), int(number)])?,
        None => {
            connection.prepare_cached("DELETE FROM log_held WHERE tenant = ?1")?.execute([tenant.as_str()])?
        }
    };
    Ok(())
}
