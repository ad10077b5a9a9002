//! What clients counted while no server answered them.

use gantral_core::ids::TenantId;
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{int, millis, rows};
use super::db::params;
use crate::decoded;
use crate::error::StoreError;
use crate::unobserved::{UNOBSERVED_MAX, Unobserved};

impl PostgresStore {
    pub(crate) async fn count_unobserved(
        &self,
        tenant: TenantId,
        report: [u8; 16],
        lines: Vec<Unobserved>,
    ) -> Result<(), StoreError> {
        self.write((tenant, report, lines), |(tenant, report, lines), db, _| {
            Box::pin(async move {
                let hours: Vec<i64> = lines.iter().map(|line| millis(line.hour)).collect();
                let workflows: Vec<&str> = lines.iter().map(|line| line.workflow.as_str()).collect();
                let actions: Vec<&str> = lines.iter().map(|line| line.action.as_str()).collect();
                let asks: Vec<i64> = lines.iter().map(|line| int(line.asks)).collect();
                db.execute(
                    "INSERT INTO unobserved(tenant, hour, workflow, action, report, asks)
                     SELECT $1, hour, workflow, action, $2, asks
                     FROM unnest($3::bigint[], $4::text[], $5::text[], $6::bigint[]) AS line(hour, workflow, action, asks)
                     ON CONFLICT DO NOTHING",
                    params![tenant.as_str(), report.as_slice(), hours, workflows, actions, asks],
                )
                .await
                .map(drop)
            })
        })
        .await
    }

    pub(crate) async fn unobserved(
        &self,
        tenant: TenantId,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<Vec<Unobserved>, StoreError> {
        let db = self.db().await?;
        let found = db
            .query(
                "SELECT hour, workflow, action, sum(asks)::bigint FROM unobserved
                 WHERE tenant = $1 AND hour >= $2 AND hour < $3
                 GROUP BY hour, workflow, action ORDER BY hour, workflow, action LIMIT $4",
                params![tenant.as_str(), millis(from), millis(to), rows(UNOBSERVED_MAX)],
            )
            .await?;
        Ok(found.iter().map(decoded::unobserved).collect::<Result<_, _>>()?)
    }
}
