//! Around every request: a number, one line in the log, the metrics, and the last touch to its answer.
//!
//! Log and metrics name routes by their template and never hold a token, a body or anything else of the caller's.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use gantral_api::problem::{Fault, Problem};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::app::App;
use crate::metrics::Request as Counted;
use crate::problems::finished;
use crate::telemetry::answered;

/// The header that carries the request's number.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest path that a problem repeats, in characters.
const PATH_CHARS_MAX: usize = 512;
/// What stands for the route of a request that has none.
const NO_ROUTE: &str = "(none)";

/// The number of a request, for whoever answers it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub String);

/// A problem that its answer shows already, to people; it is only counted and logged.
#[derive(Debug, Clone)]
pub(crate) struct Shown(pub Problem);

/// Numbers, times, counts and logs one request, and writes its problem if it has one.
pub(crate) async fn observed(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id();
    let method = method(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let uri = request.uri().clone();
    let span = tracing::info_span!("request", request_id);
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let trace = app.0.telemetry.request(method, route, &uri, request.headers());
    let mut response = trace.scope(next.run(request).instrument(span)).await;
    let shown = response.extensions_mut().remove::<Shown>().map(|shown| shown.0);
    let is_written = shown.is_some();
    let problem = shown.or_else(|| response.extensions_mut().remove::<Problem>());
    let status = response.status().as_u16();
    let taken = started.elapsed();
    let code = problem.as_ref().map(Problem::code);
    app.0.metrics.request(&Counted { method, route, status, code, taken });
    let code = code.map_or("", |code| code.as_str());
    answered(trace, &request_id, status, code);
    let duration_ms = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
    match &problem {
        Some(problem) if matches!(problem.code().fault(), Fault::Us | Fault::Environment) => {
            let detail = problem.detail();
            tracing::error!(request_id, method, route, status, duration_ms, code, detail, "request failed");
        }
        _ => tracing::info!(request_id, method, route, status, duration_ms, code, "request"),
    }
    if let Some(problem) = problem.filter(|_| !is_written) {
        let allowed = response.headers_mut().remove(header::ALLOW);
        let path: String = uri.path().chars().take(PATH_CHARS_MAX).collect();
        response = finished(problem, &path, &request_id);
        if let Some(allowed) = allowed {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    // Answers hold tokens, and what one caller may see.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Returns a number that no other request has. Made here: what a caller sends never reaches the log.
fn request_id() -> String {
    let mut bytes = [0u8; 16];
    // A number that is not unique harms nobody; where there is no randomness, nothing is written either.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// Returns the word for a method: callers may invent methods, and neither log nor metrics repeat them.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "(other)",
    }
}
