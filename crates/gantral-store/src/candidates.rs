//! Policies that are evaluated beside those in force: operational configuration, and neither governance nor evidence.

use gantral_core::ids::{TeamId, TenantId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;

use crate::error::StoreError;
use crate::store::Store;

/// How many candidates one tenant may have: each ask is evaluated once more for every one whose scope it is in.
pub const CANDIDATES_MAX: usize = 8;

/// What a candidate is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CandidateScope {
    /// Everything of the tenant.
    Tenant,
    /// The workflows of one team.
    Team(TeamId),
    /// One workflow.
    Workflow(WorkflowId),
}

impl CandidateScope {
    /// Returns the columns of a scope: its kind, and the name within it, which is empty for the tenant.
    pub(crate) fn place(&self) -> (&'static str, &str) {
        match self {
            Self::Tenant => ("tenant", ""),
            Self::Team(team) => ("team", team.as_str()),
            Self::Workflow(workflow) => ("workflow", workflow.as_str()),
        }
    }
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyCandidate {
    /// The tenant.
    pub tenant: TenantId,
    /// For what; each scope has one at most.
    pub scope: CandidateScope,
    /// The published version.
    pub version: PolicyVersionId,
    /// When it was named.
    pub set_at: UnixMillis,
}

/// What came of naming a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateOutcome {
    /// It is the scope's from now on, instead of another one if there was one.
    Set,
    /// It was so already; when it was named has not changed.
    Same,
    /// The tenant has [`CANDIDATES_MAX`] of them; nothing was written.
    Full,
}

impl Store {
    /// Names the candidate of a scope.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn set_policy_candidate(
        &self,
        candidate: PolicyCandidate,
    ) -> Result<CandidateOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.set_policy_candidate(candidate).await,
            Self::Postgres(store) => store.set_policy_candidate(candidate).await,
        }
    }

    /// Forgets the candidate of a scope; tells whether there was one.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn clear_policy_candidate(
        &self,
        tenant: &TenantId,
        scope: &CandidateScope,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.clear_policy_candidate(tenant.clone(), scope.clone()).await,
            Self::Postgres(store) => store.clear_policy_candidate(tenant.clone(), scope.clone()).await,
        }
    }

    /// Returns the candidates of all tenants, by tenant and scope.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn policy_candidates(&self) -> Result<Vec<PolicyCandidate>, StoreError> {
        match self {
            Self::Sqlite(store) => store.policy_candidates().await,
            Self::Postgres(store) => store.policy_candidates().await,
        }
    }
}
