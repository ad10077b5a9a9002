//! What a tenant has besides instances: workflows and persons.

use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{Name, TenantId, WorkflowId};

use super::PostgresStore;
use super::columns::{millis, rows, salt};
use super::db::{Db, params};
use super::writer::Fail;
use crate::decoded::{self, WORKFLOW};
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::rows::{PutOutcome, WorkflowRow};

impl PostgresStore {
    pub(crate) async fn put_workflow(
        &self,
        tenant: TenantId,
        workflow: WorkflowRow,
    ) -> Result<PutOutcome, StoreError> {
        self.write((tenant, workflow), |(tenant, workflow), db, _| {
            Box::pin(async move { put_workflow(db, tenant, workflow).await })
        })
        .await
    }

    pub(crate) async fn workflow(
        &self,
        tenant: TenantId,
        id: WorkflowId,
        version: Option<Name>,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        let db = self.db().await?;
        let found = match &version {
            Some(version) => {
                let sql =
                    format!("SELECT {WORKFLOW} FROM workflow WHERE tenant = $1 AND id = $2 AND version = $3");
                db.first(&sql, params![tenant.as_str(), id.as_str(), version.as_str()]).await?
            }
            None => {
                let sql = format!(
                    "SELECT {WORKFLOW} FROM workflow WHERE tenant = $1 AND id = $2 ORDER BY number DESC LIMIT 1"
                );
                db.first(&sql, params![tenant.as_str(), id.as_str()]).await?
            }
        };
        Ok(found.as_ref().map(decoded::workflow).transpose()?)
    }

    pub(crate) async fn workflow_by_digest(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {WORKFLOW} FROM workflow WHERE tenant = $1 AND digest = $2 ORDER BY number LIMIT 1"
        );
        let found = db.first(&sql, params![tenant.as_str(), digest.as_bytes().as_slice()]).await?;
        Ok(found.as_ref().map(decoded::workflow).transpose()?)
    }

    pub(crate) async fn list_workflows(
        &self,
        tenant: TenantId,
        after: Option<WorkflowId>,
        limit: usize,
    ) -> Result<Vec<WorkflowRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT DISTINCT ON (id) {WORKFLOW} FROM workflow WHERE tenant = $1 AND id > $2
             ORDER BY id, number DESC LIMIT $3"
        );
        let after = after.as_ref().map_or("", WorkflowId::as_str);
        let found = db.query(&sql, params![tenant.as_str(), after, rows(limit.min(PAGE_MAX))]).await?;
        Ok(found.iter().map(decoded::workflow).collect::<Result<_, _>>()?)
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
                self.write((tenant, issuer, subject, fresh), |(tenant, issuer, subject, fresh), db, _| {
                    Box::pin(async move {
                        // Another request may have been first: what stands is what counts. To set what stands is what makes it visible here.
                        let kept = db
                            .first(
                                "INSERT INTO person(tenant, issuer, subject, salt) VALUES($1, $2, $3, $4)
                                 ON CONFLICT(tenant, issuer, subject) DO UPDATE SET salt = person.salt RETURNING salt",
                                params![tenant.as_str(), issuer, subject, fresh.as_bytes().as_slice()],
                            )
                            .await?;
                        let kept =
                            kept.ok_or(Fail::Contradiction("a person is missing that was just put"))?;
                        salt(&kept, 0)
                    })
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
        let db = self.db().await?;
        let found = db
            .first(
                "SELECT salt FROM person WHERE tenant = $1 AND issuer = $2 AND subject = $3",
                params![tenant.as_str(), issuer, subject],
            )
            .await?;
        Ok(found.map(|row| salt(&row, 0)).transpose()?)
    }
}

/// Tells whether a human has a salt, and keeps it from being erased by anybody else until the transaction ends.
pub(super) async fn hold_person(
    db: &Db,
    tenant: &TenantId,
    issuer: &str,
    subject: &str,
) -> Result<bool, Fail> {
    db.exists(
        "SELECT 1 FROM person WHERE tenant = $1 AND issuer = $2 AND subject = $3 FOR UPDATE",
        params![tenant.as_str(), issuer, subject],
    )
    .await
}

/// Erases the salt of one human.
pub(super) async fn forget_person(
    db: &Db,
    tenant: &TenantId,
    issuer: &str,
    subject: &str,
) -> Result<(), Fail> {
    db.execute(
        "DELETE FROM person WHERE tenant = $1 AND issuer = $2 AND subject = $3",
        params![tenant.as_str(), issuer, subject],
    )
    .await
    .map(drop)
}

async fn put_workflow(db: &Db, tenant: &TenantId, workflow: &WorkflowRow) -> Result<PutOutcome, Fail> {
    let written = db
        .execute(
            "INSERT INTO workflow(tenant, id, version, digest, team, definition, created_at)
             VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(tenant, id, version) DO NOTHING",
            params![
                tenant.as_str(),
                workflow.id.as_str(),
                workflow.version.as_str(),
                workflow.digest.as_bytes().as_slice(),
                workflow.team.as_str(),
                workflow.definition,
                millis(workflow.created_at),
            ],
        )
        .await?;
    if written == 1 {
        return Ok(PutOutcome::Stored);
    }
    let is_same = db
        .exists(
            "SELECT 1 FROM workflow WHERE tenant = $1 AND id = $2 AND version = $3 AND definition = $4",
            params![tenant.as_str(), workflow.id.as_str(), workflow.version.as_str(), workflow.definition],
        )
        .await?;
    Ok(if is_same { PutOutcome::Same } else { PutOutcome::Differs })
}
