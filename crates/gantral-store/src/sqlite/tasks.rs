//! Runner tasks and leases.

use gantral_core::ids::{ActorId, AttemptNo, InstanceId, Name, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;
use rusqlite::{OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{int, json, millis, rows, text};
use crate::append::{Head, StateCode};
use crate::changes::Change;
use crate::decoded::{self, LEASE, TASK};
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
            let mut select = connection.prepare_cached(&format!(
                "SELECT {TASK} FROM task t
                 WHERE t.tenant = ?1 AND t.queue = ?2 AND t.ready_at <= ?3
                   AND NOT EXISTS(SELECT 1 FROM lease l WHERE l.tenant = t.tenant AND l.instance = t.instance
                                  AND l.ended = 0 AND l.until > ?3)
                   AND t.team IN (SELECT value FROM json_each(?4)) AND (t.released OR NOT ?7)
                   AND NOT EXISTS(SELECT 1 FROM instance i JOIN json_each(?5) f ON f.value = i.workflow
                                  WHERE i.tenant = t.tenant AND i.id = t.instance)
                 ORDER BY t.ready_at, t.instance LIMIT ?6"
            ))?;
            let limit = rows(limit.min(PAGE_MAX));
            let values =
                params![tenant.as_str(), queue.as_str(), millis(now), teams, without, limit, filter.released];
            let found = select.query_map(values, |row| decoded::task(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn task(&self, tenant: TenantId, id: InstanceId) -> Result<Option<TaskRow>, StoreError> {
        self.look(move |connection| {
            let sql = format!("SELECT {TASK} FROM task t WHERE t.tenant = ?1 AND t.instance = ?2");
            let mut select = connection.prepare_cached(&sql)?;
            let key = params![tenant.as_str(), id.as_bytes()];
            Ok(select.query_row(key, |row| decoded::task(row)).optional()?)
        })
        .await
    }

    pub(crate) async fn release_task(
        &self,
        tenant: TenantId,
        id: InstanceId,
        head: Head,
    ) -> Result<bool, StoreError> {
        self.write(move |connection, after| {
            let key = params![tenant.as_str(), id.as_bytes(), int(head.sequence), head.hash.as_bytes()];
            let found = connection
                .prepare_cached(
                    "SELECT state, team, workflow FROM instance
                     WHERE tenant = ?1 AND id = ?2 AND head_sequence = ?3 AND head_hash = ?4",
                )?
                .query_row(key, |row| {
                    let (team, workflow) = (text(row, 1, TeamId::parse)?, text(row, 2, WorkflowId::parse)?);
                    Ok((StateCode(row.get(0)?), team, workflow))
                })
                .optional()?;
            let Some((state, team, workflow)) = found else { return Ok(false) };
            let queue = connection
                .prepare_cached(
                    "UPDATE task SET released = 1 WHERE tenant = ?1 AND instance = ?2 RETURNING queue",
                )?
                .query_row(params![tenant.as_str(), id.as_bytes()], |row| text(row, 0, Name::parse))
                .optional()?;
            if let Some(queue) = queue {
                let first = head.sequence.saturating_add(1);
                let (tenant, queue) = (tenant.clone(), Some(queue));
                after.changes.push(Change {
                    tenant,
                    instance: id,
                    team,
                    workflow,
                    first,
                    head,
                    state,
                    queue,
                });
            }
            Ok(true)
        })
        .await
    }

    pub(crate) async fn lease(
        &self,
        tenant: TenantId,
        id: InstanceId,
    ) -> Result<Option<LeaseRow>, StoreError> {
        self.look(move |connection| {
            let mut select = connection
                .prepare_cached(&format!("SELECT {LEASE} FROM lease WHERE tenant = ?1 AND instance = ?2"))?;
            Ok(select
                .query_row(params![tenant.as_str(), id.as_bytes()], |row| decoded::lease(row))
                .optional()?)
        })
        .await
    }

    pub(crate) async fn expired_leases(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<LeaseRow>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {LEASE} FROM lease WHERE ended = 0 AND until <= ?1 ORDER BY until LIMIT ?2"
            ))?;
            let found = select
                .query_map(params![millis(now), rows(limit.min(PAGE_MAX))], |row| decoded::lease(row))?;
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
