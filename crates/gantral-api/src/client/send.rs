//! Sending one call: retries, limits, and what the answer means.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Client, ClientError};
use crate::problem::{Code, Problem, Retry};
use crate::wire::PROBLEM_JSON;

/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";
/// The pause before the first retry; each further one is four times as long.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause, also if the server asks for a longer one: then the caller decides.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// One call that is ready to be sent, as often as needed.
pub(super) struct Call {
    pub request: Request,
    pub timeout: Duration,
    pub answer_bytes_max: usize,
}

/// An answer whose status says that nothing is wrong.
pub(super) struct Settled {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// What one try came to.
enum Try {
    Settled(Settled),
    Failed(ClientError),
    /// Worth repeating, at the earliest after the pause that the server named.
    Again(ClientError, Option<Duration>),
}

impl Call {
    /// Adds a JSON body.
    pub fn json(self, body: &impl Serialize) -> Result<Self, ClientError> {
        Ok(self.body(serde_json::to_vec(body).map_err(ClientError::unsendable)?, "application/json"))
    }

    /// Adds a body.
    pub fn body(mut self, bytes: Vec<u8>, media_type: &'static str) -> Self {
        self.request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        *self.request.body_mut() = Some(bytes.into());
        self
    }

    /// Adds the members of `query` that are set.
    pub fn query(mut self, query: &impl Serialize) -> Result<Self, ClientError> {
        let value = serde_json::to_value(query).map_err(ClientError::unsendable)?;
        let members = value.as_object().into_iter().flatten();
        let mut pairs = members.filter(|(_, value)| !value.is_null()).peekable();
        if pairs.peek().is_some() {
            let mut writer = self.request.url_mut().query_pairs_mut();
            for (name, value) in pairs {
                match value {
                    Value::String(text) => writer.append_pair(name, text),
                    other => writer.append_pair(name, &other.to_string()),
                };
            }
        }
        Ok(self)
    }
}

impl Settled {
    /// Reads the JSON of the answer.
    pub fn read<A: DeserializeOwned>(self) -> Result<A, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::UnexpectedAnswer {
            status: self.status.as_u16(),
            why: error.to_string(),
        })
    }
}

impl Client {
    /// Sends a call until it is settled, failed for good, or tried often enough.
    pub(super) async fn send(&self, call: Call) -> Result<Settled, ClientError> {
        let mut pause = PAUSE_FIRST;
        let mut tries = 1;
        loop {
            let (error, asked) = match self.attempt(&call).await {
                Try::Settled(settled) => return Ok(settled),
                Try::Failed(error) => return Err(error),
                Try::Again(error, asked) => (error, asked.unwrap_or_default()),
            };
            if tries >= self.tries || asked > PAUSE_MAX {
                return Err(error);
            }
            tokio::time::sleep(jittered(pause)?.max(asked)).await;
            pause = pause.saturating_mul(4).min(PAUSE_MAX);
            tries += 1;
        }
    }

    async fn attempt(&self, call: &Call) -> Try {
        let (request, token) = match self.authorised(call).await {
            Ok(authorised) => authorised,
            Err(error) => return Try::Failed(error),
        };
        let within = call.timeout.as_millis();
        match tokio::time::timeout(call.timeout, self.exchange(request, call.answer_bytes_max)).await {
            Ok(Try::Failed(error))
                if error.code() == Some(Code::TokenRejected)
                    && token.is_some_and(|token| self.token.refused(&token)) =>
            {
                Try::Again(error, None)
            }
            Ok(done) => done,
            Err(_) => Try::Again(ClientError::Timeout { within_ms: within }, None),
        }
    }

    /// Copies the request and adds the token, read anew: it may have been renewed since the last try.
    async fn authorised(&self, call: &Call) -> Result<(Request, Option<String>), ClientError> {
        let copy = call.request.try_clone();
        let mut request = copy.ok_or_else(|| ClientError::unsendable("the body cannot be repeated"))?;
        let token = self.token.read().await?;
        if let Some(token) = &token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            // The error of the header would be harmless, but nothing that was made of a token is passed on.
            let mut value =
                value.map_err(|_| ClientError::Token { why: "it is not visible ASCII".to_owned() })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        if let Some(traceparent) = &self.traceparent {
            request.headers_mut().insert(TRACEPARENT, traceparent.clone());
        }
        Ok((request, token))
    }

    async fn exchange(&self, request: Request, limit: usize) -> Try {
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Try::Failed(ClientError::unsendable(chain(&error))),
            Err(error) => return Try::Again(ClientError::Unreachable { why: chain(&error) }, None),
        };
        let status = response.status();
        let headers = response.headers().clone();
        let body = match read(response, limit).await {
            Ok(body) => body,
            Err(error @ ClientError::Unreachable { .. }) => return Try::Again(error, None),
            Err(error) => return Try::Failed(error),
        };
        if status.is_success() {
            Try::Settled(Settled { status, body })
        } else {
            refused(status, &headers, &body)
        }
    }
}

/// Reads the body of an answer, refusing to hold more than `limit` bytes.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                return Err(ClientError::AnswerTooLarge { limit });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(ClientError::Unreachable { why: chain(&error) }),
        }
    }
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Try {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_problem = text(CONTENT_TYPE).is_some_and(|media| media.starts_with(PROBLEM_JSON));
    let problem = if is_problem { serde_json::from_slice::<Problem>(body).ok() } else { None };
    let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
    // A 503 without a problem comes from something on the way, which has passed nothing on.
    let again =
        unavailable && problem.as_ref().is_none_or(|problem| problem.code().retry() == Retry::SameKey);
    let error = match problem {
        Some(problem) => ClientError::Problem(Box::new(problem)),
        None => ClientError::UnexpectedAnswer {
            status: status.as_u16(),
            why: "it is not a problem document of this version".to_owned(),
        },
    };
    let asked = text(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    if again { Try::Again(error, asked) } else { Try::Failed(error) }
}

/// Writes an error with what caused it; reqwest names the cause only there. Holds a URL at most, never a header.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Spreads a pause over half to one and a half of it, so that many callers do not come back at once.
fn jittered(pause: Duration) -> Result<Duration, ClientError> {
    let [byte] = random::<1>()?;
    Ok(pause / 2 + pause * u32::from(byte) / 255)
}

/// Returns random bytes of the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], ClientError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(ClientError::unsendable)?;
    Ok(bytes)
}
