//! Bundles for the policy workers, from the store.

use gantral_core::ids::TenantId;
use gantral_core::policy::PolicyVersionId;
use gantral_engine::policy_point::BoxFuture;
use gantral_policy::{BundleSource, SourceUnavailable};
use gantral_store::Store;

/// Gives workers the bundles that the store holds. A bundle is found by its content digest and verified against it
/// when it is loaded, so a tenant that knows a digest gets no more than the bytes that it names.
pub struct StoredBundles {
    store: Store,
    tenants: Vec<TenantId>,
}

impl StoredBundles {
    /// Serves the bundles of these tenants.
    pub fn new(store: Store, tenants: Vec<TenantId>) -> Self {
        Self { store, tenants }
    }
}

impl BundleSource for StoredBundles {
    fn bundle(&self, version: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>> {
        Box::pin(async move {
            for tenant in &self.tenants {
                let found = self.store.policy_bundle(tenant, version).await.map_err(|_| SourceUnavailable)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        })
    }
}
