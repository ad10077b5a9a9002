//! Prometheus metrics. No label ever carries what a caller sent.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gantral_api::problem::Code;
use gantral_core::ids::Name;
use gantral_core::time::UnixMillis;
use gantral_engine::{Ticked, state_of};
use gantral_notify::ChannelStatus;
use gantral_oidc::ProviderStatus;
use gantral_policy::opa::{BreakerState, OpaStatus};
use gantral_store::{OutboxCount, StoreCounts};
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
struct ChannelLabel {
    channel: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabel {
    issuer: Word,
}

/// What is known of the channels.
pub(crate) struct Told {
    /// Since the start.
    pub channels: Vec<ChannelStatus>,
    /// What stands in the outbox.
    pub counts: Vec<OutboxCount>,
    /// The present instant.
    pub now: UnixMillis,
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
    candidates: Family<OutcomeLabel, Counter>,
    logs_stopped: Gauge,
    issuer_keys_age: Family<IssuerLabel, Gauge<f64, AtomicU64>>,
    issuer_failures: Family<IssuerLabel, Gauge<f64, AtomicU64>>,
    told: ToldMetrics,
}

/// What is counted of each channel.
#[derive(Default)]
struct ToldMetrics {
    waiting: Family<ChannelLabel, Gauge>,
    oldest: Family<ChannelLabel, Gauge<f64, AtomicU64>>,
    dead: Family<ChannelLabel, Gauge>,
    delivered: Family<ChannelLabel, Gauge<f64, AtomicU64>>,
    failed: Family<ChannelLabel, Gauge<f64, AtomicU64>>,
    gone: Family<ChannelLabel, Gauge>,
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
            candidates: Family::default(),
            logs_stopped: Gauge::default(),
            issuer_keys_age: Family::default(),
            issuer_failures: Family::default(),
            told: ToldMetrics::default(),
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
        registry.register(
            "policy_candidate_asks",
            "Asks that policy candidates were to be evaluated for, by what became of them",
            self.candidates.clone(),
        );
        registry.register("logs_stopped", "Logs that stand still", self.logs_stopped.clone());
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
        told: &Told,
        providers: &[ProviderStatus],
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
        self.told.show(told);
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

impl ToldMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("notifications_waiting", "Messages that wait for a channel", self.waiting.clone());
        registry.register(
            "notifications_oldest_seconds",
            "How long the oldest of them has waited",
            self.oldest.clone(),
        );
        registry.register("notifications_dead", "Messages that were given up", self.dead.clone());
        registry.register(
            "notifications_delivered",
            "Messages that a channel has taken since the start",
            self.delivered.clone(),
        );
        registry.register("notifications_failed", "Tries that failed since the start", self.failed.clone());
        registry.register(
            "notifications_channel_gone",
            "1 once a channel has answered 410, until the next start",
            self.gone.clone(),
        );
    }

    fn show(&self, told: &Told) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let sum = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        for channel in &told.channels {
            let label = ChannelLabel { channel: Word(channel.name.as_str().to_owned()) };
            let count = told.counts.iter().find(|count| count.recipient == channel.name);
            self.waiting.get_or_create(&label).set(gauge(count.map_or(0, |count| count.waiting)));
            self.dead.get_or_create(&label).set(gauge(count.map_or(0, |count| count.dead)));
            let oldest = count.and_then(|count| count.oldest);
            let waited = oldest.map_or(0, |oldest| told.now.since(oldest).get() / 1_000);
            self.oldest.get_or_create(&label).set(sum(waited));
            self.delivered.get_or_create(&label).set(sum(channel.delivered));
            self.failed.get_or_create(&label).set(sum(channel.failed));
            self.gone.get_or_create(&label).set(i64::from(channel.gone));
        }
    }
}
