//! The authenticators of approvers, and what they said.

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, InstanceId, TenantId};
use tokio_postgres::Row;

use super::PostgresStore;
use super::columns::{count, digest, get, int, millis, rows};
use super::db::{Db, params};
use super::locks::{self, On};
use super::writer::Fail;
use crate::append::Append;
use crate::decoded::{self, ENROLMENT};
use crate::enrolments::{ENROLMENT_WAITS, ENROLMENTS_MAX, EnrolmentOutcome, NewEnrolment, StoredEnrolment};
use crate::error::StoreError;
use crate::page::PAGE_MAX;

impl PostgresStore {
    pub(crate) async fn ask_for_enrolment(&self, new: NewEnrolment) -> Result<EnrolmentOutcome, StoreError> {
        self.write(new, |new, db, _| Box::pin(async move { ask(db, new).await })).await
    }

    pub(crate) async fn enrolment(
        &self,
        tenant: TenantId,
        entry: Digest,
    ) -> Result<Option<StoredEnrolment>, StoreError> {
        let db = self.db().await?;
        let sql = format!("SELECT {ENROLMENT} FROM enrolment WHERE tenant = $1 AND entry = $2");
        let found = db.first(&sql, params![tenant.as_str(), entry.as_bytes().as_slice()]).await?;
        Ok(found.as_ref().map(decoded::enrolment).transpose()?)
    }

    pub(crate) async fn list_enrolments(
        &self,
        tenant: TenantId,
        of: Option<ActorId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEnrolment>, StoreError> {
        let db = self.db().await?;
        let person = if of.is_some() { "AND person = $4" } else { "AND $4::text IS NULL" };
        let sql = format!(
            "SELECT {ENROLMENT} FROM enrolment WHERE tenant = $1 AND number < $2 {person} ORDER BY number DESC LIMIT $3"
        );
        let (before, limit) = (before.map_or(i64::MAX, int), rows(limit.min(PAGE_MAX)));
        let person = of.as_ref().map(ActorId::as_str);
        let found = db.query(&sql, params![tenant.as_str(), before, limit, person]).await?;
        Ok(found.iter().map(decoded::enrolment).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn forget_enrolment(&self, tenant: TenantId, entry: Digest) -> Result<bool, StoreError> {
        self.write((tenant, entry), |(tenant, entry), db, _| {
            Box::pin(async move {
                let forgotten = db
                    .execute(
                        "DELETE FROM enrolment WHERE tenant = $1 AND entry = $2 AND envelope IS NULL",
                        params![tenant.as_str(), entry.as_bytes().as_slice()],
                    )
                    .await?;
                Ok(forgotten > 0)
            })
        })
        .await
    }

    pub(crate) async fn human_evidence(
        &self,
        tenant: TenantId,
        instance: InstanceId,
    ) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
        let db = self.db().await?;
        let found = db
            .query(
                "SELECT digest, content FROM human_evidence WHERE tenant = $1 AND instance = $2 ORDER BY digest",
                params![tenant.as_str(), instance.as_bytes().as_slice()],
            )
            .await?;
        let evidence = |row: &Row| Ok::<_, Fail>((digest(row, 0)?, get(row, 1)?));
        Ok(found.iter().map(evidence).collect::<Result<_, _>>()?)
    }
}

async fn ask(db: &Db, new: &NewEnrolment) -> Result<EnrolmentOutcome, Fail> {
    let (tenant, person) = (new.tenant.as_str(), new.person.as_str());
    locks::alone(db, On::Enrolments, &[tenant, person]).await?;
    // What the directory signs at this moment, or somebody else forgets, is left to them: nobody waits for a row while holding another.
    db.execute(
        "DELETE FROM enrolment WHERE envelope IS NULL AND number IN
           (SELECT number FROM enrolment WHERE envelope IS NULL AND asked_at < $1 ORDER BY number FOR UPDATE SKIP LOCKED)",
        params![millis(new.at.minus(ENROLMENT_WAITS))],
    )
    .await?;
    let others = db
        .first(
            "SELECT count(*) FROM enrolment WHERE tenant = $1 AND person = $2 AND entry <> $3",
            params![tenant, person, new.entry.as_bytes().as_slice()],
        )
        .await?;
    if others.map_or(Ok(0), |row| count(&row, 0))? >= ENROLMENTS_MAX as u64 {
        return Ok(EnrolmentOutcome::Full);
    }
    db.execute(
        "INSERT INTO enrolment(tenant, entry, person, issuer, subject, payload, assertion, asked_at)
         VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT(tenant, entry) DO NOTHING",
        params![
            tenant,
            new.entry.as_bytes().as_slice(),
            person,
            new.issuer,
            new.subject,
            new.payload,
            new.assertion,
            millis(new.at),
        ],
    )
    .await?;
    Ok(EnrolmentOutcome::Waits)
}

/// Keeps the evidence of a decision that is sealed with it.
pub(super) async fn keep_evidence(
    db: &Db,
    append: &Append,
    digest: &Digest,
    content: &[u8],
) -> Result<(), Fail> {
    db.row(
        "INSERT INTO human_evidence(tenant, instance, digest, content)
         SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[])",
        params![
            append.tenant.as_str(),
            append.instance.as_bytes().as_slice(),
            digest.as_bytes().as_slice(),
            content
        ],
    )
    .await
}

/// Tells whether an enrolment waits for the directory's signature; one that does is neither forgotten nor signed by anybody else until the
/// transaction ends.
pub(super) async fn hold_waiting(db: &Db, tenant: &TenantId, entry: &Digest) -> Result<bool, Fail> {
    db.exists(
        "SELECT 1 FROM enrolment WHERE tenant = $1 AND entry = $2 AND envelope IS NULL FOR UPDATE",
        params![tenant.as_str(), entry.as_bytes().as_slice()],
    )
    .await
}

/// Keeps what the directory signed.
pub(super) async fn sign(db: &Db, tenant: &TenantId, entry: &Digest, envelope: &[u8]) -> Result<(), Fail> {
    db.execute(
        "UPDATE enrolment SET envelope = $3 WHERE tenant = $1 AND entry = $2",
        params![tenant.as_str(), entry.as_bytes().as_slice(), envelope],
    )
    .await
    .map(drop)
}

/// Takes the name of a human off their enrolments.
pub(super) async fn forget_person(
    db: &Db,
    tenant: &TenantId,
    issuer: &str,
    subject: &str,
) -> Result<(), Fail> {
    db.execute(
        "UPDATE enrolment SET issuer = NULL, subject = NULL WHERE tenant = $1 AND issuer = $2 AND subject = $3",
        params![tenant.as_str(), issuer, subject],
    )
    .await
    .map(drop)
}
