//! What is the same for all servers upon this database: what time it is, by which keys they sign, and whether they may write.

use gantral_core::time::UnixMillis;
use tokio_postgres::Row;

use super::PostgresStore;
use super::columns::{array, instant};
use super::db::params;
use crate::columns::Cells as _;
use crate::error::StoreError;
use crate::serving::ServingKeys;

impl PostgresStore {
    pub(crate) async fn clock(&self) -> Result<UnixMillis, StoreError> {
        let db = self.db().await?;
        let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = db.first(sql, params![]).await?.ok_or_else(|| Row::damage(0, "there is no time"))?;
        Ok(instant(&row, 0)?)
    }

    pub(crate) async fn serving_keys(&self) -> Result<Option<ServingKeys>, StoreError> {
        let db = self.db().await?;
        let found = db.first("SELECT issuer, log, attempts FROM serving", params![]).await?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(ServingKeys {
            issuer: array(&row, 0)?,
            log: array(&row, 1)?,
            attempts: row.str(2)?.to_owned(),
        }))
    }

    pub(crate) async fn behind(&self) -> Result<Option<String>, StoreError> {
        let db = self.db().await?;
        let found = db.first("SELECT behind FROM serving WHERE behind IS NOT NULL", params![]).await?;
        Ok(found.map(|row| row.str(0).map(str::to_owned)).transpose()?)
    }

    pub(crate) async fn fall_behind(&self, why: String) -> Result<(), StoreError> {
        self.write(why, |why, db, _| {
            Box::pin(async move {
                // The first reason stays.
                db.execute("UPDATE serving SET behind = $1 WHERE behind IS NULL", params![why])
                    .await
                    .map(drop)
            })
        })
        .await
    }

    pub(crate) async fn serve_by(
        &self,
        instead_of: Option<ServingKeys>,
        keys: ServingKeys,
    ) -> Result<bool, StoreError> {
        self.write((instead_of, keys), |(instead_of, keys), db, _| {
            Box::pin(async move {
                let (issuer, log) = (keys.issuer.as_slice(), keys.log.as_slice());
                // Of two servers at once the second waits for the first, and finds its row.
                let written = match instead_of {
                    None => {
                        db.execute(
                            "INSERT INTO serving(one, issuer, log, attempts) VALUES(true, $1, $2, $3) ON CONFLICT DO NOTHING",
                            params![issuer, log, keys.attempts],
                        )
                        .await?
                    }
                    Some(before) => {
                        db.execute(
                            "UPDATE serving SET issuer = $1, log = $2, attempts = $3
                             WHERE issuer = $4 AND log = $5 AND attempts = $6",
                            params![
                                issuer,
                                log,
                                keys.attempts,
                                before.issuer.as_slice(),
                                before.log.as_slice(),
                                before.attempts
                            ],
                        )
                        .await?
                    }
                };
                Ok(written == 1)
            })
        })
        .await
    }
}
