//! What clients counted while no server answered them.

use gantral_core::ids::TenantId;
use gantral_core::time::UnixMillis;
use rusqlite::params;

use super::SqliteStore;
use super::columns::{int, millis, rows};
use crate::decoded;
use crate::error::StoreError;
use crate::unobserved::{UNOBSERVED_MAX, Unobserved};

impl SqliteStore {
    pub(crate) async fn count_unobserved(
        &self,
        tenant: TenantId,
        report: [u8; 16],
        lines: Vec<Unobserved>,
    ) -> Result<(), StoreError> {
        self.write(move |connection, _| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO unobserved(tenant, hour, workflow, action, report, asks) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO NOTHING",
            )?;
            for line in &lines {
                let (hour, workflow, action) = (millis(line.hour), line.workflow.as_str(), line.action.as_str());
                insert.execute(params![tenant.as_str(), hour, workflow, action, report, int(line.asks)])?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn unobserved(
        &self,
        tenant: TenantId,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<Vec<Unobserved>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT hour, workflow, action, sum(asks) FROM unobserved WHERE tenant = ?1 AND hour >= ?2 AND hour < ?3
                 GROUP BY hour, workflow, action ORDER BY hour, workflow, action LIMIT ?4",
            )?;
            let found = select.query_map(
                params![tenant.as_str(), millis(from), millis(to), rows(UNOBSERVED_MAX)],
                |row| decoded::unobserved(row),
            )?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}
