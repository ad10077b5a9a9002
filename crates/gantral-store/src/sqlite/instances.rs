//! Reads of instances and their chains.

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TeamId, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::SqliteStore;
use super::columns::{count, instance, int, maybe_instant, millis, rows, text};
use super::writer::Fail;
use crate::append::{SealedArtifact, StateCode};
use crate::decoded::{self, INSTANCE};
use crate::error::StoreError;
use crate::page::{CHAIN_PAGE_MAX, Cursor, FILTER_NAMES_MAX, InstanceFilter, PAGE_MAX, Page};
use crate::rows::{InstanceRow, StoreCounts};

/// The artifacts of instance `?2` of tenant `?1`, from the last one back to sequence `?3`.
pub(super) const CHAIN: &str = "WITH RECURSIVE chain(number, previous, sequence) AS (
    SELECT a.number, a.previous, a.sequence FROM instance i JOIN artifact a ON a.number = i.head_number
      WHERE i.tenant = ?1 AND i.id = ?2
    UNION ALL
    SELECT a.number, a.previous, a.sequence FROM chain c JOIN artifact a ON a.number = c.previous
      WHERE c.sequence > ?3)";

impl SqliteStore {
    pub(crate) async fn instance(
        &self,
        tenant: TenantId,
        id: InstanceId,
    ) -> Result<Option<InstanceRow>, StoreError> {
        self.look(move |connection| {
            let sql = format!("SELECT {INSTANCE} FROM instance WHERE tenant = ?1 AND id = ?2");
            let mut select = connection.prepare_cached(&sql)?;
            Ok(select
                .query_row(params![tenant.as_str(), id.as_bytes()], |row| decoded::instance_row(row))
                .optional()?)
        })
        .await
    }

    pub(crate) async fn chain(
        &self,
        tenant: TenantId,
        id: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<SealedArtifact>, StoreError> {
        self.read(move |connection| {
            let numbers = numbers(connection, &tenant, id, from, limit)?;
            Ok(artifacts(connection, numbers)?)
        })
        .await
    }

    pub(crate) async fn list_instances(
        &self,
        tenant: TenantId,
        filter: InstanceFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<InstanceRow>, StoreError> {
        self.read(move |connection| {
            let limit = limit.clamp(1, PAGE_MAX);
            let mut found = match &filter.teams {
                None => list(connection, &tenant, &filter, None, after, limit)?,
                Some(teams) if teams.len() > FILTER_NAMES_MAX => {
                    return Err(Fail::Contradiction("a filter names too many teams"));
                }
                // One walk of the team index for each team, merged: an `IN` would sort all that match.
                Some(teams) => {
                    let mut found = Vec::new();
                    for team in teams {
                        found.extend(list(connection, &tenant, &filter, Some(team), after, limit)?);
                    }
                    found
                }
            };
            found.sort_by_key(|row| std::cmp::Reverse(row.cursor()));
            found.dedup_by_key(|row| row.id);
            Ok(Page::cut(found, limit, InstanceRow::cursor))
        })
        .await
    }

    pub(crate) async fn find_call(
        &self,
        tenant: TenantId,
        call_key: Digest,
    ) -> Result<Option<InstanceId>, StoreError> {
        self.look(move |connection| Ok(call_holder(connection, &tenant, &call_key)?)).await
    }

    pub(crate) async fn ended_call(
        &self,
        tenant: TenantId,
        call_key: Digest,
        state: StateCode,
    ) -> Result<Option<InstanceId>, StoreError> {
        self.look(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id FROM instance
                 WHERE tenant = ?1 AND call_key = ?2 AND state = ?3 AND open = 0
                 ORDER BY created_at DESC LIMIT 1",
            )?;
            let key = params![tenant.as_str(), call_key.as_bytes(), state.0];
            Ok(select.query_row(key, |row| instance(row, 0)).optional()?)
        })
        .await
    }

