//! Which logs stand still, and at which artifact.

use gantral_core::ids::TenantId;
use tokio_postgres::Row;

use super::super::PostgresStore;
use super::super::columns::{count, int, rows, text};
use super::super::db::{Db, params};
use super::super::writer::Fail;
use crate::error::StoreError;
use crate::log::{HeldLog, LogHold};
use crate::page::PAGE_MAX;

impl PostgresStore {
    pub(crate) async fn held_logs(
        &self,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<HeldLog>, StoreError> {
        let db = self.db().await?;
        let after = after.as_ref().map_or("", TenantId::as_str);
        let found = db
            .query(
                "SELECT tenant, number FROM log_held WHERE tenant > $1 ORDER BY tenant LIMIT $2",
                params![after, rows(limit.min(PAGE_MAX))],
            )
            .await?;
        let held = |row: &Row| {
            Ok::<_, Fail>(HeldLog { tenant: text(row, 0, TenantId::parse)?, number: count(row, 1)? })
        };
        Ok(found.iter().map(held).collect::<Result<_, _>>()?)
    }
}

/// Returns the number of the first artifact that the log of a tenant has not taken; `None` while it goes on.
pub(super) async fn number(db: &Db, tenant: &TenantId) -> Result<Option<u64>, Fail> {
    let found = db.first("SELECT number FROM log_held WHERE tenant = $1", params![tenant.as_str()]).await?;
    found.map(|row| count(&row, 0)).transpose()
}

/// Notes that a log stands still; one that does already stays where it is.
pub(super) async fn hold(db: &Db, hold: &LogHold) -> Result<(), Fail> {
    db.execute(
        "INSERT INTO log_held(tenant, number) VALUES($1, $2) ON CONFLICT(tenant) DO NOTHING",
        params![hold.tenant.as_str(), int(hold.first())],
    )
    .await
    .map(drop)
}

/// Notes that a log has gone on, up to an artifact or as far as everything was taken.
pub(super) async fn go_on(db: &Db, tenant: &TenantId, to: Option<u64>) -> Result<(), Fail> {
    match to {
        Some(number) => {
            let update = "UPDATE log_held SET number = $2 WHERE tenant = $1";
            db.execute(update, params![tenant.as_str(), int(number)]).await.map(drop)
        }
        None => {
            db.execute("DELETE FROM log_held WHERE tenant = $1", params![tenant.as_str()]).await.map(drop)
        }
    }
}
