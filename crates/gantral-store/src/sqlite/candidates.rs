//! Policies that are evaluated beside those in force.

use gantral_core::ids::TenantId;
use rusqlite::{OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{digest, millis, rows};
use crate::candidates::{CANDIDATES_MAX, CandidateOutcome, CandidateScope, PolicyCandidate};
use crate::decoded::{self, CANDIDATE};
use crate::error::StoreError;

impl SqliteStore {
    pub(crate) async fn set_policy_candidate(
        &self,
        candidate: PolicyCandidate,
    ) -> Result<CandidateOutcome, StoreError> {
        self.write(move |connection, _| {
            let PolicyCandidate { tenant, scope, version, set_at } = &candidate;
            let (kind, name) = scope.place();
            let present = connection
                .prepare_cached("SELECT version FROM policy_candidate WHERE tenant = ?1 AND kind = ?2 AND name = ?3")?
                .query_row(params![tenant.as_str(), kind, name], |row| digest(row, 0))
                .optional()?;
            if present == Some(version.0) {
                return Ok(CandidateOutcome::Same);
            }
            let count: i64 = connection
                .prepare_cached("SELECT count(*) FROM policy_candidate WHERE tenant = ?1")?
                .query_row([tenant.as_str()], |row| row.get(0))?;
            if present.is_none() && count >= rows(CANDIDATES_MAX) {
                return Ok(CandidateOutcome::Full);
            }
            connection
                .prepare_cached(
                    "INSERT INTO policy_candidate(tenant, kind, name, version, set_at) VALUES(?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT(tenant, kind, name) DO UPDATE SET version = excluded.version, set_at = excluded.set_at",
                )?
                .execute(params![tenant.as_str(), kind, name, version.0.as_bytes(), millis(*set_at)])?;
            Ok(CandidateOutcome::Set)
        })
        .await
    }

    pub(crate) async fn clear_policy_candidate(
        &self,
        tenant: TenantId,
        scope: CandidateScope,
    ) -> Result<bool, StoreError> {
        self.write(move |connection, _| {
            let (kind, name) = scope.place();
            let cleared = connection
                .prepare_cached("DELETE FROM policy_candidate WHERE tenant = ?1 AND kind = ?2 AND name = ?3")?
                .execute(params![tenant.as_str(), kind, name])?;
            Ok(cleared > 0)
        })
        .await
    }

    pub(crate) async fn policy_candidates(&self) -> Result<Vec<PolicyCandidate>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {CANDIDATE} FROM policy_candidate ORDER BY tenant, kind, name"
            ))?;
            let found = select.query_map([], |row| decoded::candidate(row))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}