    pub(crate) async fn due(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<(TenantId, InstanceId)>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT tenant, id FROM instance WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at LIMIT ?2",
            )?;
            let found = select.query_map(params![millis(now), rows(limit.min(PAGE_MAX))], |row| {
                Ok((text(row, 0, TenantId::parse)?, instance(row, 1)?))
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn counts(&self) -> Result<StoreCounts, StoreError> {
        self.read(|connection| {
            let mut states =
                connection.prepare_cached("SELECT state, count(*) FROM instance GROUP BY state")?;
            let instances = states
                .query_map([], |row| Ok((StateCode(row.get(0)?), count(row, 1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let one = |sql| connection.prepare_cached(sql)?.query_row([], |row| count(row, 0));
            let oldest = |sql| connection.prepare_cached(sql)?.query_row([], |row| maybe_instant(row, 0));
            Ok(StoreCounts {
                instances,
                open_gates: one("SELECT count(*) FROM gate WHERE open = 1")?,
                oldest_gate: oldest("SELECT min(opened_at) FROM gate WHERE open = 1")?,
                tasks: one("SELECT count(*) FROM task")?,
                oldest_task: oldest("SELECT min(ready_at) FROM task")?,
            })
        })
        .await
    }
}

/// Returns the numbers of the artifacts of a chain from sequence `from` on.
pub(super) fn numbers(
    connection: &Connection,
    tenant: &TenantId,
    id: InstanceId,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(&format!(
            "{CHAIN} SELECT number FROM chain WHERE sequence >= ?3 ORDER BY sequence LIMIT ?4"
        ))?
        .query_map(params![tenant.as_str(), id.as_bytes(), int(from), chain_rows(limit)], |row| row.get(0))?
        .collect()
}

/// Returns the integer column for the limit of a page of a chain.
pub(super) fn chain_rows(limit: usize) -> i64 {
    rows(limit.min(CHAIN_PAGE_MAX))
}

/// Reads artifacts one by one. Rows never change, so that this reads the chain as it was when the numbers were found.
pub(super) fn artifacts(connection: &Connection, numbers: Vec<i64>) -> rusqlite::Result<Vec<SealedArtifact>> {
    let mut artifact =
        connection.prepare_cached("SELECT sequence, hash, envelope FROM artifact WHERE number = ?1")?;
    let found =
        numbers.into_iter().map(|number| artifact.query_row([number], |row| decoded::artifact(row, 0)));
    found.collect()
}

/// Returns the open instance that holds a call key.
pub(super) fn call_holder(
    connection: &Connection,
    tenant: &TenantId,
    key: &Digest,
) -> rusqlite::Result<Option<InstanceId>> {
    connection
        .prepare_cached("SELECT id FROM instance WHERE tenant = ?1 AND call_key = ?2 AND open = 1")?
        .query_row(params![tenant.as_str(), key.as_bytes()], |row| instance(row, 0))
        .optional()
}

/// Reads one row more than `limit`, of one team or of any, from the newest.
fn list(
    connection: &Connection,
    tenant: &TenantId,
    filter: &InstanceFilter,
    team: Option<&TeamId>,
    after: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<InstanceRow>> {
    let mut sql = format!("SELECT {INSTANCE} FROM instance WHERE tenant = ?");
    let mut values = vec![Value::from(tenant.as_str().to_owned())];
    let mut also = |clause: &str, value: Value| {
        sql.push_str(clause);
        values.push(value);
    };
    if let Some(state) = filter.state {
        also(" AND state = ?", i64::from(state.0).into());
    }
    if let Some(team) = team {
        also(" AND team = ?", team.as_str().to_owned().into());
    }
    if let Some(workflow) = &filter.workflow {
        also(" AND workflow = ?", workflow.as_str().to_owned().into());
    }
    if let Some(session) = &filter.session {
        also(" AND session = ?", session.as_str().to_owned().into());
    }
    if let Some(after) = after {
        also(" AND (created_at, id) < (?", millis(after.at).into());
        also(", ?)", after.id.to_vec().into());
    }
    also(" ORDER BY created_at DESC, id DESC LIMIT ?", rows(limit.saturating_add(1)).into());
    let mut select = connection.prepare_cached(&sql)?;
    select.query_map(params_from_iter(values), |row| decoded::instance_row(row))?.collect()
}
