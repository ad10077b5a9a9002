//! Committed artifacts in the order of their commits. A row that cannot be read stands beside those that can, as long as it says
//! whose it is: it is a matter of its tenant's log.

use gantral_core::ids::TenantId;
use rusqlite::{Params, Statement, params};

use super::super::SqliteStore;
use super::super::columns::{count, int, rows, text};
use crate::decoded;
use crate::error::StoreError;
use crate::log::{CommittedArtifact, CommittedPage, LOG_PAGE_BYTES_MAX, LOG_PAGE_MAX};

/// The columns that [`decoded::committed`] reads, of the rows that a condition on `a` follows.
const COMMITTED: &str =
    "SELECT a.number, p.number, a.tenant, a.instance, a.sequence, a.hash, a.terminal, a.signer,
       CASE WHEN a.terminal IS NULL THEN a.envelope END
     FROM artifact a LEFT JOIN artifact p ON p.number = a.previous
       AND p.tenant = a.tenant AND p.instance = a.instance AND p.sequence = a.sequence - 1
     WHERE a.number";

impl SqliteStore {
    pub(crate) async fn committed(&self, after: u64, limit: usize) -> Result<CommittedPage, StoreError> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached(&format!("{COMMITTED} > ?1 ORDER BY a.number LIMIT ?2"))?;
            let (page, _) = page(&mut select, params![int(after), limited(limit)], after)?;
            Ok(page)
        })
        .await
    }

    pub(crate) async fn committed_of(
        &self,
        tenant: TenantId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> Result<CommittedPage, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "{COMMITTED} BETWEEN ?1 AND ?2 AND a.tenant = ?3 ORDER BY a.number LIMIT ?4"
            ))?;
            let limit = limited(limit);
            let parameters = params![int(from), int(through), tenant.as_str(), limit];
            let (mut page, is_cut) = page(&mut select, parameters, from.saturating_sub(1))?;
            if !is_cut && rows(page.rows()) < limit {
                page.through = through;
            }
            Ok(page)
        })
        .await
    }
}

/// Returns the number of rows to ask for.
fn limited(limit: usize) -> i64 {
    rows(limit.min(LOG_PAGE_MAX))
}

/// Reads a page that begins after a number, and tells whether it was cut for its bytes.
fn page(
    select: &mut Statement<'_>,
    parameters: impl Params,
    after: u64,
) -> rusqlite::Result<(CommittedPage, bool)> {
    let mut page = CommittedPage::after(after);
    let mut bytes = 0usize;
    let mut found = select.query(parameters)?;
    while let Some(row) = found.next()? {
        let (number, tenant) = (count(row, 0)?, text(row, 2, TenantId::parse)?);
        let artifact = decoded::committed(row, number, &tenant);
        bytes = bytes.saturating_add(artifact.as_ref().map_or(0, CommittedArtifact::bytes));
        page.push(number, tenant, artifact);
        if bytes >= LOG_PAGE_BYTES_MAX {
            return Ok((page, true));
        }
    }
    Ok((page, false))
}
