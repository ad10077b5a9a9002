//! What the logs consist of, for servers that share no folder; and what of them a server follows that lets none grow.
//!
//! Whoever writes names its claim to the logs, and holds the row of the sequencer, shared, until that is committed: a claim that is newer
//! waits for it, and what comes after that claim is refused. So a sequencer that has been passed by writes nothing any more.

use gantral_core::digest::Digest;
use gantral_core::ids::{LogOrigin, TenantId};

use super::PostgresStore;
use super::columns::{count, digest, get, int, small, text};
use super::db::{Db, params};
use super::writer::{After, Fail};
use crate::columns::maybe;
use crate::decoded;
use crate::error::StoreError;
use crate::log::{FollowedLog, LogRow};

impl PostgresStore {
    /// Returns one object of a log, if there is one of this name.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn log_object(&self, log: &LogOrigin, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.db().await?;
        let sql = "SELECT bytes FROM log_object WHERE log = $1 AND name = $2";
        let found = db.first(sql, params![log.as_str(), name]).await?;
        Ok(found.map(|row| get(&row, 0)).transpose()?)
    }

    /// Writes objects of a log, all of them or none, over those of the same names. Returns false, and writes nothing, when the logs were
    /// claimed after `fence`.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn put_log_objects(
        &self,
        fence: u64,
        log: &LogOrigin,
        objects: Vec<(String, Vec<u8>)>,
    ) -> Result<bool, StoreError> {
        self.write((fence, log.clone(), objects), |(fence, log, objects), db, after| {
            Box::pin(async move {
                if !may_write(db, *fence, after).await? {
                    return Ok(false);
                }
                let (names, bytes): (Vec<&str>, Vec<&[u8]>) =
                    objects.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).unzip();
                db.execute(
                    "INSERT INTO log_object(log, name, bytes)
                     SELECT $1, name, bytes FROM unnest($2::text[], $3::bytea[]) AS object(name, bytes)
                     ON CONFLICT(log, name) DO UPDATE SET bytes = excluded.bytes",
                    params![log.as_str(), names, bytes],
                )
                .await?;
                Ok(true)
            })
        })
        .await
    }

    /// Removes the objects of a log whose names begin with `folder` and a slash. Returns false, and removes nothing, when the logs were
    /// claimed after `fence`.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn remove_log_objects(
        &self,
        fence: u64,
        log: &LogOrigin,
        folder: &str,
    ) -> Result<bool, StoreError> {
        self.write((fence, log.clone(), folder.to_owned()), |(fence, log, folder), db, after| {
            Box::pin(async move {
                if !may_write(db, *fence, after).await? {
                    return Ok(false);
                }
                // `0` is what follows the slash: the names between them are those that begin with it.
                db.execute(
                    "DELETE FROM log_object WHERE log = $1 AND name >= $2 || '/' AND name < $2 || '0'",
                    params![log.as_str(), folder],
                )
                .await?;
                Ok(true)
            })
        })
        .await
    }

    /// Returns how far the logs of these tenants are and who has cosigned them, as far as it can be read: what cannot is left out, and is
    /// said where the logs are let grow. `witnesses` is how many there are.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn followed_logs(
        &self,
        tenants: &[TenantId],
        witnesses: u8,
    ) -> Result<Vec<FollowedLog>, StoreError> {
        let db = self.db().await?;
        let names: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
        let found = db
            .query(
                "SELECT l.tenant, l.size, l.root, l.checkpoint, h.number, of.tenant
                 FROM unnest($1::text[]) AS of(tenant) LEFT JOIN log l ON l.tenant = of.tenant
                   LEFT JOIN log_held h ON h.tenant = of.tenant
                 WHERE l.tenant IS NOT NULL OR h.tenant IS NOT NULL",
                params![names],
            )
            .await?;
        let mut logs = Vec::with_capacity(found.len());
        for row in &found {
            let tenant = text(row, 5, TenantId::parse)?;
            let held = maybe(row, 4, count)?;
            // A row that cannot be read is a matter of its own log.
            let newest: Option<LogRow> = decoded::log(row).ok();
            logs.push(FollowedLog { tenant, newest, held, cosigned: Vec::new() });
        }
        let found = db
            .query(
                "SELECT of.tenant, number.witnesses, k.size, k.root
                 FROM unnest($1::text[]) AS of(tenant) CROSS JOIN generate_series(1::bigint, $2::bigint) AS number(witnesses)
                   CROSS JOIN LATERAL (SELECT size, root FROM log_cosigned c
                     WHERE c.tenant = of.tenant AND c.witnesses = number.witnesses ORDER BY c.size DESC LIMIT 1) k",
                params![names, i64::from(witnesses)],
            )
            .await?;
        for row in &found {
            let tenant: TenantId = text(row, 0, TenantId::parse)?;
            let tree: (u64, Digest) = (count(row, 2)?, digest(row, 3)?);
            if let Some(log) = logs.iter_mut().find(|log| log.tenant == tenant) {
                log.cosigned.push((small(row, 1)?, tree));
            }
        }
        Ok(logs)
    }
}

/// Tells whether nobody has claimed the logs since, and lets nobody until the transaction ends.
async fn may_write(db: &Db, fence: u64, after: &mut After) -> Result<bool, Fail> {
    let sql = "SELECT 1 FROM sequencer WHERE fence = $1 FOR SHARE";
    let may = db.exists(sql, params![int(fence)]).await?;
    after.forgets = !may;
    Ok(may)
}
