//! What is counted of the transparency logs.

use gantral_core::ids::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Word, gauge};

/// Tenants are named by the configuration, not by callers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TenantLabel {
    tenant: Word,
}

impl TenantLabel {
    pub(super) fn of(tenant: &TenantId) -> Self {
        Self { tenant: Word(tenant.as_str().to_owned()) }
    }
}

/// How far the logs are.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    /// How many stand still.
    pub still: usize,
    /// How many numbers of artifacts the ledger is ahead of what the logs have taken.
    pub behind: u64,
    /// How many leaves each log has, and the newest tree of it that all witnesses have cosigned; `None` without witnesses.
    pub leaves: Vec<(TenantId, u64, Option<u64>)>,
}

/// What is counted of all logs.
#[derive(Default)]
pub(super) struct LogMetrics {
    stopped: Gauge,
    behind: Gauge,
    leaves: Family<TenantLabel, Gauge>,
    witnessed: Family<TenantLabel, Gauge>,
}

impl LogMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("logs_stopped", "Logs that stand still", self.stopped.clone());
        registry.register(
            "log_behind_artifacts",
            "Artifacts that are committed and in no log yet; more, by gaps in their numbers, on PostgreSQL",
            self.behind.clone(),
        );
        registry.register("log_leaves", "Leaves of the log of a tenant", self.leaves.clone());
        registry.register(
            "log_witnessed_leaves",
            "Leaves of the newest tree that every witness has cosigned",
            self.witnessed.clone(),
        );
    }

    pub(super) fn show(&self, logged: &Logged) {
        self.stopped.set(i64::try_from(logged.still).unwrap_or(i64::MAX));
        self.behind.set(gauge(logged.behind));
        for (tenant, leaves, witnessed) in &logged.leaves {
            let label = TenantLabel::of(tenant);
            self.leaves.get_or_create(&label).set(gauge(*leaves));
            if let Some(witnessed) = witnessed {
                self.witnessed.get_or_create(&label).set(gauge(*witnessed));
            }
        }
    }
}
