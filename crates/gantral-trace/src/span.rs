//! Spans: begun, told about, and ended, which queues them for the collector.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use opentelemetry::trace::{
    FutureExt as _, Link, SpanId, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context as Current, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanEvents, SpanLinks};

use crate::context::Context;
use crate::queue::Queue;

/// The most members of one span: a loop that tells the same over and over would be a mistake of ours.
const MEMBERS_MAX: u32 = 32;

/// Begins spans. One that is off costs nothing. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

/// What begins spans, found by whatever works for one of them.
#[derive(Debug)]
struct Recorder {
    tracer: SdkTracer,
    /// Kept: a tracer whose provider is gone records nothing.
    _provider: SdkTracerProvider,
    queue: Queue,
    service: &'static str,
    /// Of a hundred traces that begin here so many are recorded.
    sample_percent: u8,
}

/// One span, or none. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Span(Option<Current>);

/// The value of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word of ours, or an identifier.
    Text(String),
    /// A number.
    Int(i64),
}

impl Tracer {
    /// Begins to trace into a queue; of a hundred traces that begin here so many are recorded.
    pub(crate) fn new(queue: Queue, sample_percent: u8, service: &'static str) -> Self {
        // What a caller records is recorded, and what it does not record is not.
        let ratio = f64::from(sample_percent) / 100.0;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_max_attributes_per_span(MEMBERS_MAX)
            // That of the environment and of the process is left out: what telemetry says is said here.
            .with_resource(Resource::builder_empty().build())
            .with_span_processor(queue.clone())
            .build();
        let tracer = provider.tracer(service);
        Self(Some(Arc::new(Recorder { tracer, _provider: provider, queue, service, sample_percent })))
    }

    /// Returns where the trace of a thing begins that has this number, a UUID of version 4; `None` where nothing is traced. The digits of the trace are
    /// those of the number.
    pub fn of_number(&self, number: &[u8; 16]) -> Option<Context> {
        let recorder = self.0.as_ref()?;
        Some(Context::of_number(number, recorder.sample_percent))
    }

    /// Queues the first span of the trace of such a thing, which all others of it are below: that it begins, now.
    pub fn begin_number(&self, number: &[u8; 16], name: &'static str, members: Vec<(&'static str, Value)>) {
        let Some(recorder) = &self.0 else { return };
        let Context(place) = Context::of_number(number, recorder.sample_percent);
        if !place.is_sampled() {
            return;
        }
        let now = SystemTime::now();
        recorder.queue.put(SpanData {
            span_context: place,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: now,
            end_time: now,
            attributes: members.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder(recorder.service).build(),
        });
    }

    /// Begins a span in a trace, of what is done here and was not asked for in it.
    pub fn within(&self, place: &Context, name: &'static str) -> Span {
        let Some(recorder) = &self.0 else { return Span::default() };
        let parent = Current::new().with_remote_span_context(place.0.clone());
        Span::begin(recorder, &parent, name.into(), SpanKind::Internal, Vec::new())
    }

    /// Begins the span of a request that came in, in the trace of whoever sent it, or in one that begins here. It is recorded as its sender
    /// says, and as often as is configured where nobody says anything. What else it belongs to is linked.
    pub fn request(&self, name: String, parent: Option<Context>, linked: Option<Context>) -> Span {
        let Some(recorder) = &self.0 else { return Span::default() };
        let nothing = Current::new();
        let parent = match parent {
            Some(Context(parent)) => nothing.with_remote_span_context(parent),
            None => nothing,
        };
        let links = linked.map(|Context(place)| Link::with_context(place)).into_iter().collect();
        Span::begin(recorder, &parent, name.into(), SpanKind::Server, links)
    }

    /// Returns how many spans were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |recorder| recorder.queue.dropped.load(Ordering::Relaxed))
    }
}

impl Span {
    fn begin(
        recorder: &Arc<Recorder>,
        parent: &Current,
        name: Cow<'static, str>,
        kind: SpanKind,
        links: Vec<Link>,
    ) -> Self {
        let builder = recorder.tracer.span_builder(name).with_kind(kind).with_links(links);
        let span = builder.start_with_context(&recorder.tracer, parent);
        Self(Some(parent.with_span(span).with_value(Arc::clone(recorder))))
    }

    /// Says something of it. The last word on a member counts.
    pub fn set(&self, member: &'static str, value: Value) {
        if let Some(current) = &self.0 {
            current.span().set_attribute(KeyValue::new(member, value));
        }
    }

    /// Says that it failed, by a word of ours.
    pub fn fail(&self, why: &str) {
        self.set("error.type", Value::Text(why.to_owned()));
        if let Some(current) = &self.0 {
            current.span().set_status(Status::error(""));
        }
    }

    /// Works for this span: what is begun or noted meanwhile belongs to it.
    pub async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.0 {
            None => work.await,
            Some(current) => work.with_context(current.clone()).await,
        }
    }

    /// Ends it, and queues it. Where the queue is full it is dropped.
    pub fn end(self) {
        if let Some(current) = self.0 {
            current.span().end();
        }
    }
}

/// Begins a span within the one that the present task works for; none where it works for none.
pub fn child(name: &'static str) -> Span {
    Current::map_current(|current| match current.get::<Arc<Recorder>>() {
        Some(recorder) => Span::begin(recorder, current, name.into(), SpanKind::Internal, Vec::new()),
        None => Span::default(),
    })
}

/// Says something of the span that the present task works for; nobody wants to know where it works for none.
pub fn note(member: &'static str, value: Value) {
    Current::map_current(|current| current.span().set_attribute(KeyValue::new(member, value)));
}

impl From<Value> for opentelemetry::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::from(text),
            Value::Int(number) => Self::from(number),
        }
    }
}
