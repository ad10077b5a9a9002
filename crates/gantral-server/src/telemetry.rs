//! The section `[telemetry]` of the configuration, and what is traced: each request of the API and the console, and within it what policy and signer took.
//!
//! Spans hold words of ours and identifiers, never a parameter, a name of somebody, a path as it was sent, or a token.
//!
//! An instance has a trace of its own, whose digits are those of its id: what is written to it is there unless its caller has a trace, and a runner tells it
//! to each process that it launches. So one gate is one trace, from the ask to what the fresh process did, and nothing has to be kept for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use gantral_core::ids::InstanceId;
use gantral_core::policy::{EvalFailure, PolicyVersionId};
use gantral_engine::policy_point::{Answered, BoxFuture, PolicyPoint};
use gantral_evidence::keys::PublicKey;
use gantral_keys::{SignError, Signature, Signer, SigningContext};
use gantral_trace::{Context, Exporter, Span, TraceConfig, TraceError, Tracer, Value, child, note};
use serde::Deserialize;

/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";
/// Of a hundred traces that begin here so many are recorded, unless it is said otherwise: all.
const SAMPLE_DEFAULT: u8 = 100;
/// Routes that are asked all the time by whatever watches the server, and are no part of anything.
const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// What the paths of one instance begin with, up to its id.
const OF_INSTANCE: [&str; 2] = ["/v1/instances/", "/v1/calls/"];
/// What is written again and again while an instance lives, and says nothing of what became of it.
const BEATS: &str = "/heartbeat";
/// The member that says which instance a span is about.
const INSTANCE: &str = "gantral.instance_id";

/// The section `[telemetry]`. Without `otlp_endpoint` nothing is traced.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// The collector that takes OTLP over HTTP: the address above `/v1/traces`; plain `http` is for loopback.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
    /// The authorities to trust for it, PEM; those of the system when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Of a hundred traces that begin here so many are recorded; all when absent. Those of a caller are recorded as the caller says.
    #[serde(default)]
    pub sample_percent: Option<u8>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector, or how often.
    #[error("`telemetry`: {0}")]
    Trace(#[from] TraceError),
    /// How spans are sent, and not where.
    #[error("`telemetry` names no `otlp_endpoint`: without one nothing is traced")]
    NoEndpoint,
}

/// What traces, and what carries what was traced, for whoever serves.
#[derive(Default)]
pub struct Telemetry {
    pub(crate) tracer: Tracer,
    exporter: Mutex<Option<Exporter>>,
}

impl TelemetrySettings {
    /// Reads the section. Connects to nothing.
    ///
    /// # Errors
    /// `TelemetryError`, naming the member.
    pub fn open(&self) -> Result<Telemetry, TelemetryError> {
        let Self { otlp_endpoint, ca_file, sample_percent } = self;
        let Some(endpoint) = otlp_endpoint else {
            let silent = ca_file.is_none() && sample_percent.is_none();
            return if silent { Ok(Telemetry::default()) } else { Err(TelemetryError::NoEndpoint) };
        };
        let (tracer, exporter) = Tracer::start(&TraceConfig {
            endpoint: endpoint.clone(),
            ca_file: ca_file.clone(),
            sample_percent: sample_percent.unwrap_or(SAMPLE_DEFAULT),
            service: "gantral",
            version: env!("CARGO_PKG_VERSION"),
        })?;
        Ok(Telemetry { tracer, exporter: Mutex::new(Some(exporter)) })
    }
}

