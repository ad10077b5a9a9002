//! Requests to one receiver: where they go, and what of an answer counts.
//!
//! They go to the address that was configured and nowhere else: redirects are not followed, proxies of the environment are not
//! used, and plain HTTP is spoken to loopback addresses only. Of an answer only the status counts.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Client, Response, Url};

use crate::message::MEDIA_TYPE;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept, shorter than what load balancers allow.
const IDLE_KEPT: Duration = Duration::from_secs(30);
/// How much of an answer's body is read so that its connection can be used again, in bytes.
const BODY_BYTES_MAX: usize = 4 << 10;
/// How long that may take.
const BODY_WITHIN: Duration = Duration::from_millis(200);

/// Why an address cannot be used. Whoever configured it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is no address that is spoken to. It is not shown: it may hold a secret.
    #[error("the address cannot be used: {0}")]
    Url(&'static str),
    /// The file of certificate authorities.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("tls cannot be set up: {0}")]
    Tls(String),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("no answer in time")]
    Timeout,
    #[error("no connection")]
    Connect,
    #[error("the connection broke")]
    Broken,
}

impl From<reqwest::Error> for NoAnswer {
    /// Says what kind of failure it was, without the address, which may hold more than a name.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
        } else {
            Self::Broken
        }
    }
}

/// What a request carries.
pub(crate) struct Signed {
    pub id: String,
    pub timestamp: u64,
    pub signature: String,
    pub body: Vec<u8>,
}

/// One receiver.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    timeout: Duration,
}

impl Endpoint {
    /// Reads an address and its authorities. Connects to nothing yet.
    pub(crate) fn new(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, AddressError> {
        let url = address(url)?;
        Ok(Self { client: client(&url, ca_file)?, url, timeout })
    }

    /// Sends a message, and returns the status of the answer.
    pub(crate) async fn post(&self, signed: Signed) -> Result<u16, NoAnswer> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .timeout(self.timeout)
            .body(signed.body);
        let response = request.send().await?;
        let status = response.status().as_u16();
        // Whatever comes of it, the receiver has answered.
        let _ = tokio::time::timeout(BODY_WITHIN, drain(response)).await;
        Ok(status)
    }
}

async fn drain(mut response: Response) {
    let mut left = BODY_BYTES_MAX;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Reads an address: `https`, or `http` on this machine.
fn address(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text)
        .map_err(|_| AddressError::Url("not one such as `https://hooks.example.org/gantral`"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Url("user and password do not belong into it"));
    }
    if url.fragment().is_some() || url.cannot_be_a_base() {
        return Err(AddressError::Url("it ends with a path or a query"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(url),
        "http" => Err(AddressError::Url("plain http is for loopback addresses, use https")),
        _ => Err(AddressError::Url("the scheme must be https")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn client(url: &Url, ca_file: Option<&Path>) -> Result<Client, AddressError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, and then there is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let builder = Client::builder()
        .user_agent(concat!("gantral/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(IDLE_KEPT)
        .no_proxy();
    let builder = match ca_file {
        Some(path) => builder.tls_certs_only(authorities(path)?),
        // Without TLS no authority is needed, and a small image may hold none.
        None if url.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|error| AddressError::Tls(error.to_string()))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, AddressError> {
    let wrong = |why: String| AddressError::Authorities { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests;
