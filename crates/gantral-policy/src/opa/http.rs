//! Requests to one OPA: where they go, what they carry, and how much of an answer is read.
//!
//! Time is the caller's: dropping a request closes its connection, at which
//! OPA stops evaluating.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream;
use gantral_outbound::{self as outbound, Expected, below, body, client_for, is_loopback, read_secret};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Client, ClientBuilder, RequestBuilder, Url};

use super::answer::ANSWER_BYTES_MAX;
use super::{CONCURRENT_MAX, OpaConfig, OpaConfigError};

/// How long an idle connection is kept, shorter than what load balancers allow.
const IDLE_KEPT: Duration = Duration::from_secs(30);
/// How long a token that was read is used before its file is read again: tokens are rotated under us.
const TOKEN_KEPT: Duration = Duration::from_secs(5);
/// The largest token file, in bytes: what servers accept as one header.
const TOKEN_BYTES_MAX: u64 = 8 << 10;
/// The longest package path, in bytes.
const DECISION_BYTES_MAX: usize = 255;
/// A rule that no policy has: asking for it evaluates nothing and tells the version all the same.
const NO_RULE: &str = "gantral_no_such_rule";

const EXPECTED: Expected = Expected {
    such_as: "not one such as `https://opa.example.org:8181`",
    query: false,
    ends: "it ends with a path, above `v1/data`",
};

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// No connection, one that broke, or no HTTP.
    Lost,
    /// The answer is larger than any good one.
    TooLarge,
}

/// Whether a request was given to OPA whole. Stays readable when the request is abandoned.
#[derive(Debug, Clone, Default)]
pub(super) struct Handed(Arc<AtomicBool>);

impl Handed {
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A status and the whole body.
pub(super) type Answer = Result<(u16, Vec<u8>), NoAnswer>;

/// One OPA.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    evaluate_url: Url,
    version_url: Url,
    health_url: Url,
    token: Option<TokenFile>,
}

impl Http {
    /// Reads the configuration and its files. Connects to nothing yet.
    pub(super) fn new(config: &OpaConfig) -> Result<Self, OpaConfigError> {
        let base = address(&config.url)?;
        let decision = package_path(&config.decision)?;
        let mut evaluate_url = below(&base, &format!("v1/data/{decision}"));
        evaluate_url.set_query(Some("strict-builtin-errors=true&provenance=true"));
        let mut version_url = below(&base, &format!("v1/data/{decision}/{NO_RULE}"));
        version_url.set_query(Some("provenance=true"));
        let token = config.token_file.clone().map(TokenFile::open).transpose()?;
        Ok(Self {
            client: client(&base, config.ca_file.as_deref())?,
            evaluate_url,
            version_url,
            health_url: below(&base, "health"),
            token,
        })
    }

    /// Returns host and port, for logs.
    pub(super) fn host(&self) -> String {
        let port = self.health_url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.health_url.host_str().unwrap_or_default())
    }

    /// Has an input evaluated: the very bytes, as the member `input`.
    pub(super) async fn evaluate(&self, input: &[u8], handed: &Handed) -> Answer {
        let body = [br#"{"input":"#, input, b"}"].concat();
        let length = body.len();
        let over = Arc::clone(&handed.0);
        // The body is taken when there is a connection to write it to, which is when it counts as handed over.
        let taken = stream::once(async move {
            over.store(true, Ordering::Relaxed);
            Ok::<_, Infallible>(body)
        });
        let request = self.client.post(self.evaluate_url.clone());
        let request = request.header(CONTENT_TYPE, "application/json").header(CONTENT_LENGTH, length);
        self.send(request.body(Body::wrap_stream(taken))).await
    }

    /// Asks which versions are loaded.
    pub(super) async fn version(&self) -> Answer {
        let request = self.client.post(self.version_url.clone()).header(CONTENT_TYPE, "application/json");
        self.send(request.body(r#"{"input":{}}"#)).await
    }

    /// Tells whether OPA answers a question that no policy and no input has a part in.
    pub(super) async fn is_alive(&self) -> bool {
        // That it refuses somebody, or has no such page, shows that it is there.
        matches!(self.send(self.client.get(self.health_url.clone())).await, Ok((status, _)) if status < 500)
    }

    async fn send(&self, mut request: RequestBuilder) -> Answer {
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.value().await.ok_or(NoAnswer::Lost)?);
        }
        let response = request.send().await.map_err(|_| NoAnswer::Lost)?;
        let status = response.status().as_u16();
        let body = body(response, ANSWER_BYTES_MAX).await.map_err(|error| match error {
            outbound::NoAnswer::TooLarge => NoAnswer::TooLarge,
            outbound::NoAnswer::Timeout | outbound::NoAnswer::Connect | outbound::NoAnswer::Broken => {
                NoAnswer::Lost
            }
        })?;
        Ok((status, body))
    }
}

/// A token that is read from its file again every few seconds.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    read: Mutex<(HeaderValue, Instant)>,
}

impl TokenFile {
    fn open(path: PathBuf) -> Result<Self, OpaConfigError> {
        let value = read_token(&path)
            .map_err(|error| OpaConfigError::File { path: path.clone(), why: error.to_string() })?;
        Ok(Self { path, read: Mutex::new((value, Instant::now())) })
    }

    /// Returns the header's value; none while the file cannot be read.
    async fn value(&self) -> Option<HeaderValue> {
        let kept = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, read) = kept().clone();
        if read.elapsed() < TOKEN_KEPT {
            return Some(value);
        }
        let path = self.path.clone();
        let value = tokio::task::spawn_blocking(move || read_token(&path)).await.ok()?.ok()?;
        *kept() = (value.clone(), Instant::now());
        Some(value)
    }
}

fn read_token(path: &Path) -> io::Result<HeaderValue> {
    let bytes = read_secret(path, TOKEN_BYTES_MAX + 1)?;
    let token = bytes.trim_ascii();
    let sound = !token.is_empty()
        && u64::try_from(bytes.len()).is_ok_and(|length| length <= TOKEN_BYTES_MAX)
        && token.iter().all(u8::is_ascii_graphic);
    let value = if sound { HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok() } else { None };
    let mut value = value.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads an address: `https`, or `http` on this machine.
fn address(text: &str) -> Result<Url, OpaConfigError> {
    Ok(outbound::address(text, &EXPECTED)?)
}

/// Tells whether an address is on this machine.
pub(super) fn is_local(text: &str) -> bool {
    address(text).is_ok_and(|url| is_loopback(&url))
}

/// Checks the path of a package: names that need no quoting in Rego, between slashes.
fn package_path(path: &str) -> Result<&str, OpaConfigError> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if path.len() <= DECISION_BYTES_MAX && path.split('/').all(is_name) {
        Ok(path)
    } else {
        Err(OpaConfigError::Decision { path: path.chars().filter(|c| !c.is_control()).take(80).collect() })
    }
}

fn client(base: &Url, ca_file: Option<&Path>) -> Result<Client, OpaConfigError> {
    let pooled =
        |client: ClientBuilder| client.pool_max_idle_per_host(CONCURRENT_MAX).pool_idle_timeout(IDLE_KEPT);
    Ok(client_for(base, ca_file, pooled)?)
}

#[cfg(test)]
mod tests;
