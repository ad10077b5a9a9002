//! What requests to a witness and to a published log have in common: where they go, and how much of an answer is read.
//!
//! They go to the address that was configured and nowhere else: redirects are not followed, proxies of the environment are not
//! used, and plain HTTP is spoken to loopback addresses only.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, Response, Url};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Why an address cannot be used. Whoever configured it is at fault; trying again is pointless.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is no address that is spoken to. It is not shown: it may hold a password.
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

/// Why there is no answer that can be read. May be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("no answer in time")]
    Timeout,
    #[error("no connection")]
    Connect,
    #[error("the connection broke")]
    Broken,
    #[error("the answer is larger than any good one")]
    TooLarge,
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

/// Reads an address: `https`, or `http` on this machine.
pub(crate) fn address(text: &str) -> Result<Url, AddressError> {
    let url =
        Url::parse(text).map_err(|_| AddressError::Url("not one such as `https://log.example.org/`"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Url("user and password do not belong into it"));
    }
    if url.query().is_some() || url.fragment().is_some() || url.cannot_be_a_base() {
        return Err(AddressError::Url("it ends with a path"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(url),
        "http" => Err(AddressError::Url("plain http is for loopback addresses, use https")),
        _ => Err(AddressError::Url("the scheme must be https")),
    }
}

/// Returns the address below another one.
pub(crate) fn below(base: &Url, name: &str) -> Url {
    let mut url = base.clone();
    // An address that was read has a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(name.split('/'));
    }
    url
}

/// Makes a client for an address. Connects to nothing yet.
pub(crate) fn client(base: &Url, ca_file: Option<&Path>) -> Result<Client, AddressError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, and then there is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let builder = Client::builder()
        .user_agent(concat!("gantral/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let builder = match ca_file {
        Some(path) => builder.tls_certs_only(authorities(path)?),
        // Without TLS no authority is needed, and a small image may hold none.
        None if base.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|error| AddressError::Tls(error.to_string()))
}

/// Reads the body of an answer, up to a limit.
pub(crate) async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > bytes_max.saturating_sub(body.len()) {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, AddressError> {
    let wrong = |why: String| AddressError::Authorities { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(found) }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
