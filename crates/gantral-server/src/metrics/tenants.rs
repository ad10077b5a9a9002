//! What is counted of each tenant, beside what it may have.

use gantral_core::ids::TenantId;
use gantral_store::{Room, Usage};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{TenantLabel, gauge};

/// How much there is of a tenant, and how much there may be.
#[derive(Debug, Clone)]
pub(crate) struct TenantUsage {
    pub tenant: TenantId,
    pub usage: Usage,
    pub room: Room,
}

/// What is counted of each tenant.
#[derive(Default)]
pub(super) struct TenantMetrics {
    open: Family<TenantLabel, Gauge>,
    open_max: Family<TenantLabel, Gauge>,
    bytes: Family<TenantLabel, Gauge>,
    bytes_max: Family<TenantLabel, Gauge>,
    too_fast: Family<TenantLabel, Counter>,
    content_erased: Family<TenantLabel, Counter>,
}

impl TenantMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tenant_open_instances",
            "Instances of a tenant that have not ended",
            self.open.clone(),
        );
        registry.register(
            "tenant_open_instances_max",
            "How many may be; absent where there is no limit",
            self.open_max.clone(),
        );
        registry.register(
            "tenant_stored_bytes",
            "Bytes of artifacts, of what they commit to, and of policy bundles that are kept of a tenant",
            self.bytes.clone(),
        );
        registry.register(
            "tenant_stored_bytes_max",
            "How many may be before nothing new begins; absent where there is no limit",
            self.bytes_max.clone(),
        );
        registry.register(
            "tenant_rate_exceeded",
            "Commands of a tenant that this server refused because they came too fast",
            self.too_fast.clone(),
        );
        registry.register(
            "tenant_content_erased",
            "Executions of a tenant whose content this server erased because it was kept for its time",
            self.content_erased.clone(),
        );
    }

    pub(super) fn too_fast(&self, tenant: &TenantId) {
        self.too_fast.get_or_create(&TenantLabel::of(tenant)).inc();
    }

    pub(super) fn content_erased(&self, tenant: &TenantId, instances: u64) {
        self.content_erased.get_or_create(&TenantLabel::of(tenant)).inc_by(instances);
    }

    pub(super) fn show(&self, tenants: &[TenantUsage]) {
        for TenantUsage { tenant, usage, room } in tenants {
            let label = TenantLabel::of(tenant);
            self.open.get_or_create(&label).set(gauge(usage.open));
            self.bytes.get_or_create(&label).set(gauge(usage.bytes));
            for (family, most) in [(&self.open_max, room.open_max), (&self.bytes_max, room.bytes_max)] {
                if let Some(most) = most {
                    family.get_or_create(&label).set(gauge(most));
                }
            }
        }
    }
}
