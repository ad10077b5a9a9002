//! Prometheus metrics. No label ever carries what a caller sent.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gantral_api::problem::Code;
use gantral_core::ids::{Name, TenantId};
use gantral_core::time::UnixMillis;
use gantral_engine::{Ticked, state_of};
use gantral_oidc::ProviderStatus;
use gantral_policy::opa::{BreakerState, OpaStatus};
use gantral_store::StoreCounts;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::archive::ArchiveMetrics;
pub(crate) use self::logs::Logged;
use self::logs::{LogMetrics, TenantLabel};
use self::tenants::TenantMetrics;
pub(crate) use self::tenants::TenantUsage;
pub(crate) use self::told::Told;
use self::told::ToldMetrics;
use crate::archive::ArchiveStanding;
use crate::readiness::Check;

mod archive;
mod logs;
mod tenants;
mod told;

/// Upper bounds of request durations, in seconds. Long polls fall beyond the last.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// A label of text that this program chose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Word(String);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0.as_str(), encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: Word,
    route: Word,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EvaluatorLabel {
    evaluator: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabel {
    issuer: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabel {
    check: Word,
}

/// What became of an ask that a candidate was to be evaluated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CandidateAsk {
    Evaluated,
    Failed,
    LeftOut,
    Dropped,
}

impl CandidateAsk {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Evaluated => "evaluated",
            Self::Failed => "failed",
            Self::LeftOut => "left_out",
            Self::Dropped => "dropped",
        }
    }
}

/// What is looked up for an exposition; the rest was counted as it happened.
pub(crate) struct Seen<'a> {
    /// The present instant.
    pub now: UnixMillis,
    /// What the ledger holds.
    pub counts: StoreCounts,
    /// How often policy workers were started again.
    pub restarts: u64,
    /// How the other evaluators are.
    pub evaluators: Vec<(&'a Name, OpaStatus)>,
    /// How far the logs are.
    pub logged: Logged,
    /// How the archive is.
    pub archive: ArchiveStanding,
    /// How the messages are.
    pub told: Told,
    /// How the keys of identity providers are.
    pub providers: Vec<ProviderStatus>,
    /// How many spans were dropped.
    pub spans_dropped: u64,
    /// What a server needs to be ready.
    pub checks: [Check; 6],
    /// How much there is of each tenant.
    pub tenants: Vec<TenantUsage>,
}

