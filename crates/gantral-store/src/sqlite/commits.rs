//! Reads in the order of the commits.

use gantral_core::ids::{InstanceId, TenantId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::SqliteStore;
use super::columns::{count, int};
use super::instances::numbers;
use super::writer::Fail;
use crate::columns::envelope;
use crate::commits::{COMMITS_MAX, Commit, Kept};
use crate::decoded;
use crate::error::StoreError;
use crate::governance::NO_INSTANCE;
use crate::page::{FILTER_NAMES_MAX, InstanceFilter};

impl SqliteStore {
    pub(crate) async fn newest_commit(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached("SELECT coalesce(max(number), 0) FROM artifact")?;
            Ok(select.query_row([], |row| count(row, 0))?)
        })
        .await
    }

    pub(crate) async fn sampled(&self, numbers: Vec<u64>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT envelope FROM artifact WHERE number <= ?1 AND instance <> ?2 ORDER BY number DESC LIMIT 1",
            )?;
            let sampled = numbers.into_iter().map(|number| {
                select.query_row(params![int(number), NO_INSTANCE], |row| envelope(row, 0)).optional()
            });
            Ok(sampled.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn commits_within(
        &self,
        tenant: TenantId,
        filter: InstanceFilter,
        (first, last): (u64, u64),
    ) -> Result<Vec<Commit>, StoreError> {
        self.read(move |connection| {
            if filter.teams.as_ref().is_some_and(|teams| teams.len() > FILTER_NAMES_MAX) {
                return Err(Fail::Contradiction("a filter names too many teams"));
            }
            let first = first.max(last.saturating_sub(COMMITS_MAX).saturating_add(1));
            Ok(within(connection, &tenant, &filter, (first, last))?)
        })
        .await
    }

    pub(crate) async fn kept_with(
        &self,
        tenant: TenantId,
        artifacts: Vec<(InstanceId, u64)>,
    ) -> Result<Vec<Vec<Kept>>, StoreError> {
        self.read(move |connection| {
            // What an append keeps stands by the number of its last artifact, and no other append's artifact lies in between.
            let mut select = connection.prepare_cached(
                "SELECT s.commitment, s.label, s.salt, s.plaintext FROM artifact a CROSS JOIN snapshot s ON s.artifact = a.number
                 WHERE a.number = (SELECT min(artifact) FROM snapshot WHERE artifact >= ?1) AND a.tenant = ?2 AND a.instance = ?3
                   AND s.erased_at IS NULL ORDER BY s.commitment",
            )?;
            let mut all = Vec::with_capacity(artifacts.len());
            for (id, number) in artifacts {
                let found = select.query_map(params![int(number), tenant.as_str(), id.as_bytes()], |row| decoded::kept(row))?;
                all.push(found.collect::<rusqlite::Result<_>>()?);
            }
            Ok(all)
        })
        .await
    }

    pub(crate) async fn commit_of(
        &self,
        tenant: TenantId,
        id: InstanceId,
        sequence: u64,
    ) -> Result<Option<u64>, StoreError> {
        self.read(move |connection| {
            let found = numbers(connection, &tenant, id, sequence, 1)?;
            Ok(found.first().and_then(|number| u64::try_from(*number).ok()))
        })
        .await
    }
}

/// Reads the artifacts of instances that fit a filter, from the newest.
fn within(
    connection: &Connection,
    tenant: &TenantId,
    filter: &InstanceFilter,
    (first, last): (u64, u64),
) -> rusqlite::Result<Vec<Commit>> {
    // Instances are looked up for artifacts, and never the other way round.
    let mut sql = String::from(
        "SELECT a.number, a.instance, i.workflow_version, a.sequence, a.hash, a.envelope
         FROM artifact a CROSS JOIN instance i ON i.tenant = a.tenant AND i.id = a.instance
         WHERE a.number BETWEEN ? AND ? AND a.tenant = ?",
    );
    let mut values =
        vec![Value::from(int(first)), Value::from(int(last)), Value::from(tenant.as_str().to_owned())];
    let mut also = |clause: &str, value: Value| {
        sql.push_str(clause);
        values.push(value);
    };
    if let Some(state) = filter.state {
        also(" AND i.state = ?", i64::from(state.0).into());
    }
    if let Some(workflow) = &filter.workflow {
        also(" AND i.workflow = ?", workflow.as_str().to_owned().into());
    }
    if let Some(session) = &filter.session {
        also(" AND i.session = ?", session.as_str().to_owned().into());
    }
    if let Some(teams) = &filter.teams {
        sql.push_str(&format!(" AND i.team IN ({})", vec!["?"; teams.len()].join(", ")));
        values.extend(teams.iter().map(|team| Value::from(team.as_str().to_owned())));
    }
    sql.push_str(" ORDER BY a.number DESC");
    let mut select = connection.prepare_cached(&sql)?;
    select.query_map(params_from_iter(values), |row| decoded::commit(row))?.collect()
}
