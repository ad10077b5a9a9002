//! Reads of instances and their chains.

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TeamId, TenantId};
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{count, get, instance, int, maybe_instant, millis, rows, small, text};
use super::db::{Db, Query, params};
use super::reads::Reads;
use super::writer::Fail;
use crate::append::{SealedArtifact, StateCode};
use crate::decoded::{self, INSTANCE};
use crate::error::StoreError;
use crate::page::{CHAIN_PAGE_MAX, Cursor, FILTER_NAMES_MAX, InstanceFilter, PAGE_MAX, Page};
use crate::rows::{InstanceRow, StoreCounts};

/// Reads instances by their keys.
pub(super) fn reads() -> Reads<InstanceRow> {
    let row = format!("SELECT {INSTANCE} FROM instance WHERE tenant = n.tenant AND id = n.key");
    Reads::new(&row, decoded::instance_row)
}

impl PostgresStore {
    pub(crate) async fn instance(
        &self,
        tenant: TenantId,
        id: InstanceId,
    ) -> Result<Option<InstanceRow>, StoreError> {
        self.one(|inner| &inner.instances, tenant, *id.as_bytes()).await
    }

    pub(crate) async fn chain(
        &self,
        tenant: TenantId,
        id: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<SealedArtifact>, StoreError> {
        let db = self.db().await?;
        Ok(chain(&db, &tenant, id.as_bytes(), from, limit).await?)
    }

    pub(crate) async fn list_instances(
        &self,
        tenant: TenantId,
        filter: InstanceFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<InstanceRow>, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let db = self.db().await?;
        let mut found = match &filter.teams {
            None => list(&db, &tenant, &filter, None, after, limit).await?,
            Some(teams) if teams.len() > FILTER_NAMES_MAX => {
                return Err(Fail::Contradiction("a filter names too many teams").into());
            }
            // One walk of the team index for each team, merged: an `IN` would sort all that match.
            Some(teams) => {
                let mut found = Vec::new();
                for team in teams {
                    found.extend(list(&db, &tenant, &filter, Some(team), after, limit).await?);
                }
                found
            }
        };
        found.sort_by_key(|row| std::cmp::Reverse(row.cursor()));
        found.dedup_by_key(|row| row.id);
        Ok(Page::cut(found, limit, InstanceRow::cursor))
    }

    pub(crate) async fn find_call(
        &self,
        tenant: TenantId,
        call_key: Digest,
    ) -> Result<Option<InstanceId>, StoreError> {
        let db = self.db().await?;
        Ok(call_holder(&db, &tenant, &call_key).await?)
    }

    pub(crate) async fn ended_call(
        &self,
        tenant: TenantId,
        call_key: Digest,
        state: StateCode,
    ) -> Result<Option<InstanceId>, StoreError> {
        let db = self.db().await?;
        let found = db
            .first(
                "SELECT id FROM instance
                 WHERE tenant = $1 AND call_key = $2 AND state = $3 AND NOT open
                 ORDER BY created_at DESC LIMIT 1",
                params![tenant.as_str(), call_key.as_bytes().as_slice(), i64::from(state.0)],
            )
            .await?;
        Ok(found.map(|row| instance(&row, 0)).transpose()?)
    }

    pub(crate) async fn due(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<(TenantId, InstanceId)>, StoreError> {
        let db = self.db().await?;
        let found = db
            .query(
                "SELECT tenant, id FROM instance WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2",
                params![millis(now), rows(limit.min(PAGE_MAX))],
            )
            .await?;
        let due = |row| Ok((text(row, 0, TenantId::parse)?, instance(row, 1)?));
        Ok(found.iter().map(due).collect::<Result<_, Fail>>()?)
    }

    pub(crate) async fn counts(&self) -> Result<StoreCounts, StoreError> {
        let db = self.db().await?;
        let states =
            db.query("SELECT state, count(*) FROM instance GROUP BY state ORDER BY state", &[]).await?;
        let state = |row| Ok((StateCode(small(row, 0)?), count(row, 1)?));
        let instances = states.iter().map(state).collect::<Result<_, Fail>>()?;
        let rest = db
            .first(
                "SELECT (SELECT count(*) FROM gate WHERE open), (SELECT min(opened_at) FROM gate WHERE open),
                   (SELECT count(*) FROM task), (SELECT min(ready_at) FROM task)",
                &[],
            )
            .await?
            .ok_or(Fail::Contradiction("a count has no answer"))?;
        Ok(StoreCounts {
            instances,
            open_gates: count(&rest, 0)?,
            oldest_gate: maybe_instant(&rest, 1)?,
            tasks: count(&rest, 2)?,
            oldest_task: maybe_instant(&rest, 3)?,
        })
    }
}

/// Returns the numbers of the artifacts of a chain from sequence `from` on.
pub(super) async fn numbers(
    db: &Db,
    tenant: &TenantId,
    chain: &[u8; 16],
    from: u64,
    limit: usize,
) -> Result<Vec<i64>, Fail> {
    let found = db
        .query(
            "SELECT number FROM artifact WHERE tenant = $1 AND instance = $2 AND sequence >= $3
             ORDER BY sequence LIMIT $4",
            params![tenant.as_str(), chain.as_slice(), int(from), rows(limit.min(CHAIN_PAGE_MAX))],
        )
        .await?;
    found.iter().map(|row| get(row, 0)).collect()
}

/// Returns the artifacts of a chain from sequence `from` on.
pub(super) async fn chain(
    db: &Db,
    tenant: &TenantId,
    chain: &[u8; 16],
    from: u64,
    limit: usize,
) -> Result<Vec<SealedArtifact>, Fail> {
    let found = db
        .query(
            "SELECT sequence, hash, envelope FROM artifact WHERE tenant = $1 AND instance = $2 AND sequence >= $3
             ORDER BY sequence LIMIT $4",
            params![tenant.as_str(), chain.as_slice(), int(from), rows(limit.min(CHAIN_PAGE_MAX))],
        )
        .await?;
    found.iter().map(|row| decoded::artifact(row, 0)).collect()
}

/// Returns the open instance that holds a call key.
pub(super) async fn call_holder(
    db: &Db,
    tenant: &TenantId,
    key: &Digest,
) -> Result<Option<InstanceId>, Fail> {
    let found = db
        .first(
            "SELECT id FROM instance WHERE tenant = $1 AND call_key = $2 AND open",
            params![tenant.as_str(), key.as_bytes().as_slice()],
        )
        .await?;
    found.map(|row| instance(&row, 0)).transpose()
}

/// Reads one row more than `limit`, of one team or of any, from the newest.
async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &InstanceFilter,
    team: Option<&TeamId>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<InstanceRow>, Fail> {
    let mut query =
        Query::new(format!("SELECT {INSTANCE} FROM instance WHERE tenant = "), tenant.to_string());
    if let Some(state) = filter.state {
        query.also(" AND state = ", i64::from(state.0));
    }
    if let Some(team) = team {
        query.also(" AND team = ", team.to_string());
    }
    if let Some(workflow) = &filter.workflow {
        query.also(" AND workflow = ", workflow.to_string());
    }
    if let Some(session) = &filter.session {
        query.also(" AND session = ", session.to_string());
    }
    if let Some(after) = after {
        query.also(" AND (created_at, id) < (", millis(after.at)).also(", ", after.id.to_vec()).text(")");
    }
    query.also(" ORDER BY created_at DESC, id DESC LIMIT ", rows(limit.saturating_add(1)));
    query.run(db).await?.iter().map(decoded::instance_row).collect()
}
