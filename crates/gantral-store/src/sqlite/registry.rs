//! What a tenant has besides instances: workflows, persons, idempotency keys.

use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{Name, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{digest, millis, rows, salt};
use super::writer::Fail;
use crate::append::{IdempotencyLookup, IdempotencyScope};
use crate::decoded::{self, WORKFLOW};
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::rows::{PutOutcome, WorkflowRow};

impl SqliteStore {
    pub(crate) async fn lookup_idempotency(
        &self,
        tenant: TenantId,
        scope: IdempotencyScope,
        body: Digest,
        now: UnixMillis,
    ) -> Result<IdempotencyLookup, StoreError> {
        self.look(move |connection| Ok(idempotency(connection, &tenant, &scope, &body, now)?)).await
    }

    pub(crate) async fn forget_idempotency(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.write(move |connection, _| {
            let forgotten = connection
                .prepare_cached(
                    "DELETE FROM idempotency WHERE expires_at <= ?1 AND number IN
                       (SELECT number FROM idempotency ORDER BY number LIMIT ?2)",
                )?
                .execute(params![millis(now), rows(limit.min(PAGE_MAX))])?;
            Ok(forgotten)
        })
        .await
    }

    pub(crate) async fn put_workflow(
        &self,
        tenant: TenantId,
        workflow: WorkflowRow,
    ) -> Result<PutOutcome, StoreError> {
        self.write(move |connection, _| Ok(put_workflow(connection, &tenant, &workflow)?)).await
    }

    pub(crate) async fn workflow(
        &self,
        tenant: TenantId,
        id: WorkflowId,
        version: Option<Name>,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        self.look(move |connection| {
            let found = match &version {
                Some(version) => connection
                    .prepare_cached(&format!(
                        "SELECT {WORKFLOW} FROM workflow WHERE tenant = ?1 AND id = ?2 AND version = ?3"
                    ))?
                    .query_row(params![tenant.as_str(), id.as_str(), version.as_str()], |row| decoded::workflow(row))
                    .optional()?,
                None => connection
                    .prepare_cached(&format!(
                        "SELECT {WORKFLOW} FROM workflow WHERE tenant = ?1 AND id = ?2 ORDER BY number DESC LIMIT 1"
                    ))?
                    .query_row(params![tenant.as_str(), id.as_str()], |row| decoded::workflow(row))
                    .optional()?,
            };
            Ok(found)
        })
        .await
    }

    pub(crate) async fn workflow_by_digest(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        self.look(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {WORKFLOW} FROM workflow WHERE tenant = ?1 AND digest = ?2 ORDER BY number LIMIT 1"
                ))?
                .query_row(params![tenant.as_str(), digest.as_bytes()], |row| decoded::workflow(row))
                .optional()?;
            Ok(found)
        })
        .await
    }

    pub(crate) async fn list_workflows(
        &self,
        tenant: TenantId,
        after: Option<WorkflowId>,
        limit: usize,
    ) -> Result<Vec<WorkflowRow>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {WORKFLOW} FROM workflow WHERE number IN
                   (SELECT max(number) FROM workflow WHERE tenant = ?1 AND id > ?2 GROUP BY id ORDER BY id LIMIT ?3)
                 ORDER BY id"
            ))?;
            let after = after.as_ref().map_or("", |id| id.as_str());
            let limit = rows(limit.min(PAGE_MAX));
            let found = select.query_map(params![tenant.as_str(), after, limit], |row| decoded::workflow(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn person(
        &self,
        tenant: TenantId,
        issuer: String,
        subject: String,
        fresh: Salt,
    ) -> Result<Salt, StoreError> {
        match self.known_person(tenant.clone(), issuer.clone(), subject.clone()).await? {
            Some(salt) => Ok(salt),
            None => {
                self.write(move |connection, _| {
                    connection
                        .prepare_cached(
                            "INSERT INTO person(tenant, issuer, subject, salt) VALUES(?1, ?2, ?3, ?4)
                             ON CONFLICT(tenant, issuer, subject) DO NOTHING",
                        )?
                        .execute(params![tenant.as_str(), issuer, subject, fresh.as_bytes()])?;
                    // Another request may have been first: what stands is what counts.
                    person(connection, &tenant, &issuer, &subject)?
                        .ok_or(Fail::Contradiction("a person is missing that was just put"))
                })
                .await
            }
        }
    }

    pub(crate) async fn known_person(
        &self,
        tenant: TenantId,
        issuer: String,
        subject: String,
    ) -> Result<Option<Salt>, StoreError> {
        self.read(move |connection| Ok(person(connection, &tenant, &issuer, &subject)?)).await
    }
}

/// Looks a key up; a row that expired by `now` does not count.
pub(super) fn idempotency(
    connection: &Connection,
    tenant: &TenantId,
    scope: &IdempotencyScope,
    body: &Digest,
    now: UnixMillis,
) -> rusqlite::Result<IdempotencyLookup> {
    let found = connection
        .prepare_cached(
            "SELECT body, instance, first_sequence, last_sequence, status, answer FROM idempotency
             WHERE scope = ?1 AND expires_at > ?2",
        )?
        .query_row(params![scope.digest(tenant).as_bytes(), millis(now)], |row| {
            Ok((digest(row, 0)?, decoded::answer(row, 1)?))
        })
        .optional()?;
    Ok(IdempotencyLookup::of(found, body))
}

pub(super) fn person(
    connection: &Connection,
    tenant: &TenantId,
    issuer: &str,
    subject: &str,
) -> rusqlite::Result<Option<Salt>> {
    connection
        .prepare_cached("SELECT salt FROM person WHERE tenant = ?1 AND issuer = ?2 AND subject = ?3")?
        .query_row(params![tenant.as_str(), issuer, subject], |row| salt(row, 0))
        .optional()
}

/// Erases the salt of one human, and returns whether there was one.
pub(super) fn forget_person(
    connection: &Connection,
    tenant: &TenantId,
    issuer: &str,
    subject: &str,
) -> rusqlite::Result<bool> {
    let erased = connection
        .prepare_cached("DELETE FROM person WHERE tenant = ?1 AND issuer = ?2 AND subject = ?3")?
        .execute(params![tenant.as_str(), issuer, subject])?;
    Ok(erased > 0)
}

fn put_workflow(
    connection: &Connection,
    tenant: &TenantId,
    workflow: &WorkflowRow,
) -> rusqlite::Result<PutOutcome> {
    let key = params![tenant.as_str(), workflow.id.as_str(), workflow.version.as_str()];
    let stored: Option<Vec<u8>> = connection
        .prepare_cached("SELECT definition FROM workflow WHERE tenant = ?1 AND id = ?2 AND version = ?3")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    if let Some(stored) = stored {
        return Ok(if stored == workflow.definition { PutOutcome::Same } else { PutOutcome::Differs });
    }
    connection
        .prepare_cached(
            "INSERT INTO workflow(tenant, id, version, digest, team, definition, created_at)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            tenant.as_str(),
            workflow.id.as_str(),
            workflow.version.as_str(),
            workflow.digest.as_bytes(),
            workflow.team.as_str(),
            workflow.definition,
            millis(workflow.created_at),
        ])?;
    Ok(PutOutcome::Stored)
}
