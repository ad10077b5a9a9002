//! The Rust client: one typed call for each route.
//!
//! Each call makes one idempotency key and keeps it over its retries, so that a lost answer never does anything twice.
//! Only what is known to be worth it is repeated: a broken connection, a timeout, or a 503 that says so; always a few
//! times, with growing pauses. Tokens go to the base URL and nowhere else: redirects are not followed, proxies of the
//! environment are not used, and plain HTTP is spoken to loopback addresses only.

mod authority;
mod calls;
mod catalogue;
mod config;
mod error;
mod instances;
mod passkeys;
mod send;
mod token;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use config::{CertificateFiles, ClientConfig, ConfigError};
pub use error::ClientError;
pub use token::{FetchToken, NoToken, TOKEN_BYTES_MAX, TokenFuture, TokenSource};

use crate::routes::Method;
use crate::wire::{IDEMPOTENCY_KEY, IdempotencyKey};
use send::Call;

/// The largest JSON answer that is read, in bytes: the chain of a task with ten thousand artifacts fits.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The largest archive that is read, in bytes: an evidence bundle of 256 MiB and its container fit.
pub const ARCHIVE_BYTES_MAX: usize = 320 << 20;
/// How much longer than the wait of a long poll its answer may take.
const WAIT_SLACK: Duration = Duration::from_secs(15);

/// A client of one server. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<Url>,
    token: TokenSource,
    key: Option<IdempotencyKey>,
    timeout: Duration,
    tries: u32,
    traceparent: Option<HeaderValue>,
}

impl Client {
    /// Makes a client. Connects to nothing yet.
    ///
    /// # Errors
    /// If the configuration cannot be used; trying again is pointless.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        config.build()
    }

    /// Returns a client that acts with another token, for example that of an attempt.
    #[must_use]
    pub fn with_token(&self, token: TokenSource) -> Self {
        Self { token, ..self.clone() }
    }

    /// Returns a client whose writes all carry this idempotency key, for a caller that repeats a write after a crash
    /// of its own. Keys are scoped to principal, attempt and route.
    #[must_use]
    pub fn with_key(&self, key: IdempotencyKey) -> Self {
        Self { key: Some(key), ..self.clone() }
    }

    /// Returns a client whose calls are part of a trace: the text is a header `traceparent` (W3C Trace Context). One that no header can hold
    /// changes nothing: whoever traces badly acts all the same.
    #[must_use]
    pub fn with_traceparent(&self, traceparent: &str) -> Self {
        let traceparent = HeaderValue::from_str(traceparent).ok().or_else(|| self.traceparent.clone());
        Self { traceparent, ..self.clone() }
    }

    /// Returns a client that tries every call once.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        Self { tries: 1, ..self.clone() }
    }

    /// Returns the base URL.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// Starts a call; `segments` are the parts of the path below the base URL, not yet encoded.
    fn call(&self, method: Method, segments: &[&str]) -> Result<Call, ClientError> {
        let mut url = Url::clone(&self.base);
        match url.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(segments);
            }
            Err(()) => return Err(ClientError::Unsendable { why: "the base URL has no path".to_owned() }),
        }
        let verb = match method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
        };
        let mut request = reqwest::Request::new(verb, url);
        if method != Method::Get {
            let key = match &self.key {
                Some(key) => key.clone(),
                None => IdempotencyKey::from_random(send::random()?),
            };
            let value = HeaderValue::from_str(key.as_str()).map_err(ClientError::unsendable)?;
            request.headers_mut().insert(IDEMPOTENCY_KEY, value);
        }
        Ok(Call { request, timeout: self.timeout, answer_bytes_max: ANSWER_BYTES_MAX })
    }

    async fn get<A: DeserializeOwned>(&self, segments: &[&str]) -> Result<A, ClientError> {
        self.send(self.call(Method::Get, segments)?).await?.read()
    }

    async fn list<A: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &(impl Serialize + Sync),
    ) -> Result<A, ClientError> {
        self.send(self.call(Method::Get, segments)?.query(query)?).await?.read()
    }

    async fn write<A: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<A, ClientError> {
        self.send(self.call(method, segments)?.json(body)?).await?.read()
    }

    async fn post<A: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<A, ClientError> {
        self.write(Method::Post, segments, body).await
    }

    async fn archive(&self, segments: &[&str]) -> Result<Vec<u8>, ClientError> {
        let call = self.call(Method::Get, segments)?;
        Ok(self.send(Call { answer_bytes_max: ARCHIVE_BYTES_MAX, ..call }).await?.body)
    }
}
