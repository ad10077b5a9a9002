//! The port to the published checkpoints of the tenants' logs: what artifacts are anchored at, and what releases a grant.

use std::time::Duration;

use gantral_core::ids::{InstanceId, TenantId};
use gantral_evidence::log::tree::TreeHead;

use crate::policy_point::BoxFuture;

/// Knows which checkpoints are published, and who has cosigned them.
///
/// Contract: a checkpoint that was returned for a tenant and a number of witnesses is never followed by a smaller one, also
/// after a restart.
pub trait Checkpoints: Send + Sync {
    /// Returns the newest published checkpoint that at least so many witnesses have cosigned; `None` while there is none.
    fn newest(&self, tenant: &TenantId, witnesses: u8) -> Option<TreeHead>;

    /// Waits at most `limit` until such a checkpoint covers an artifact, and returns it; `None` when none does by then.
    fn covering<'a>(
        &'a self,
        tenant: &'a TenantId,
        instance: InstanceId,
        sequence: u64,
        witnesses: u8,
        limit: Duration,
    ) -> BoxFuture<'a, Option<TreeHead>>;

    /// Tells whether every grant is used only once such a checkpoint covers it, also where its workflow does not ask for that: the server
    /// keeps an archive that must have it first.
    fn release_waits(&self) -> bool {
        false
    }
}

/// Where no log is kept: nothing is anchored, and a workflow that waits for the log waits in vain.
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn newest(&self, _: &TenantId, _: u8) -> Option<TreeHead> {
        None
    }

    fn covering<'a>(
        &'a self,
        _: &'a TenantId,
        _: InstanceId,
        _: u64,
        _: u8,
        _: Duration,
    ) -> BoxFuture<'a, Option<TreeHead>> {
        Box::pin(std::future::ready(None))
    }
}
