//! What the archiver reads and writes.

use gantral_core::ids::TenantId;

use super::PostgresStore;
use super::columns::{int, rows};
use super::db::{Db, params};
use super::writer::Fail;
use crate::archive::{ArchiveStep, ArchivedObject, NumberedArtifact};
use crate::decoded::{self, ARCHIVE, ARCHIVED, SEALED};
use crate::error::StoreError;

impl PostgresStore {
    pub(crate) async fn sealed_after(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NumberedArtifact>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {SEALED} FROM artifact WHERE tenant = $1 AND number > $2 ORDER BY number LIMIT $3"
        );
        let found = db.query(&sql, params![tenant.as_str(), int(after), rows(limit)]).await?;
        Ok(found.iter().map(decoded::sealed).collect::<Result<_, Fail>>()?)
    }

    pub(crate) async fn archive(&self, tenant: TenantId) -> Result<Option<ArchiveStep>, StoreError> {
        let db = self.db().await?;
        Ok(last(&db, &tenant).await?)
    }

    pub(crate) async fn archived(
        &self,
        tenant: TenantId,
        names: Vec<String>,
    ) -> Result<Vec<ArchivedObject>, StoreError> {
        let db = self.db().await?;
        let sql =
            format!("SELECT {ARCHIVED} FROM archived WHERE tenant = $1 AND name = ANY($2) ORDER BY name");
        let found = db.query(&sql, params![tenant.as_str(), names]).await?;
        Ok(found.iter().map(decoded::archived).collect::<Result<_, Fail>>()?)
    }

    pub(crate) async fn keep_archived(
        &self,
        tenant: TenantId,
        step: ArchiveStep,
        objects: Vec<ArchivedObject>,
    ) -> Result<bool, StoreError> {
        self.write((tenant, step, objects), |(tenant, step, objects), db, _| {
            Box::pin(async move {
                match step.follows(last(db, tenant).await?.as_ref()) {
                    None => return Ok(true),
                    Some(false) => return Ok(false),
                    Some(true) => {}
                }
                let ArchiveStep { segment, size, number, head, version } = step;
                // Of two who record a step at once the second waits for the first, and writes nothing.
                let written = db
                    .execute(
                        "INSERT INTO archive(tenant, segment, size, number, head, version) VALUES($1, $2, $3, $4, $5, $6)
                         ON CONFLICT DO NOTHING",
                        params![
                            tenant.as_str(),
                            int(*segment),
                            int(*size),
                            int(*number),
                            head.as_bytes().as_slice(),
                            version
                        ],
                    )
                    .await?;
                if written == 0 {
                    return Ok(last(db, tenant).await?.as_ref() == Some(&*step));
                }
                for ArchivedObject { name, digest, version } in objects {
                    db.execute(
                        "INSERT INTO archived(tenant, name, digest, version) VALUES($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                        params![tenant.as_str(), name, digest.as_bytes().as_slice(), version],
                    )
                    .await?;
                }
                Ok(true)
            })
        })
        .await
    }
}

async fn last(db: &Db, tenant: &TenantId) -> Result<Option<ArchiveStep>, Fail> {
    let sql = format!("SELECT {ARCHIVE} FROM archive WHERE tenant = $1 ORDER BY segment DESC LIMIT 1");
    db.first(&sql, params![tenant.as_str()]).await?.as_ref().map(decoded::archive).transpose()
}