impl Telemetry {
    /// Hands out what carries spans, once.
    pub(crate) fn take(&self) -> Option<Exporter> {
        self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Begins the span of a request.
    pub(crate) fn request(&self, method: &'static str, route: &str, uri: &Uri, headers: &HeaderMap) -> Span {
        if WATCHED.contains(&route) {
            return Span::default();
        }
        let parent = headers.get(TRACEPARENT).and_then(|value| Context::parse(value.to_str().ok()?));
        let instance = instance_of(uri.path());
        let writes = method == "POST" && !route.ends_with(BEATS);
        let own = instance.filter(|_| writes).and_then(|id| self.tracer.of_number(id.as_bytes()));
        let (parent, linked) = match parent {
            None => (own, None),
            Some(parent) => {
                let elsewhere = own.filter(|own| !own.is_same_trace(&parent));
                (Some(parent), elsewhere)
            }
        };
        let span = self.tracer.request(format!("{method} {route}"), parent, linked);
        span.set("http.request.method", Value::Text(method.to_owned()));
        span.set("http.route", Value::Text(route.to_owned()));
        if let Some(id) = instance {
            span.set(INSTANCE, Value::Text(id.to_string()));
        }
        span
    }

    /// Begins the trace of an instance.
    pub(crate) fn created(&self, instance: InstanceId) {
        let members = vec![(INSTANCE, Value::Text(instance.to_string()))];
        self.tracer.begin_number(instance.as_bytes(), "instance", members);
        note(INSTANCE, Value::Text(instance.to_string()));
    }

    /// Begins a span in the trace of an instance, for what was asked for by another name than its own.
    pub(crate) fn of_instance(&self, instance: InstanceId, name: &'static str) -> Span {
        note(INSTANCE, Value::Text(instance.to_string()));
        let Some(own) = self.tracer.of_number(instance.as_bytes()) else { return Span::default() };
        let span = self.tracer.within(&own, name);
        span.set(INSTANCE, Value::Text(instance.to_string()));
        span
    }

    /// Returns the header `traceparent` that puts a process into the trace of its instance; `None` where nothing is traced.
    pub(crate) fn traceparent(&self, instance: InstanceId) -> Option<String> {
        self.tracer.of_number(instance.as_bytes()).map(|own| own.to_string())
    }
}

/// Returns the instance that a path is about: what is no id was sent by somebody, and is not repeated.
fn instance_of(path: &str) -> Option<InstanceId> {
    let rest = OF_INSTANCE.iter().find_map(|begin| path.strip_prefix(begin))?;
    InstanceId::parse(rest.split('/').next()?).ok()
}

/// Ends the span of a request that was answered.
pub(crate) fn answered(span: Span, request_id: &str, status: u16, code: &str) {
    span.set("http.response.status_code", Value::Int(status.into()));
    span.set("gantral.request_id", Value::Text(request_id.to_owned()));
    if !code.is_empty() {
        span.set("gantral.code", Value::Text(code.to_owned()));
    }
    if status >= 500 {
        span.fail(code);
    }
    span.end();
}

/// A policy point whose evaluations are spans.
pub struct TracedPoint(pub Arc<dyn PolicyPoint>);

impl PolicyPoint for TracedPoint {
    fn evaluate<'a>(
        &'a self,
        version: PolicyVersionId,
        input: &'a [u8],
        limit: Duration,
    ) -> BoxFuture<'a, Answered> {
        Box::pin(async move {
            let span = child("evaluate policy");
            let answered = self.0.evaluate(version, input, limit).await;
            span.set("gantral.policy_version_id", Value::Text(version.0.to_hex()));
            match &answered.result {
                Ok(evaluation) => {
                    span.set("gantral.verdict", Value::Text(evaluation.verdict.as_str().to_owned()));
                }
                Err(failure) => span.fail(failure.as_str()),
            }
            span.end();
            answered
        })
    }

    fn ready<'a>(&'a self, version: PolicyVersionId) -> BoxFuture<'a, Result<(), EvalFailure>> {
        self.0.ready(version)
    }
}

/// A signer whose signatures are spans.
pub struct TracedSigner(pub Arc<dyn Signer>);

impl Signer for TracedSigner {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(async move {
            let span = child("sign");
            let signed = self.0.sign(context, message).await;
            if signed.is_err() {
                span.fail("signer_unavailable");
            }
            span.end();
            signed
        })
    }
}
