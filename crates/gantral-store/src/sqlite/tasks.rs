//! Runner tasks and leases.

use gantral_core::ids::{ActorId, AttemptNo, InstanceId, Name, TeamId, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::columns::{attempt, instance, instant, json, millis, name, rows, text};
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::rows::{LeaseRow, TaskFilter, TaskRow};

impl SqliteStore {
    pub(crate) async fn ready_tasks(
        &self,
        tenant: TenantId,
        queue: Name,
        filter: TaskFilter,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        self.read(move |connection| {
            let (teams, without) = (json(&filter.teams), json(&filter.without));
            let mut select = connection.prepare_cached(
                "SELECT t.instance, t.queue, t.team, t.ready_at FROM task t
                 WHERE t.tenant = ?1 AND t.queue = ?2 AND t.ready_at <= ?3
                   AND NOT EXISTS(SELECT 1 FROM lease l WHERE l.tenant = t.tenant AND l.instance = t.instance
                                  AND l.ended = 0 AND l.until > ?3)
                   AND t.team IN (SELECT value FROM json_each(?4))
                   AND NOT EXISTS(SELECT 1 FROM instance i JOIN json_each(?5) f ON f.value = i.workflow
                                  WHERE i.tenant = t.tenant AND i.id = t.instance)
                 ORDER BY t.ready_at, t.instance LIMIT ?6",
            )?;
            let limit = rows(limit.min(PAGE_MAX));
            let values = params![tenant.as_str(), queue.as_str(), millis(now), teams, without, limit];
            let found = select.query_map(values, |row| {
                Ok(TaskRow {
                    instance: instance(row, 0)?,
                    queue: name(row, 1)?,
                    team: text(row, 2, TeamId::parse)?,
                    ready_at: instant(row, 3)?,
                })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn lease(
        &self,
        tenant: TenantId,
        id: InstanceId,
    ) -> Result<Option<LeaseRow>, StoreError> {
        self.look(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT tenant, instance, attempt, executor, until, ended FROM lease
                 WHERE tenant = ?1 AND instance = ?2",
            )?;
            Ok(select.query_row(params![tenant.as_str(), id.as_bytes()], lease_row).optional()?)
        })
        .await
    }

    pub(crate) async fn expired_leases(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<LeaseRow>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT tenant, instance, attempt, executor, until, ended FROM lease
                 WHERE ended = 0 AND until <= ?1 ORDER BY until LIMIT ?2",
            )?;
            let found = select.query_map(params![millis(now), rows(limit.min(PAGE_MAX))], lease_row)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn renew_lease(
        &self,
        tenant: TenantId,
        id: InstanceId,
        attempt: AttemptNo,
        executor: ActorId,
        (now, until): (UnixMillis, UnixMillis),
    ) -> Result<bool, StoreError> {
        self.write(move |connection, _| {
            let changed = connection
                .prepare_cached(
                    "UPDATE lease SET until = max(until, ?6)
                     WHERE tenant = ?1 AND instance = ?2 AND attempt = ?3 AND executor = ?4
                       AND ended = 0 AND until > ?5",
                )?
                .execute(params![
                    tenant.as_str(),
                    id.as_bytes(),
                    attempt.0,
                    executor.as_str(),
                    millis(now),
                    millis(until),
                ])?;
            Ok(changed == 1)
        })
        .await
    }
}

fn lease_row(row: &Row<'_>) -> rusqlite::Result<LeaseRow> {
    Ok(LeaseRow {
        tenant: text(row, 0, TenantId::parse)?,
        instance: instance(row, 1)?,
        attempt: attempt(row, 2)?,
        executor: text(row, 3, ActorId::parse)?,
        until: instant(row, 4)?,
        ended: row.get(5)?,
    })
}
