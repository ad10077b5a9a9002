//! Requests that were committed before, by their keys.

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{digest, int, millis, rows};
use super::db::{Db, params};
use super::writer::Fail;
use crate::append::{Append, Head, IdempotencyLookup, IdempotencyRow, IdempotencyScope};
use crate::decoded;
use crate::error::StoreError;
use crate::page::PAGE_MAX;

impl PostgresStore {
    pub(crate) async fn lookup_idempotency(
        &self,
        tenant: TenantId,
        scope: IdempotencyScope,
        body: Digest,
        now: UnixMillis,
    ) -> Result<IdempotencyLookup, StoreError> {
        let db = self.db().await?;
        Ok(lookup(&db, &tenant, &scope, &body, now).await?)
    }

    pub(crate) async fn forget_idempotency(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.write((now, limit), |(now, limit), db, _| {
            Box::pin(async move {
                let forgotten = db
                    .execute(
                        "DELETE FROM idempotency WHERE expires_at <= $1 AND number IN
                           (SELECT number FROM idempotency ORDER BY number LIMIT $2)",
                        params![millis(*now), rows((*limit).min(PAGE_MAX))],
                    )
                    .await?;
                Ok(usize::try_from(forgotten).unwrap_or(usize::MAX))
            })
        })
        .await
    }
}

/// Looks a key up; a row that expired by `now` does not count.
pub(super) async fn lookup(
    db: &Db,
    tenant: &TenantId,
    scope: &IdempotencyScope,
    body: &Digest,
    now: UnixMillis,
) -> Result<IdempotencyLookup, Fail> {
    let found = db
        .first(
            "SELECT body, instance, first_sequence, last_sequence, status, answer FROM idempotency
             WHERE scope = $1 AND expires_at > $2",
            params![scope.digest(tenant).as_bytes().as_slice(), millis(now)],
        )
        .await?;
    let found = match &found {
        None => None,
        Some(row) => Some((digest(row, 0)?, decoded::answer(row, 1)?)),
    };
    Ok(IdempotencyLookup::of(found, body))
}

/// Writes the row of a request, in place of one that has expired. Waits for a twin that is not committed yet; where that one commits, this
/// request begins anew, and is answered as the other was.
pub(super) async fn remember(db: &Db, append: &Append, row: &IdempotencyRow, head: Head) -> Result<(), Fail> {
    let scope = row.scope.digest(&append.tenant);
    let scope = scope.as_bytes().as_slice();
    db.row(
        "DELETE FROM idempotency i USING unnest($1::bytea[], $2::bigint[]) AS n(scope, now)
         WHERE i.scope = n.scope AND i.expires_at <= n.now",
        params![scope, millis(row.now)],
    )
    .await?;
    db.row_or(
        "INSERT INTO idempotency(scope, body, instance, first_sequence, last_sequence, status, answer, expires_at)
         SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[],
           $8::bigint[])
         ON CONFLICT DO NOTHING",
        params![
            scope,
            row.body.as_bytes().as_slice(),
            append.instance.as_bytes().as_slice(),
            int(append.first(head)),
            int(head.sequence),
            i64::from(row.status),
            row.answer,
            millis(row.expires_at),
        ],
        Fail::Again,
    )
    .await
}
