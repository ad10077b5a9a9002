//! What clients did under SHADOW while no server answered them: their own count, and no evidence.

use gantral_core::ids::{Name, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;

use crate::error::StoreError;
use crate::store::Store;

/// The largest number of lines that are read at once.
pub const UNOBSERVED_MAX: usize = 10_000;

/// How often one action of one workflow was done in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unobserved {
    /// The beginning of the hour.
    pub hour: UnixMillis,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The action.
    pub action: Name,
    /// How often.
    pub asks: u64,
}

impl Store {
    /// Counts the lines of one report; one that comes again counts once.
    ///
    /// # Errors
    /// See [`StoreError`]; the same report may be sent again.
    pub async fn count_unobserved(
        &self,
        tenant: &TenantId,
        report: [u8; 16],
        lines: Vec<Unobserved>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.count_unobserved(tenant.clone(), report, lines).await,
            Self::Postgres(store) => store.count_unobserved(tenant.clone(), report, lines).await,
        }
    }

    /// Returns what was counted in hours that begin from `from` to before `to`, by hour, workflow and action, all reports together; at most
    /// [`UNOBSERVED_MAX`] lines.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn unobserved(
        &self,
        tenant: &TenantId,
        (from, to): (UnixMillis, UnixMillis),
    ) -> Result<Vec<Unobserved>, StoreError> {
        match self {
            Self::Sqlite(store) => store.unobserved(tenant.clone(), from, to).await,
            Self::Postgres(store) => store.unobserved(tenant.clone(), from, to).await,
        }
    }
}
