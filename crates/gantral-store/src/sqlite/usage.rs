//! How much of a tenant there is: one row for each, written by the one thread that writes.

use gantral_core::ids::TenantId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use crate::append::Append;
use crate::effect::Guard;
use crate::error::StoreError;
use crate::usage::{Delta, Usage};

impl SqliteStore {
    pub(crate) async fn usage(&self, tenant: TenantId) -> Result<Usage, StoreError> {
        self.look(move |connection| Ok(of(connection, &tenant)?)).await
    }
}

fn of(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<Usage> {
    let found = connection
        .prepare_cached("SELECT open, bytes FROM tenant_use WHERE tenant = ?1 AND slot = 0")?
        .query_row([tenant.as_str()], |row| Ok(Usage::of_sums(row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Returns the guard that finds no room for what an append adds.
pub(super) fn lacks_room(
    connection: &Connection,
    append: &Append,
    delta: Delta,
) -> rusqlite::Result<Option<Guard>> {
    for guard in &append.guards {
        if let Guard::Room(room) = guard
            && !of(connection, &append.tenant)?.fits(*room, delta)
        {
            return Ok(Some(guard.clone()));
        }
    }
    Ok(None)
}

/// Counts what a transaction adds or takes away.
pub(super) fn count(connection: &Connection, tenant: &TenantId, delta: Delta) -> rusqlite::Result<()> {
    if delta.is_nothing() {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO tenant_use(tenant, slot, open, bytes) VALUES(?1, 0, ?2, ?3)
             ON CONFLICT(tenant, slot) DO UPDATE SET open = open + excluded.open, bytes = bytes + excluded.bytes",
        )?
        .execute(params![tenant.as_str(), delta.open, delta.bytes])
        .map(drop)
}
