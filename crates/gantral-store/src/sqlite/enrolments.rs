//! The authenticators of approvers, and what they said.

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, InstanceId, TenantId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{digest, int, millis, rows};
use crate::append::Append;
use crate::decoded::{self, ENROLMENT};
use crate::enrolments::{ENROLMENT_WAITS, ENROLMENTS_MAX, EnrolmentOutcome, NewEnrolment, StoredEnrolment};
use crate::error::StoreError;
use crate::page::PAGE_MAX;

impl SqliteStore {
    pub(crate) async fn ask_for_enrolment(&self, new: NewEnrolment) -> Result<EnrolmentOutcome, StoreError> {
        self.write(move |connection, _| {
            let (tenant, person) = (new.tenant.as_str(), new.person.as_str());
            let over = millis(new.at.minus(ENROLMENT_WAITS));
            connection
                .prepare_cached("DELETE FROM enrolment WHERE envelope IS NULL AND asked_at < ?1")?
                .execute([over])?;
            let mut others =
                connection.prepare_cached("SELECT count(*) FROM enrolment WHERE tenant = ?1 AND person = ?2 AND entry <> ?3")?;
            let others: i64 = others.query_row(params![tenant, person, new.entry.as_bytes()], |row| row.get(0))?;
            if others >= rows(ENROLMENTS_MAX) {
                return Ok(EnrolmentOutcome::Full);
            }
            connection
                .prepare_cached(
                    "INSERT INTO enrolment(tenant, entry, person, issuer, subject, payload, assertion, asked_at)
                     VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(tenant, entry) DO NOTHING",
                )?
                .execute(params![
                    tenant,
                    new.entry.as_bytes(),
                    person,
                    new.issuer,
                    new.subject,
                    new.payload,
                    new.assertion,
                    millis(new.at),
                ])?;
            Ok(EnrolmentOutcome::Waits)
        })
        .await
    }

    pub(crate) async fn enrolment(
        &self,
        tenant: TenantId,
        entry: Digest,
    ) -> Result<Option<StoredEnrolment>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {ENROLMENT} FROM enrolment WHERE tenant = ?1 AND entry = ?2"
            ))?;
            Ok(select
                .query_row(params![tenant.as_str(), entry.as_bytes()], |row| decoded::enrolment(row))
                .optional()?)
        })
        .await
    }

    pub(crate) async fn list_enrolments(
        &self,
        tenant: TenantId,
        of: Option<ActorId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEnrolment>, StoreError> {
        self.read(move |connection| {
            let person = if of.is_some() { "AND person = ?4" } else { "AND ?4 IS NULL" };
            let mut select = connection.prepare_cached(&format!(
                "SELECT {ENROLMENT} FROM enrolment WHERE tenant = ?1 AND number < ?2 {person}
                 ORDER BY number DESC LIMIT ?3"
            ))?;
            let before = before.map_or(i64::MAX, int);
            let key =
                params![tenant.as_str(), before, rows(limit.min(PAGE_MAX)), of.as_ref().map(ActorId::as_str)];
            let found = select.query_map(key, |row| decoded::enrolment(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn forget_enrolment(&self, tenant: TenantId, entry: Digest) -> Result<bool, StoreError> {
        self.write(move |connection, _| {
            let forgotten = connection
                .prepare_cached(
                    "DELETE FROM enrolment WHERE tenant = ?1 AND entry = ?2 AND envelope IS NULL",
                )?
                .execute(params![tenant.as_str(), entry.as_bytes()])?;
            Ok(forgotten > 0)
        })
        .await
    }

    pub(crate) async fn human_evidence(
        &self,
        tenant: TenantId,
        instance: InstanceId,
    ) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT digest, content FROM human_evidence WHERE tenant = ?1 AND instance = ?2 ORDER BY digest",
            )?;
            let found =
                select.query_map(params![tenant.as_str(), instance.as_bytes()], |row| Ok((digest(row, 0)?, row.get(1)?)))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Keeps the evidence of a decision that is sealed with it.
pub(super) fn keep_evidence(
    connection: &Connection,
    append: &Append,
    digest: &Digest,
    content: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO human_evidence(tenant, instance, digest, content) VALUES(?1, ?2, ?3, ?4)",
        )?
        .execute(params![append.tenant.as_str(), append.instance.as_bytes(), digest.as_bytes(), content])
        .map(drop)
}

/// Tells whether an enrolment waits for the directory's signature.
pub(super) fn waits(connection: &Connection, tenant: &TenantId, entry: &Digest) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM enrolment WHERE tenant = ?1 AND entry = ?2 AND envelope IS NULL")?
        .exists(params![tenant.as_str(), entry.as_bytes()])
}

/// Keeps what the directory signed.
pub(super) fn sign(
    connection: &Connection,
    tenant: &TenantId,
    entry: &Digest,
    envelope: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE enrolment SET envelope = ?3 WHERE tenant = ?1 AND entry = ?2")?
        .execute(params![tenant.as_str(), entry.as_bytes(), envelope])
        .map(drop)
}

/// Takes the name of a human off their enrolments.
pub(super) fn forget_person(
    connection: &Connection,
    tenant: &TenantId,
    issuer: &str,
    subject: &str,
) -> rusqlite::Result<bool> {
    let forgotten = connection
        .prepare_cached(
            "UPDATE enrolment SET issuer = NULL, subject = NULL WHERE tenant = ?1 AND issuer = ?2 AND subject = ?3",
        )?
        .execute(params![tenant.as_str(), issuer, subject])?;
    Ok(forgotten > 0)
}
