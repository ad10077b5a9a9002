//! Runner tasks and leases.

use gantral_core::ids::{ActorId, AttemptNo, InstanceId, Name, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{int, millis, names, rows, small, text};
use super::db::params;
use crate::append::{Head, StateCode};
use crate::changes::Change;
use crate::decoded::{self, LEASE, TASK};
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::rows::{LeaseRow, TaskFilter, TaskRow};

impl PostgresStore {
    pub(crate) async fn ready_tasks(
        &self,
        tenant: TenantId,
        queue: Name,
        filter: TaskFilter,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let db = self.db().await?;
        let found = db
            .query(
                &format!(
                    "SELECT {TASK} FROM task t
                 WHERE t.tenant = $1 AND t.queue = $2 AND t.ready_at <= $3
                   AND NOT EXISTS(SELECT 1 FROM lease l WHERE l.tenant = t.tenant AND l.instance = t.instance
                                  AND NOT l.ended AND l.until > $3)
                   AND t.team = ANY($4) AND (t.released OR NOT $7)
                   AND NOT EXISTS(SELECT 1 FROM instance i
                                  WHERE i.tenant = t.tenant AND i.id = t.instance AND i.workflow = ANY($5))
                 ORDER BY t.ready_at, t.instance LIMIT $6"
                ),
                params![
                    tenant.as_str(),
                    queue.as_str(),
                    millis(now),
                    names(&filter.teams),
                    names(&filter.without),
                    rows(limit.min(PAGE_MAX)),
                    filter.released,
                ],
            )
            .await?;
        Ok(found.iter().map(decoded::task).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn task(&self, tenant: TenantId, id: InstanceId) -> Result<Option<TaskRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!("SELECT {TASK} FROM task t WHERE t.tenant = $1 AND t.instance = $2");
        let found = db.first(&sql, params![tenant.as_str(), id.as_bytes().as_slice()]).await?;
        Ok(found.as_ref().map(decoded::task).transpose()?)
    }

    pub(crate) async fn release_task(
        &self,
        tenant: TenantId,
        id: InstanceId,
        head: Head,
    ) -> Result<bool, StoreError> {
        self.write((tenant, id, head), |(tenant, id, head), db, after| {
            Box::pin(async move {
                // The row of the instance is held, so that no task is put in place of the one that was meant.
                let (key, instance) = (tenant.as_str(), id.as_bytes().as_slice());
                let found = db
                    .first(
                        "SELECT state, team, workflow FROM instance
                         WHERE tenant = $1 AND id = $2 AND head_sequence = $3 AND head_hash = $4 FOR NO KEY UPDATE",
                        params![key, instance, int(head.sequence), head.hash.as_bytes().as_slice()],
                    )
                    .await?;
                let Some(row) = found else { return Ok(false) };
                let released = db
                    .first(
                        "UPDATE task SET released = true WHERE tenant = $1 AND instance = $2 RETURNING queue",
                        params![key, instance],
                    )
                    .await?;
                let Some(task) = released else { return Ok(true) };
                after.changes.push(Change {
                    tenant: tenant.clone(),
                    instance: *id,
                    team: text(&row, 1, TeamId::parse)?,
                    workflow: text(&row, 2, WorkflowId::parse)?,
                    first: head.sequence.saturating_add(1),
                    head: *head,
                    state: StateCode(small(&row, 0)?),
                    queue: Some(text(&task, 0, Name::parse)?),
                });
                Ok(true)
            })
        })
        .await
    }

    pub(crate) async fn lease(
        &self,
        tenant: TenantId,
        id: InstanceId,
    ) -> Result<Option<LeaseRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!("SELECT {LEASE} FROM lease WHERE tenant = $1 AND instance = $2");
        let found = db.first(&sql, params![tenant.as_str(), id.as_bytes().as_slice()]).await?;
        Ok(found.as_ref().map(decoded::lease).transpose()?)
    }

    pub(crate) async fn expired_leases(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<LeaseRow>, StoreError> {
        let db = self.db().await?;
        let sql =
            format!("SELECT {LEASE} FROM lease WHERE NOT ended AND until <= $1 ORDER BY until LIMIT $2");
        let found = db.query(&sql, params![millis(now), rows(limit.min(PAGE_MAX))]).await?;
        Ok(found.iter().map(decoded::lease).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn renew_lease(
        &self,
        tenant: TenantId,
        id: InstanceId,
        attempt: AttemptNo,
        executor: ActorId,
        (now, until): (UnixMillis, UnixMillis),
    ) -> Result<bool, StoreError> {
        let state = (tenant, id, attempt, executor, now, until);
        self.write(state, |(tenant, id, attempt, executor, now, until), db, _| {
            Box::pin(async move {
                let changed = db
                    .execute(
                        "UPDATE lease SET until = greatest(until, $6)
                         WHERE tenant = $1 AND instance = $2 AND attempt = $3 AND executor = $4
                           AND NOT ended AND until > $5",
                        params![
                            tenant.as_str(),
                            id.as_bytes().as_slice(),
                            i64::from(attempt.0),
                            executor.as_str(),
                            millis(*now),
                            millis(*until),
                        ],
                    )
                    .await?;
                Ok(changed == 1)
            })
        })
        .await
    }
}
