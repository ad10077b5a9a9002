//! Content of instances that ended long ago.

use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{count, get, int, millis, rows};
use super::db::params;
use super::usage;
use crate::append::Head;
use crate::decoded::{self, INSTANCE};
use crate::error::StoreError;
use crate::page::Cursor;
use crate::retention::{ContentErased, EndedPage, page};
use crate::usage::Delta;

impl PostgresStore {
    pub(crate) async fn ended_before(
        &self,
        tenant: TenantId,
        created_before: UnixMillis,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<EndedPage, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {INSTANCE}, NOT open AND NOT EXISTS
               (SELECT 1 FROM content_erased e WHERE e.tenant = i.tenant AND e.instance = i.id)
             FROM instance i WHERE tenant = $1 AND created_at < $2 AND (created_at, id) > ($3, $4)
             ORDER BY created_at, id LIMIT $5"
        );
        let (at, id) = after.map_or((-1, [0; 16]), |after| (millis(after.at), after.id));
        let found = db
            .query(&sql, params![tenant.as_str(), millis(created_before), at, id.as_slice(), rows(limit)])
            .await?;
        let read = |row: &tokio_postgres::Row| Ok((decoded::instance_row(row)?, get(row, 15)?));
        let found = found.iter().map(read).collect::<Result<Vec<_>, super::writer::Fail>>()?;
        Ok(page(found, limit))
    }

    pub(crate) async fn erase_content(
        &self,
        tenant: TenantId,
        id: InstanceId,
        head: Head,
        at: UnixMillis,
    ) -> Result<Option<ContentErased>, StoreError> {
        self.write((tenant, id, head, at), |(tenant, id, head, at), db, after| {
            Box::pin(async move {
                // The row of the instance is held, so that two servers do not count it twice.
                let (key, instance) = (tenant.as_str(), id.as_bytes().as_slice());
                let held = db
                    .first(
                        "SELECT 1::bigint FROM instance WHERE tenant = $1 AND id = $2 AND head_sequence = $3 AND head_hash = $4
                           AND NOT open FOR NO KEY UPDATE",
                        params![key, instance, int(head.sequence), head.hash.as_bytes().as_slice()],
                    )
                    .await?;
                // A statement of its own: it sees what was committed before the row was had.
                let noted = db
                    .first(
                        "SELECT 1::bigint FROM content_erased WHERE tenant = $1 AND instance = $2",
                        params![key, instance],
                    )
                    .await?;
                if held.is_none() || noted.is_some() {
                    after.forgets = true;
                    return Ok(None);
                }
                let erased = db
                    .first(
                        "WITH kept AS (SELECT s.artifact, s.commitment, octet_length(s.plaintext)::bigint AS bytes
                             FROM artifact a JOIN snapshot s ON s.artifact = a.number
                             WHERE a.tenant = $1 AND a.instance = $2 AND s.erased_at IS NULL FOR UPDATE OF s),
                           gone AS (UPDATE snapshot s SET salt = NULL, plaintext = NULL, erased_at = $3 FROM kept
                             WHERE s.artifact = kept.artifact AND s.commitment = kept.commitment RETURNING kept.bytes)
                         SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM gone",
                        params![key, instance, millis(*at)],
                    )
                    .await?;
                let erased = match &erased {
                    Some(row) => ContentErased { snapshots: count(row, 0)?, bytes: count(row, 1)? },
                    None => ContentErased::default(),
                };
                db.execute(
                    "INSERT INTO content_erased(tenant, instance, erased_at) VALUES($1, $2, $3)",
                    params![key, instance, millis(*at)],
                )
                .await?;
                usage::count(db, tenant, Delta::erased(int(erased.bytes))).await?;
                Ok(Some(erased))
            })
        })
        .await
    }
}
