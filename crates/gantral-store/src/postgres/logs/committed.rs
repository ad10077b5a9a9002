//! Committed artifacts in the order of their numbers, up to the horizon ([`numbers`]): behind what is read here nothing comes any more.
//! A row that cannot be read stands beside those that can, as long as it says whose it is: it is a matter of its tenant's log.

use gantral_core::ids::TenantId;
use tokio_postgres::Row;

use super::super::columns::{count, int, rows, text};
use super::super::db::params;
use super::super::writer::Fail;
use super::super::{PostgresStore, numbers};
use crate::decoded;
use crate::error::StoreError;
use crate::log::{CommittedPage, LOG_PAGE_MAX};

/// The columns that [`decoded::committed`] reads, of the rows that a condition on `a` follows.
const COMMITTED: &str =
    "SELECT a.number, p.number, a.tenant, a.instance, a.sequence, a.hash, a.terminal, a.signer
     FROM artifact a LEFT JOIN artifact p ON p.number = a.previous
       AND p.tenant = a.tenant AND p.instance = a.instance AND p.sequence = a.sequence - 1
     WHERE a.number";

impl PostgresStore {
    pub(crate) async fn committed(&self, after: u64, limit: usize) -> Result<CommittedPage, StoreError> {
        let db = self.db().await?;
        let horizon = numbers::horizon(&db).await?;
        let sql = format!("{COMMITTED} > $1 AND a.number <= $2 ORDER BY a.number LIMIT $3");
        let found = db.query(&sql, params![int(after), int(horizon), limited(limit)]).await?;
        Ok(page(&found, after)?)
    }

    pub(crate) async fn committed_of(
        &self,
        tenant: TenantId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> Result<CommittedPage, StoreError> {
        let db = self.db().await?;
        let through = through.min(numbers::horizon(&db).await?);
        let sql = format!("{COMMITTED} BETWEEN $1 AND $2 AND a.tenant = $3 ORDER BY a.number LIMIT $4");
        let limit = limited(limit);
        let found = db.query(&sql, params![int(from), int(through), tenant.as_str(), limit]).await?;
        let mut page = page(&found, from.saturating_sub(1))?;
        if rows(page.rows()) < limit {
            page.through = page.through.max(through);
        }
        Ok(page)
    }
}

/// Returns the number of rows to ask for. No row brings its envelope, so that so many are never large.
fn limited(limit: usize) -> i64 {
    rows(limit.min(LOG_PAGE_MAX))
}

/// Reads a page that begins after a number.
fn page(found: &[Row], after: u64) -> Result<CommittedPage, Fail> {
    let mut page = CommittedPage::after(after);
    for row in found {
        let (number, tenant) = (count(row, 0)?, text(row, 2, TenantId::parse)?);
        let artifact =
            decoded::committed(row, number, &tenant).map_err(|fail| StoreError::from(fail).to_string());
        page.push(number, tenant, artifact);
    }
    Ok(page)
}
