//! Runner tasks and leases.

use gantral_core::ids::{ActorId, AttemptNo, InstanceId, Name, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{json, millis, rows};
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
                   AND t.team IN (SELECT value FROM json_each(?4))
                   AND NOT EXISTS(SELECT 1 FROM instance i JOIN json_each(?5) f ON f.value = i.workflow
                                  WHERE i.tenant = t.tenant AND i.id = t.instance)
                 ORDER BY t.ready_at, t.instance LIMIT ?6"
            ))?;
            let limit = rows(limit.min(PAGE_MAX));
            let values = params![tenant.as_str(), queue.as_str(), millis(now), teams, without, limit];
            let found = select.query_map(values, |row| decoded::task(row))?;
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
