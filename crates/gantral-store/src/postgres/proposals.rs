//! Changes of the rules that wait for a second person.
//!
//! A proposal ends by a conditional update of its row, so that of two that end it one does. What a governance artifact confirms is
//! locked when it is looked at ([`hold_open`]), so that nobody ends it in between. Making one counts those that are open, alone for the
//! tenant.

use gantral_core::ids::{ActorId, ProposalId, TenantId};
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{count, int, millis, rows};
use super::db::{Db, params};
use super::locks::{self, On};
use super::outbox;
use super::writer::Fail;
use crate::decoded::{self, PROPOSAL};
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::proposals::{NewProposal, ProposalEnd, ProposalOutcome, StoredProposal};

impl PostgresStore {
    pub(crate) async fn put_proposal(
        &self,
        proposal: NewProposal,
        open_max: usize,
    ) -> Result<ProposalOutcome, StoreError> {
        self.write((proposal, open_max), |(proposal, open_max), db, _| {
            Box::pin(async move { put(db, proposal, *open_max).await })
        })
        .await
    }

    pub(crate) async fn proposal(
        &self,
        tenant: TenantId,
        id: ProposalId,
    ) -> Result<Option<StoredProposal>, StoreError> {
        let db = self.db().await?;
        let sql = format!("SELECT {PROPOSAL} FROM proposal WHERE tenant = $1 AND id = $2");
        let found = db.first(&sql, params![tenant.as_str(), id.as_bytes().as_slice()]).await?;
        Ok(found.as_ref().map(decoded::proposal).transpose()?)
    }

    pub(crate) async fn list_proposals(
        &self,
        tenant: TenantId,
        open_at: Option<UnixMillis>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredProposal>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {PROPOSAL} FROM proposal
             WHERE tenant = $1 AND number < $2 AND ($3::bigint IS NULL OR (ending IS NULL AND expires_at > $3))
             ORDER BY number DESC LIMIT $4"
        );
        let (before, limit) = (before.map_or(i64::MAX, int), rows(limit.min(PAGE_MAX)));
        let found = db.query(&sql, params![tenant.as_str(), before, open_at.map(millis), limit]).await?;
        Ok(found.iter().map(decoded::proposal).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn withdraw_proposal(
        &self,
        tenant: TenantId,
        id: ProposalId,
        at: UnixMillis,
        by: ActorId,
    ) -> Result<bool, StoreError> {
        self.write((tenant, id, at, by), |(tenant, id, at, by), db, _| {
            Box::pin(async move {
                if !hold_open(db, tenant, *id, *at).await? {
                    return Ok(false);
                }
                end_one(db, tenant, *id, &ProposalEnd::withdrawn(*at, by.clone())).await?;
                Ok(true)
            })
        })
        .await
    }

    pub(crate) async fn expire_proposals(&self, now: UnixMillis) -> Result<usize, StoreError> {
        // Most often there is nothing to do, and what is not written costs nothing.
        let db = self.db().await?;
        let due = "SELECT 1 FROM proposal WHERE ending IS NULL AND expires_at <= $1 LIMIT 1";
        if !db.exists(due, params![millis(now)]).await? {
            return Ok(0);
        }
        drop(db);
        self.write(now, |now, db, _| Box::pin(async move { expire(db, None, *now).await })).await
    }
}

async fn put(db: &Db, proposal: &NewProposal, open_max: usize) -> Result<ProposalOutcome, Fail> {
    let tenant = proposal.tenant.as_str();
    locks::alone(db, On::Proposals, &[tenant]).await?;
    expire(db, Some(&proposal.tenant), proposal.at).await?;
    let sql = format!("SELECT {PROPOSAL} FROM proposal WHERE tenant = $1 AND ending IS NULL AND same = $2");
    if let Some(same) = db.first(&sql, params![tenant, proposal.same.as_bytes().as_slice()]).await? {
        return Ok(ProposalOutcome::Same(decoded::proposal(&same)?));
    }
    let open = "SELECT count(*) FROM proposal WHERE tenant = $1 AND ending IS NULL";
    let open = db.first(open, params![tenant]).await?.map_or(Ok(0), |row| count(&row, 0))?;
    if open >= open_max as u64 {
        return Ok(ProposalOutcome::Full);
    }
    let reason = proposal.reason.as_ref();
    db.execute(
        "INSERT INTO proposal(tenant, id, same, proposer, body, commitment, salt, why, proposed_at, expires_at)
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            tenant,
            proposal.id.as_bytes().as_slice(),
            proposal.same.as_bytes().as_slice(),
            proposal.proposer.as_str(),
            proposal.body,
            reason.map(|reason| reason.commitment.as_bytes().as_slice()),
            reason.map(|reason| reason.salt.as_bytes().as_slice()),
            reason.map(|reason| reason.text.as_slice()),
            millis(proposal.at),
            millis(proposal.expires_at),
        ],
    )
    .await?;
    outbox::tell_proposal(db, proposal).await?;
    Ok(ProposalOutcome::Made)
}

/// Tells whether a proposal can still be confirmed or withdrawn; one that can is ended by nobody else until the transaction ends.
pub(super) async fn hold_open(
    db: &Db,
    tenant: &TenantId,
    id: ProposalId,
    at: UnixMillis,
) -> Result<bool, Fail> {
    db.exists(
        "SELECT 1 FROM proposal WHERE tenant = $1 AND id = $2 AND ending IS NULL AND expires_at > $3 FOR UPDATE",
        params![tenant.as_str(), id.as_bytes().as_slice(), millis(at)],
    )
    .await
}

/// Ends one proposal that is open.
pub(super) async fn end_one(
    db: &Db,
    tenant: &TenantId,
    id: ProposalId,
    end: &ProposalEnd,
) -> Result<(), Fail> {
    db.execute(
        "UPDATE proposal SET salt = NULL, why = NULL, ending = $3, ended_at = $4, ended_by = $5, sealed = $6
         WHERE tenant = $1 AND id = $2 AND ending IS NULL",
        params![
            tenant.as_str(),
            id.as_bytes().as_slice(),
            end.how.as_str(),
            millis(end.at),
            end.by.as_ref().map(ActorId::as_str),
            end.sealed.map(int),
        ],
    )
    .await
    .map(drop)
}

/// Ends what a person proposed who is anonymous from now on.
pub(super) async fn end_of(
    db: &Db,
    tenant: &TenantId,
    proposer: &ActorId,
    at: UnixMillis,
) -> Result<(), Fail> {
    db.execute(
        "UPDATE proposal SET salt = NULL, why = NULL, ending = 'withdrawn', ended_at = $3
         WHERE tenant = $1 AND proposer = $2 AND ending IS NULL",
        params![tenant.as_str(), proposer.as_str(), millis(at)],
    )
    .await
    .map(drop)
}

/// Ends what nobody confirmed in time, of one tenant or of all, and returns how many. What somebody else ends at this moment is left to
/// them, so that nobody waits for a row while holding another.
async fn expire(db: &Db, tenant: Option<&TenantId>, now: UnixMillis) -> Result<usize, Fail> {
    let ended = db
        .execute(
            "UPDATE proposal SET salt = NULL, why = NULL, ending = 'expired', ended_at = expires_at
             WHERE ending IS NULL AND number IN
               (SELECT number FROM proposal WHERE ending IS NULL AND expires_at <= $1 AND ($2::text IS NULL OR tenant = $2)
                ORDER BY number FOR UPDATE SKIP LOCKED)",
            params![millis(now), tenant.map(TenantId::as_str)],
        )
        .await?;
    Ok(usize::try_from(ended).unwrap_or(usize::MAX))
}
