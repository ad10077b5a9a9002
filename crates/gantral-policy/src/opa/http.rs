//! Requests to one OPA: where they go, what they carry, and how much of an answer is read.
//!
//! They go to the address that was configured and nowhere else: redirects are not followed, proxies of the environment are not
//! used, and plain HTTP is spoken to loopback addresses only. Time is the caller's: dropping a request closes its connection, at which
//! OPA stops evaluating.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Certificate, Client, RequestBuilder, Response, Url};

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
        let mut evaluate_url = below(&base, &["v1", "data"], decision);
        evaluate_url.set_query(Some("strict-builtin-errors=true&provenance=true"));
        let mut version_url = below(&base, &["v1", "data"], &format!("{decision}/{NO_RULE}"));
        version_url.set_query(Some("provenance=true"));
        let token = config.token_file.clone().map(TokenFile::open).transpose()?;
        Ok(Self {
            client: client(&base, config.ca_file.as_deref())?,
            evaluate_url,
            version_url,
            health_url: below(&base, &[], "health"),
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
        Ok((response.status().as_u16(), body(response).await?))
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| NoAnswer::Lost)? {
        if chunk.len() > ANSWER_BYTES_MAX.saturating_sub(body.len()) {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    // The mode is that of the file that is read, whatever stands under the name later.
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(wrong("not a file"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(wrong("others may read it, and it holds a secret: `chmod 600`"));
    }
    let mut bytes = Vec::new();
    file.take(TOKEN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let token = bytes.trim_ascii();
    let sound = !token.is_empty()
        && u64::try_from(bytes.len()).is_ok_and(|length| length <= TOKEN_BYTES_MAX)
        && token.iter().all(u8::is_ascii_graphic);
    let value = if sound { HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok() } else { None };
    let mut value = value.ok_or_else(|| wrong("not a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads an address: `https`, or `http` on this machine.
fn address(text: &str) -> Result<Url, OpaConfigError> {
    // What cannot be used is not shown: it may hold a password.
    let wrong = OpaConfigError::Url;
    let url = Url::parse(text).map_err(|_| wrong("not one such as `https://opa.example.org:8181`"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("user and password do not belong into it"));
    }
    if url.query().is_some() || url.fragment().is_some() || url.cannot_be_a_base() {
        return Err(wrong("it ends with a path, above `v1/data`"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(wrong("plain http is for loopback addresses, use https")),
        _ => Err(wrong("the scheme must be https")),
    }
}

/// Tells whether an address is on this machine.
pub(super) fn is_local(text: &str) -> bool {
    address(text).is_ok_and(|url| is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
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

fn below(base: &Url, first: &[&str], path: &str) -> Url {
    let mut url = base.clone();
    // An address that was read has a path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(first).extend(path.split('/'));
    }
    url
}

fn client(base: &Url, ca_file: Option<&Path>) -> Result<Client, OpaConfigError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, and then there is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let builder = Client::builder()
        .user_agent(concat!("gantral/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(CONCURRENT_MAX)
        .pool_idle_timeout(IDLE_KEPT)
        .no_proxy();
    let builder = match ca_file {
        Some(path) => builder.tls_certs_only(authorities(path)?),
        // Without TLS no authority is needed, and a small image may hold none.
        None if base.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|error| OpaConfigError::Tls(error.to_string()))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, OpaConfigError> {
    let wrong = |why: String| OpaConfigError::File { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests;
