//! Content that was kept for as long as somebody wanted it: what commitments of instances stand for that ended long ago. It is erased, and nothing that
//! verifies with it: every artifact, every commitment stays.
//!
//! An instance is looked at from the oldest on, and is written down once its content is gone, so that nobody looks again. Doing it twice, or on several
//! servers at once, erases nothing more.

use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;

use crate::append::Head;
use crate::error::StoreError;
use crate::page::Cursor;
use crate::rows::InstanceRow;
use crate::store::Store;

/// The most instances of one page; a larger limit gets this many.
pub const ENDED_PAGE_MAX: usize = 256;

/// Instances that have ended, and where the list goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndedPage {
    /// Those whose content is there, as far as is known. A page may be empty and another one follow.
    pub ended: Vec<InstanceRow>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Cursor>,
}

/// What was erased of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentErased {
    /// How many commitments nothing opens any more.
    pub snapshots: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

impl Store {
    /// Lists instances of a tenant that have ended, that were created before an instant and whose content is not written down as erased, from the
    /// oldest on. `limit` is how many rows are looked at, at most [`ENDED_PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn ended_before(
        &self,
        tenant: &TenantId,
        created_before: UnixMillis,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<EndedPage, StoreError> {
        let limit = limit.clamp(1, ENDED_PAGE_MAX);
        match self {
            Self::Sqlite(store) => store.ended_before(tenant.clone(), created_before, after, limit).await,
            Self::Postgres(store) => store.ended_before(tenant.clone(), created_before, after, limit).await,
        }
    }

    /// Erases what the commitments of an instance stand for, and writes down that it was done, if its head is still this one and it has ended; `None`
    /// if not, or if that is written down already. A file keeps nothing of what was erased when this returns, unless a reader holds its write-ahead log;
    /// a database keeps it until it has vacuumed.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn erase_content(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        head: Head,
        at: UnixMillis,
    ) -> Result<Option<ContentErased>, StoreError> {
        match self {
            Self::Sqlite(store) => store.erase_content(tenant.clone(), instance, head, at).await,
            Self::Postgres(store) => store.erase_content(tenant.clone(), instance, head, at).await,
        }
    }
}

/// Cuts rows that were looked at to a page; of each it is said whether it has ended and its content is not written down as erased.
pub(crate) fn page(looked_at: Vec<(InstanceRow, bool)>, limit: usize) -> EndedPage {
    let more = looked_at.len() >= limit;
    let next = looked_at.last().filter(|_| more).map(|(row, _)| row.cursor());
    EndedPage { ended: looked_at.into_iter().filter(|(_, is)| *is).map(|(row, _)| row).collect(), next }
}
