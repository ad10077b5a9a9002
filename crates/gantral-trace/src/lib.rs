//! Traces of requests: what one took, as part of the trace of whoever sent it, told to a collector by OTLP over HTTP.
//!
//! A span has a name and members that this program chose, never anything that a caller wrote: no parameters, no names of people, no tokens. What does not
//! fit into the queue, or the collector does not take, is dropped and counted: nothing waits for telemetry. Only this crate knows OpenTelemetry.
//!
//! Sources: <https://www.w3.org/TR/trace-context/>, <https://opentelemetry.io/docs/specs/otlp/>.

mod context;
mod export;
mod queue;
mod span;

pub use context::Context;
pub use export::{Exporter, TraceConfig, TraceError};
pub use span::{Span, Tracer, Value, child, note};
