//! How much of a tenant there is: rows that many add to, and a sum that is exact where a limit is near.
//!
//! Everybody counts in a slot of its own, as the last statement of the transaction, so that nobody waits for a count but whoever shares the slot,
//! and nobody who holds a slot waits for anything else. What is not committed yet is in no sum. So whoever begins something under a limit
//! holds a lock until it has committed: shared as long as so much room is left that all connections of the server together cannot fill it, and alone
//! where it is less, which first waits for all the others.

use gantral_core::ids::TenantId;

use super::PostgresStore;
use super::columns::get;
use super::db::{Db, params};
use super::locks::{self, On};
use super::writer::Fail;
use crate::append::Append;
use crate::effect::Guard;
use crate::error::StoreError;
use crate::usage::{Delta, Room, Usage};

/// How many slots each tenant has: more than a server usually has connections, few enough to be added up in a moment.
const SLOTS: i64 = 256;
/// The most bytes that what begins is taken to add: many times what a request may hold.
const BEGINNING_BYTES_MAX: i64 = 16 << 20;

impl PostgresStore {
    pub(crate) async fn usage(&self, tenant: &TenantId) -> Result<Usage, StoreError> {
        let db = self.db().await?;
        Ok(of(&db, tenant).await?.0)
    }
}

/// Returns how much there is, and how many connections the server takes.
async fn of(db: &Db, tenant: &TenantId) -> Result<(Usage, i64), Fail> {
    let row = db
        .first(
            "SELECT coalesce(sum(open), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
               current_setting('max_connections')::bigint
             FROM tenant_use WHERE tenant = $1",
            params![tenant.as_str()],
        )
        .await?
        .ok_or(Fail::Again)?;
    Ok((Usage::of_sums(get(&row, 0)?, get(&row, 1)?), get(&row, 2)?))
}

/// Returns the guard that finds no room for what an append adds; what others add meanwhile is in it, or waits.
pub(super) async fn lacks_room(db: &Db, append: &Append, delta: Delta) -> Result<Option<Guard>, Fail> {
    for guard in &append.guards {
        if let Guard::Room(room) = guard
            && !has_room(db, &append.tenant, *room, delta).await?
        {
            return Ok(Some(guard.clone()));
        }
    }
    Ok(None)
}

async fn has_room(db: &Db, tenant: &TenantId, room: Room, delta: Delta) -> Result<bool, Fail> {
    let (estimate, connections) = of(db, tenant).await?;
    let others = Delta {
        open: delta.open.saturating_add(connections),
        bytes: delta.bytes.saturating_add(connections.saturating_mul(BEGINNING_BYTES_MAX)),
    };
    let far = estimate.fits(room, others) && delta.bytes <= BEGINNING_BYTES_MAX;
    if far {
        locks::shared(db, On::Room, &[tenant.as_str()]).await?;
    } else {
        locks::alone(db, On::Room, &[tenant.as_str()]).await?;
    }
    // A statement of its own: it sees what was committed before the lock was had.
    let (there, _) = of(db, tenant).await?;
    if far && !there.fits(room, others) {
        // It was filled while this one waited.
        return Err(Fail::Again);
    }
    Ok(there.fits(room, delta))
}

/// Counts what a transaction adds or takes away: its last statement.
pub(super) async fn count(db: &Db, tenant: &TenantId, delta: Delta) -> Result<(), Fail> {
    if delta.is_nothing() {
        return Ok(());
    }
    db.later(
        "INSERT INTO tenant_use AS u(tenant, slot, open, bytes) VALUES($1, pg_backend_pid() % $4::bigint, $2, $3)
         ON CONFLICT(tenant, slot) DO UPDATE SET open = u.open + excluded.open, bytes = u.bytes + excluded.bytes",
        params![tenant.as_str(), delta.open, delta.bytes, SLOTS],
    )
    .await
}
