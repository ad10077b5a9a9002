//! What a client is told in place of an answer of the service: problem details (RFC 9457) with a stable word, and that nothing was executed.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gantral_api::problem::Code;
use gantral_api::wire::{CallDenied, CallWaiting};
use gantral_edge::call::CallError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::request::BadRequest;

/// Says of an answer that it is ours: `false`, or `unknown` where the request was sent and nobody knows what came of it.
pub const EXECUTED: HeaderName = HeaderName::from_static("gantral-executed");
/// After how many seconds a client that is told to wait may ask again.
const AGAIN_SECONDS: u64 = 5;

/// What went wrong, or why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable word.
    pub code: String,
    /// What is wrong this time.
    pub detail: String,
    /// Whether the service may have executed the request all the same.
    pub perhaps: bool,
    /// After how many seconds the same request may be sent again, if that is of use.
    pub retry_after: Option<u64>,
    /// What else there is to say.
    pub members: Box<Map<String, Value>>,
}

impl Problem {
    /// Says that nothing was executed.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            perhaps: false,
            retry_after: None,
            members: Box::default(),
        }
    }

    /// Says that the request was sent, and that nobody knows what came of it.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self { perhaps: true, ..Self::new(StatusCode::BAD_GATEWAY, "outcome_unknown", detail) }
    }

    /// Says that the same request may be sent again.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.retry_after = Some(AGAIN_SECONDS);
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Says that policy or humans refused.
    pub fn denied(denied: &CallDenied) -> Self {
        let detail = format!("the request was refused: {}", denied.cause);
        Self::new(StatusCode::FORBIDDEN, "denied", detail)
            .with("cause", denied.cause.to_string())
            .with("reasons", denied.reasons.clone())
            .with("instance_id", denied.instance_id.to_string())
    }

    /// Says why Gantral gave no answer that counts.
    pub fn unasked(error: &CallError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            CallError::Client(error) => match error.problem() {
                // What the client sent cannot be asked for.
                Some(problem)
                    if matches!(
                        problem.code(),
                        Code::SecretInline
                            | Code::ActionInvalid
                            | Code::ActionUndeclared
                            | Code::BodyTooLarge
                    ) =>
                {
                    Self::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        problem.code().as_str(),
                        problem.detail().to_owned(),
                    )
                }
                Some(problem) => {
                    Self::new(unavailable, problem.code().as_str(), "Gantral does not take the request")
                        .again()
                }
                None => Self::new(
                    unavailable,
                    "gantral_unreachable",
                    "Gantral does not answer, and nothing is sent without",
                )
                .again(),
            },
            CallError::Running { instance } => {
                let problem = Self {
                    perhaps: true,
                    ..Self::new(
                        StatusCode::CONFLICT,
                        "call_key_taken",
                        "the same request was sent before, and nobody knows yet what came of it; it is not sent again",
                    )
                };
                match instance {
                    Some(instance) => problem.with("instance_id", instance.to_string()),
                    None => problem,
                }
            }
            CallError::Unbelieved(_) => {
                Self::new(unavailable, "answer_unbelieved", "no pinned key signed what Gantral answered")
            }
            CallError::Journal(_) => Self::new(unavailable, "journal_unusable", "receipts cannot be kept"),
        }
    }

    /// Returns the answer.
    pub fn into_response(self) -> Response {
        (self.status(), self.headers(), Body::from(self.body())).into_response()
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Returns the body of the answer.
    pub fn body(&self) -> String {
        let status = self.status();
        let mut body = Map::new();
        body.insert("type".to_owned(), "about:blank".into());
        body.insert("title".to_owned(), status.canonical_reason().unwrap_or_default().into());
        body.insert("status".to_owned(), status.as_u16().into());
        body.insert("code".to_owned(), self.code.as_str().into());
        body.insert("detail".to_owned(), self.detail.as_str().into());
        body.insert("executed".to_owned(), if self.perhaps { Value::Null } else { Value::Bool(false) });
        body.extend(self.members.as_ref().clone());
        Value::Object(body).to_string()
    }

    /// Returns the headers of the answer.
    pub fn headers(&self) -> HeaderMap {
        let kind = if self.status().is_success() { "application/json" } else { "application/problem+json" };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let executed = if self.perhaps { "unknown" } else { "false" };
        headers.insert(EXECUTED, HeaderValue::from_static(executed));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        headers
    }
}

impl From<BadRequest> for Problem {
    fn from(bad: BadRequest) -> Self {
        Self::new(bad.status(), bad.code(), bad.to_string())
    }
}

/// Says that humans decide. The status is 202, or one that clients do not take for done.
pub fn waits(waiting: &CallWaiting, status: StatusCode) -> Problem {
    let roles: Vec<String> = waiting.roles.iter().map(ToString::to_string).collect();
    let detail = format!(
        "not executed: it waits for approval by {}; it is kept, is sent once when it is approved, and the same request gets the answer",
        roles.join(" or ")
    );
    Problem::new(status, "waiting_for_human", detail)
        .again()
        .with("gate_id", waiting.gate_id.to_string())
        .with("instance_id", waiting.instance_id.to_string())
        .with("url", waiting.url.clone())
        .with("expires_at", waiting.expires_at.to_string())
        .with("roles", json!(roles))
        .with("reasons", waiting.reasons.clone())
}
