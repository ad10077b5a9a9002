//! Prometheus metrics. No label ever carries what a caller sent.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gantral_api::problem::Code;
use gantral_core::ids::Name;
use gantral_engine::{Ticked, state_of};
use gantral_policy::opa::{BreakerState, OpaStatus};
use gantral_store::StoreCounts;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

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
struct StateLabel {
    state: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EvaluatorLabel {
    evaluator: Word,
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
    tasks: Gauge,
    restarts: Gauge<f64, AtomicU64>,
    evaluators_away: Family<EvaluatorLabel, Gauge>,
    evaluator_breaks: Family<EvaluatorLabel, Gauge<f64, AtomicU64>>,
    logs_stopped: Gauge,
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
            tasks: Gauge::default(),
            restarts: Gauge::default(),
            evaluators_away: Family::default(),
            evaluator_breaks: Family::default(),
            logs_stopped: Gauge::default(),
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
        registry.register("runner_tasks", "Tasks that wait for a runner", self.tasks.clone());
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
        registry.register("logs_stopped", "Logs that stand still", self.logs_stopped.clone());
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

    pub(crate) fn ticked(&self, ticked: &Ticked) {
        for (counter, count) in
            [(&self.due, ticked.due), (&self.lost, ticked.lost), (&self.stuck, ticked.failed)]
        {
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// Returns the text exposition.
    pub(crate) fn exposition(
        &self,
        counts: &StoreCounts,
        restarts: u64,
        evaluators: &[(&Name, OpaStatus)],
        logs_stopped: usize,
    ) -> Result<String, std::fmt::Error> {
        self.instances.clear();
        for (code, count) in &counts.instances {
            let state = state_of(*code).map_or("unknown", |state| state.as_str()).to_owned();
            self.instances
                .get_or_create(&StateLabel { state: Word(state) })
                .set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        self.open_gates.set(i64::try_from(counts.open_gates).unwrap_or(i64::MAX));
        self.tasks.set(i64::try_from(counts.tasks).unwrap_or(i64::MAX));
        self.restarts.set(f64::from(u32::try_from(restarts).unwrap_or(u32::MAX)));
        for (name, status) in evaluators {
            let label = EvaluatorLabel { evaluator: Word(name.as_str().to_owned()) };
            let away = status.breaker != BreakerState::Closed;
            self.evaluators_away.get_or_create(&label).set(i64::from(away));
            let breaks = f64::from(u32::try_from(status.opened).unwrap_or(u32::MAX));
            self.evaluator_breaks.get_or_create(&label).set(breaks);
        }
        self.logs_stopped.set(i64::try_from(logs_stopped).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
