//! Carrying spans to a collector: in batches, once each, and never at the cost of anything else.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantral_outbound::{AddressError, Expected, address, below, body, client_for};
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Protocol, RetryPolicy, SpanExporter as Carrier, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use reqwest::Client;
use tokio::sync::mpsc;

use crate::queue::Queue;
use crate::span::Tracer;

/// How many spans wait at most: some seconds of a busy server.
const QUEUE_MAX: usize = 8_192;
/// How many spans are sent at once.
const BATCH_MAX: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take for a batch.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How much of its answer is read, in bytes: how many spans it refused, and why.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What an address looks like.
const EXPECTED: Expected = Expected {
    such_as: "it is not one such as `http://127.0.0.1:4318`",
    query: false,
    ends: "it ends before `/v1/traces`",
};

/// Where spans go, and as whose.
#[derive(Debug, Clone)]
pub struct TraceConfig {
    /// The collector: the address above `/v1/traces`; plain `http` is for loopback.
    pub endpoint: String,
    /// The authorities to trust for it, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// Of a hundred traces that begin here so many are recorded; at most 100.
    pub sample_percent: u8,
    /// What the collector calls this program.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Why nothing is traced. Whoever configured it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The collector cannot be spoken to.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No such share.
    #[error("of a hundred traces {0} cannot be recorded")]
    Sample(u8),
    /// The library refuses, by the address or by a variable `OTEL_EXPORTER_OTLP_…`.
    #[error("{why}")]
    Exporter {
        /// What it says.
        why: String,
    },
}

/// What carries spans. Whoever serves runs it.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Receiver<SpanData>,
    carrier: Carrier,
    dropped: Arc<AtomicU64>,
}

impl Tracer {
    /// Begins to trace. Connects to nothing yet.
    ///
    /// # Errors
    /// `TraceError`, for whoever wrote the configuration.
    pub fn start(config: &TraceConfig) -> Result<(Self, Exporter), TraceError> {
        if config.sample_percent > 100 {
            return Err(TraceError::Sample(config.sample_percent));
        }
        let base = address(&config.endpoint, &EXPECTED)?;
        let client = client_for(&base, config.ca_file.as_deref(), |builder| builder.timeout(ANSWER_WITHIN))?;
        let mut carrier = Carrier::builder()
            .with_http()
            .with_http_client(Outbound(client))
            .with_endpoint(below(&base, "v1/traces").as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(ANSWER_WITHIN)
            // What is not taken is dropped: the library would wait for the next try with the thread of everybody.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|error| TraceError::Exporter { why: error.to_string() })?;
        carrier.set_resource(
            &Resource::builder_empty()
                .with_service_name(config.service)
                .with_attribute(KeyValue::new("service.version", config.version))
                .build(),
        );
        let (spans, queue) = mpsc::channel(QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let waiting = Queue { spans, dropped: Arc::clone(&dropped) };
        let tracer = Self::new(waiting, config.sample_percent, config.service);
        Ok((tracer, Exporter { queue, carrier, dropped }))
    }
}

impl Exporter {
    /// Carries spans until `stop` ends, and then what is queued. Whoever calls limits how long that may take.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let (mut batch, mut well, mut stopped) = (Vec::with_capacity(BATCH_MAX), true, false);
        while !stopped {
            stopped = tokio::select! {
                () = &mut stop => true,
                more = self.queue.recv() => match more {
                    None => true,
                    Some(first) => {
                        batch.push(first);
                        tokio::select! {
                            () = &mut stop => true,
                            () = gather(&mut self.queue, &mut batch) => false,
                        }
                    }
                },
            };
            if stopped {
                self.queue.close();
            }
            while !batch.is_empty() || stopped {
                while batch.len() < BATCH_MAX
                    && let Ok(span) = self.queue.try_recv()
                {
                    batch.push(span);
                }
                if batch.is_empty() {
                    break;
                }
                well = self.send(&mut batch, well).await;
            }
        }
    }

    /// Sends a batch once, and tells whether the collector took it. What it does not take is dropped.
    async fn send(&self, batch: &mut Vec<SpanData>, well: bool) -> bool {
        let spans = std::mem::replace(batch, Vec::with_capacity(BATCH_MAX));
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        match self.carrier.export(spans).await {
            Ok(()) => {
                if !well {
                    tracing::info!("the collector takes spans again");
                }
                true
            }
            Err(error) => {
                self.dropped.fetch_add(count, Ordering::Relaxed);
                if well {
                    let why = error.to_string();
                    tracing::warn!(why, "the collector does not take spans: they are dropped until it does");
                }
                false
            }
        }
    }
}

/// Waits until a batch is full, or old enough to be sent.
async fn gather(queue: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    // When it takes too long, the batch is sent as it is.
    let _ = tokio::time::timeout(GATHER, async {
        while batch.len() < BATCH_MAX {
            match queue.recv().await {
                Some(span) => batch.push(span),
                None => return,
            }
        }
    })
    .await;
}

/// Sends requests as all of ours are sent: to where they are told, believing whom they are told.
#[derive(Debug)]
struct Outbound(Client);

impl HttpClient for Outbound {
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request)?;
            let answer = self.0.execute(request).await.map_err(reqwest::Error::without_url)?;
            let status = answer.status();
            let read = body(answer, ANSWER_BYTES_MAX).await?;
            let mut answered = Response::new(Bytes::from(read));
            *answered.status_mut() = status;
            Ok(answered)
        })
    }
}
