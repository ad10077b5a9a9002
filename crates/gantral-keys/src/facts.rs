//! What an artifact says about itself that a delegation may limit. Artifacts of instances and of governance say it alike.

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::json::{self, Profile, Value};
use gantral_core::time::UnixMillis;
use gantral_evidence::delegation::KeyDelegation;

use crate::form::artifact_payload;

/// Tenant, log and instant of an artifact.
pub(crate) struct Facts {
    tenant: TenantId,
    origin: LogOrigin,
    at: UnixMillis,
}

impl Facts {
    /// Reads them from the bytes that are signed; `None` when they are no artifact's.
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        let statement = json::parse(artifact_payload(message)?, &Profile::ARTIFACT).ok()?;
        let predicate = statement.get("predicate")?;
        let text = |member| predicate.get(member).and_then(Value::as_str);
        Some(Self {
            tenant: TenantId::parse(text("tenant_id")?).ok()?,
            origin: LogOrigin::parse(text("log_origin")?).ok()?,
            at: UnixMillis::parse(text("issued_at")?).ok()?,
        })
    }

    /// Tells whether a delegate may sign the artifact.
    pub(crate) fn are_permitted(&self, delegation: &KeyDelegation) -> bool {
        delegation.permits(&self.tenant, &self.origin, self.at).is_ok()
    }
}
