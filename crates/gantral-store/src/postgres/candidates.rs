//! Policies that are evaluated beside those in force.

use gantral_core::ids::TenantId;

use super::PostgresStore;
use super::columns::{count, digest, millis};
use super::db::{Db, params};
use super::locks::{self, On};
use super::writer::Fail;
use crate::candidates::{CANDIDATES_MAX, CandidateOutcome, CandidateScope, PolicyCandidate};
use crate::decoded::{self, CANDIDATE};
use crate::error::StoreError;

impl PostgresStore {
    pub(crate) async fn set_policy_candidate(
        &self,
        candidate: PolicyCandidate,
    ) -> Result<CandidateOutcome, StoreError> {
        self.write(candidate, |candidate, db, _| Box::pin(async move { set(db, candidate).await })).await
    }

    pub(crate) async fn clear_policy_candidate(
        &self,
        tenant: TenantId,
        scope: CandidateScope,
    ) -> Result<bool, StoreError> {
        self.write((tenant, scope), |(tenant, scope), db, _| {
            Box::pin(async move {
                let (kind, name) = scope.place();
                let cleared = db
                    .execute(
                        "DELETE FROM policy_candidate WHERE tenant = $1 AND kind = $2 AND name = $3",
                        params![tenant.as_str(), kind, name],
                    )
                    .await?;
                Ok(cleared > 0)
            })
        })
        .await
    }

    pub(crate) async fn policy_candidates(&self) -> Result<Vec<PolicyCandidate>, StoreError> {
        let db = self.db().await?;
        let found = db
            .query(
                &format!("SELECT {CANDIDATE} FROM policy_candidate ORDER BY tenant, kind, name"),
                params![],
            )
            .await?;
        Ok(found.iter().map(decoded::candidate).collect::<Result<_, _>>()?)
    }
}

async fn set(db: &Db, candidate: &PolicyCandidate) -> Result<CandidateOutcome, Fail> {
    let PolicyCandidate { tenant, scope, version, set_at } = candidate;
    let (kind, name) = scope.place();
    locks::alone(db, On::Candidates, &[tenant.as_str()]).await?;
    let present = db
        .first(
            "SELECT version FROM policy_candidate WHERE tenant = $1 AND kind = $2 AND name = $3",
            params![tenant.as_str(), kind, name],
        )
        .await?;
    let present = present.map(|row| digest(&row, 0)).transpose()?;
    if present == Some(version.0) {
        return Ok(CandidateOutcome::Same);
    }
    let counted =
        db.first("SELECT count(*) FROM policy_candidate WHERE tenant = $1", params![tenant.as_str()]).await?;
    let counted = counted.map_or(Ok(0), |row| count(&row, 0))?;
    if present.is_none() && counted >= CANDIDATES_MAX as u64 {
        return Ok(CandidateOutcome::Full);
    }
    db.execute(
        "INSERT INTO policy_candidate(tenant, kind, name, version, set_at) VALUES($1, $2, $3, $4, $5)
         ON CONFLICT(tenant, kind, name) DO UPDATE SET version = excluded.version, set_at = excluded.set_at",
        params![tenant.as_str(), kind, name, version.0.as_bytes().as_slice(), millis(*set_at)],
    )
    .await?;
    Ok(CandidateOutcome::Set)
}