/// Returns the gauge of a count.
fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns how many seconds ago an instant was; 0 for none, and for one that is to come.
fn age(instant: Option<UnixMillis>, now: UnixMillis) -> f64 {
    let seconds = instant.map_or(0, |instant| now.since(instant).get() / 1_000);
    f64::from(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// One request that was answered.
pub(crate) struct Request<'a> {
    /// A word for the method, from a closed set.
    pub method: &'static str,
    /// The template of the route.
    pub route: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The code of the problem, if there was one.
    pub code: Option<Code>,
    /// How long it took.
    pub taken: Duration,
}

/// What the server counts.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RouteLabels, Counter>,
    problems: Family<CodeLabel, Counter>,
    duration: Histogram,
    due: Counter,
    lost: Counter,
    stuck: Counter,
    instances: Family<StateLabel, Gauge>,
    open_gates: Gauge,
    oldest_gate: Gauge<f64, AtomicU64>,
    tasks: Gauge,
    oldest_task: Gauge<f64, AtomicU64>,
    restarts: Gauge<f64, AtomicU64>,
    evaluators_away: Family<EvaluatorLabel, Gauge>,
    evaluator_breaks: Family<EvaluatorLabel, Gauge<f64, AtomicU64>>,
    candidates: Family<OutcomeLabel, Counter>,
    logs: LogMetrics,
    issuer_keys_age: Family<IssuerLabel, Gauge<f64, AtomicU64>>,
    issuer_failures: Family<IssuerLabel, Gauge<f64, AtomicU64>>,
    told: ToldMetrics,
    archive: ArchiveMetrics,
    tenants: TenantMetrics,
    spans_dropped: Gauge<f64, AtomicU64>,
    not_ready: Family<CheckLabel, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("gantral"),
            requests: Family::default(),
            problems: Family::default(),
            duration: Histogram::new(SECONDS),
            due: Counter::default(),
            lost: Counter::default(),
            stuck: Counter::default(),
            instances: Family::default(),
            open_gates: Gauge::default(),
            oldest_gate: Gauge::default(),
            tasks: Gauge::default(),
            oldest_task: Gauge::default(),
            restarts: Gauge::default(),
            evaluators_away: Family::default(),
            evaluator_breaks: Family::default(),
            candidates: Family::default(),
            logs: LogMetrics::default(),
            issuer_keys_age: Family::default(),
            issuer_failures: Family::default(),
            told: ToldMetrics::default(),
            archive: ArchiveMetrics::default(),
            tenants: TenantMetrics::default(),
            spans_dropped: Gauge::default(),
            not_ready: Family::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests by route and status", self.requests.clone());
        registry.register("problems", "Refusals and errors by code", self.problems.clone());
        registry.register("http_request_seconds", "How long requests took", self.duration.clone());
        registry.register("due_sealed", "Instances whose due steps the scheduler sealed", self.due.clone());
        registry.register("attempts_lost", "Attempts whose lease was over", self.lost.clone());
        registry.register(
            "scheduler_failures",
            "Instances that the scheduler could not move",
            self.stuck.clone(),
        );
        registry.register("instances", "Instances by state", self.instances.clone());
        registry.register("gates_open", "Gates that wait for humans", self.open_gates.clone());
        registry.register(
            "gates_oldest_seconds",
            "How long the gate that has waited longest has done so; 0 without any",
            self.oldest_gate.clone(),
        );
        registry.register("runner_tasks", "Tasks that wait for a runner", self.tasks.clone());
        registry.register(
            "runner_tasks_oldest_seconds",
            "How long the task that has waited longest could have been claimed; 0 without any",
            self.oldest_task.clone(),
        );
        registry.register("policy_worker_restarts", "Restarts of policy workers", self.restarts.clone());
        registry.register(
            "policy_evaluator_away",
            "1 while the breaker of a policy evaluator is open, else 0",
            self.evaluators_away.clone(),
        );
        registry.register(
            "policy_evaluator_breaks",
            "How many times the breaker of a policy evaluator opened",
            self.evaluator_breaks.clone(),
        );
        registry.register(
            "policy_candidate_asks",
            "Asks that policy candidates were to be evaluated for, by what became of them",
            self.candidates.clone(),
        );
        self.logs.register(registry);
        registry.register(
            "issuer_keys_age_seconds",
            "How long ago the keys of an identity provider were fetched; -1 while none are believed",
            self.issuer_keys_age.clone(),
        );
        registry.register(
            "issuer_keys_failures",
            "How often the keys of an identity provider could not be had since the start",
            self.issuer_failures.clone(),
        );
        self.told.register(registry);
        self.archive.register(registry);
        self.tenants.register(registry);
        let registry = &mut self.registry;
        registry.register(
            "telemetry_spans_dropped",
            "Spans that the collector did not take, or that had no room in the queue, since the start",
            self.spans_dropped.clone(),
        );
        registry.register(
            "not_ready",
            "1 while a server is not ready for the sake of this, as `/readyz` says, else 0",
            self.not_ready.clone(),
        );
        self
    }

    pub(crate) fn request(&self, request: &Request<'_>) {
        self.duration.observe(request.taken.as_secs_f64());
        let labels = RouteLabels {
            method: Word(request.method.to_owned()),
            route: Word(request.route.to_owned()),
            status: u32::from(request.status),
        };
        self.requests.get_or_create(&labels).inc();
        if let Some(code) = request.code {
            self.problems.get_or_create(&CodeLabel { code: Word(code.as_str().to_owned()) }).inc();
        }
    }

    pub(crate) fn candidate(&self, outcome: CandidateAsk, asks: u64) {
        let label = OutcomeLabel { outcome: Word(outcome.as_str().to_owned()) };
        self.candidates.get_or_create(&label).inc_by(asks);
    }

    /// Counts a command of a tenant that came too fast.
    pub(crate) fn too_fast(&self, tenant: &TenantId) {
        self.tenants.too_fast(tenant);
    }

    /// Counts executions of a tenant whose content was erased because it was kept for its time.
    pub(crate) fn content_erased(&self, tenant: &TenantId, instances: u64) {
        self.tenants.content_erased(tenant, instances);
    }

    pub(crate) fn ticked(&self, ticked: &Ticked) {
        for (counter, count) in
            [(&self.due, ticked.due), (&self.lost, ticked.lost), (&self.stuck, ticked.failed)]
        {
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// Returns the text exposition.
    pub(crate) fn exposition(&self, seen: &Seen<'_>) -> Result<String, std::fmt::Error> {
        let Seen {
            now,
            counts,
            restarts,
            evaluators,
            logged,
            archive,
            told,
            providers,
            spans_dropped,
            checks,
            tenants,
        } = seen;
        self.instances.clear();
        for (code, count) in &counts.instances {
            let state = state_of(*code).map_or("unknown", |state| state.as_str()).to_owned();
            self.instances.get_or_create(&StateLabel { state: Word(state) }).set(gauge(*count));
        }
        self.open_gates.set(gauge(counts.open_gates));
        self.oldest_gate.set(age(counts.oldest_gate, *now));
        self.tasks.set(gauge(counts.tasks));
        self.oldest_task.set(age(counts.oldest_task, *now));
        self.restarts.set(f64::from(u32::try_from(*restarts).unwrap_or(u32::MAX)));
        for (name, status) in evaluators {
            let label = EvaluatorLabel { evaluator: Word(name.as_str().to_owned()) };
            let away = status.breaker != BreakerState::Closed;
            self.evaluators_away.get_or_create(&label).set(i64::from(away));
            let breaks = f64::from(u32::try_from(status.opened).unwrap_or(u32::MAX));
            self.evaluator_breaks.get_or_create(&label).set(breaks);
        }
        self.logs.show(logged);
        self.archive.show(archive);
        self.tenants.show(tenants);
        self.spans_dropped.set(f64::from(u32::try_from(*spans_dropped).unwrap_or(u32::MAX)));
        for Check { name, wrong } in checks {
            let label = CheckLabel { check: Word((*name).to_owned()) };
            self.not_ready.get_or_create(&label).set(i64::from(wrong.is_some()));
        }
        self.told.show(told, *now);
        for provider in providers {
            let label = IssuerLabel { issuer: Word(provider.issuer.clone()) };
            let age = provider.age.map_or(-1.0, |age| age.as_secs_f64());
            self.issuer_keys_age.get_or_create(&label).set(age);
            let failures = f64::from(u32::try_from(provider.failures).unwrap_or(u32::MAX));
            self.issuer_failures.get_or_create(&label).set(failures);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
