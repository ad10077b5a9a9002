//! What is counted of the archive.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::gauge;
use crate::archive::ArchiveStanding;

/// What is counted of the archives of all tenants.
#[derive(Default)]
pub(super) struct ArchiveMetrics {
    behind: Gauge,
    behind_for: Gauge<f64, AtomicU64>,
    stopped: Gauge,
}

impl ArchiveMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "archive_behind_artifacts",
            "Artifacts that the logs have and the archive has not; 0 without an archive",
            self.behind.clone(),
        );
        registry.register(
            "archive_behind_seconds",
            "For how long the archive has not had all that the logs have",
            self.behind_for.clone(),
        );
        registry.register(
            "archive_stopped",
            "Tenants of which nothing is archived before somebody has looked",
            self.stopped.clone(),
        );
    }

    pub(super) fn show(&self, standing: &ArchiveStanding) {
        self.behind.set(gauge(standing.behind));
        self.behind_for.set(standing.behind_for.as_secs_f64());
        self.stopped.set(i64::try_from(standing.stopped).unwrap_or(i64::MAX));
    }
}
