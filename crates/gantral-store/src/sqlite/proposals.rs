//! Changes of the rules that wait for a second person.

use gantral_core::ids::{ActorId, ProposalId, TenantId};
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{int, millis, rows};
use super::outbox;
use crate::decoded::{self, PROPOSAL};
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::proposals::{NewProposal, ProposalEnd, ProposalOutcome, StoredProposal};

impl SqliteStore {
    pub(crate) async fn put_proposal(
        &self,
        proposal: NewProposal,
        open_max: usize,
    ) -> Result<ProposalOutcome, StoreError> {
        self.write(move |connection, after| {
            let tenant = proposal.tenant.as_str();
            after.erased |= expire(connection, Some(&proposal.tenant), proposal.at)? > 0;
            let same = connection
                .prepare_cached(&format!(
                    "SELECT {PROPOSAL} FROM proposal WHERE tenant = ?1 AND ending IS NULL AND same = ?2"
                ))?
                .query_row(params![tenant, proposal.same.as_bytes()], |row| decoded::proposal(row))
                .optional()?;
            if let Some(same) = same {
                return Ok(ProposalOutcome::Same(same));
            }
            let open: i64 = connection
                .prepare_cached("SELECT count(*) FROM proposal WHERE tenant = ?1 AND ending IS NULL")?
                .query_row([tenant], |row| row.get(0))?;
            if open >= rows(open_max) {
                return Ok(ProposalOutcome::Full);
            }
            let reason = proposal.reason.as_ref();
            connection
                .prepare_cached(
                    "INSERT INTO proposal(tenant, id, same, proposer, body, commitment, salt, why, proposed_at, expires_at)
                     VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    tenant,
                    proposal.id.as_bytes(),
                    proposal.same.as_bytes(),
                    proposal.proposer.as_str(),
                    proposal.body,
                    reason.map(|reason| *reason.commitment.as_bytes()),
                    reason.map(|reason| *reason.salt.as_bytes()),
                    reason.map(|reason| reason.text.as_slice()),
                    millis(proposal.at),
                    millis(proposal.expires_at),
                ])?;
            outbox::tell_proposal(connection, &proposal)?;
            Ok(ProposalOutcome::Made)
        })
        .await
    }

    pub(crate) async fn proposal(
        &self,
        tenant: TenantId,
        id: ProposalId,
    ) -> Result<Option<StoredProposal>, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(&format!("SELECT {PROPOSAL} FROM proposal WHERE tenant = ?1 AND id = ?2"))?
                .query_row(params![tenant.as_str(), id.as_bytes()], |row| decoded::proposal(row))
                .optional()?)
        })
        .await
    }

    pub(crate) async fn list_proposals(
        &self,
        tenant: TenantId,
        open_at: Option<UnixMillis>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredProposal>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {PROPOSAL} FROM proposal
                 WHERE tenant = ?1 AND number < ?2 AND (?3 IS NULL OR (ending IS NULL AND expires_at > ?3))
                 ORDER BY number DESC LIMIT ?4"
            ))?;
            let before = before.map_or(i64::MAX, int);
            let key = params![tenant.as_str(), before, open_at.map(millis), rows(limit.min(PAGE_MAX))];
            let found = select.query_map(key, |row| decoded::proposal(row))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn withdraw_proposal(
        &self,
        tenant: TenantId,
        id: ProposalId,
        at: UnixMillis,
        by: ActorId,
    ) -> Result<bool, StoreError> {
        self.write(move |connection, after| {
            if !is_open(connection, &tenant, id, at)? {
                return Ok(false);
            }
            let end = ProposalEnd::withdrawn(at, by.clone());
            after.erased |= end_one(connection, &tenant, id, &end)?;
            Ok(true)
        })
        .await
    }

    pub(crate) async fn expire_proposals(&self, now: UnixMillis) -> Result<usize, StoreError> {
        // Most often there is nothing to do, and what is not written costs the writer nothing.
        let due = self
            .read(move |connection| {
                Ok(connection
                    .prepare_cached("SELECT 1 FROM proposal WHERE ending IS NULL AND expires_at <= ?1")?
                    .exists([millis(now)])?)
            })
            .await?;
        if !due {
            return Ok(0);
        }
        self.write(move |connection, after| {
            let ended = expire(connection, None, now)?;
            after.erased |= ended > 0;
            Ok(ended)
        })
        .await
    }
}

/// Tells whether a proposal can still be confirmed or withdrawn.
pub(super) fn is_open(
    connection: &Connection,
    tenant: &TenantId,
    id: ProposalId,
    at: UnixMillis,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM proposal WHERE tenant = ?1 AND id = ?2 AND ending IS NULL AND expires_at > ?3",
        )?
        .exists(params![tenant.as_str(), id.as_bytes(), millis(at)])
}

/// Ends one proposal that is open, and returns whether words went with it.
pub(super) fn end_one(
    connection: &Connection,
    tenant: &TenantId,
    id: ProposalId,
    end: &ProposalEnd,
) -> rusqlite::Result<bool> {
    let ended = connection
        .prepare_cached(
            "UPDATE proposal SET salt = NULL, why = NULL, ending = ?3, ended_at = ?4, ended_by = ?5, sealed = ?6
             WHERE tenant = ?1 AND id = ?2 AND ending IS NULL",
        )?
        .execute(params![
            tenant.as_str(),
            id.as_bytes(),
            end.how.as_str(),
            millis(end.at),
            end.by.as_ref().map(ActorId::as_str),
            end.sealed.map(int),
        ])?;
    Ok(ended > 0)
}

/// Ends what a person proposed who is anonymous from now on, and returns whether there was something.
pub(super) fn end_of(
    connection: &Connection,
    tenant: &TenantId,
    proposer: &ActorId,
    at: UnixMillis,
) -> rusqlite::Result<bool> {
    let ended = connection
        .prepare_cached(
            "UPDATE proposal SET salt = NULL, why = NULL, ending = 'withdrawn', ended_at = ?3
             WHERE tenant = ?1 AND proposer = ?2 AND ending IS NULL",
        )?
        .execute(params![tenant.as_str(), proposer.as_str(), millis(at)])?;
    Ok(ended > 0)
}

/// Ends what nobody confirmed in time, of one tenant or of all, and returns how many.
fn expire(connection: &Connection, tenant: Option<&TenantId>, now: UnixMillis) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE proposal SET salt = NULL, why = NULL, ending = 'expired', ended_at = expires_at
             WHERE ending IS NULL AND expires_at <= ?1 AND (?2 IS NULL OR tenant = ?2)",
        )?
        .execute(params![millis(now), tenant.map(TenantId::as_str)])
}
