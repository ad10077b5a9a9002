//! What a client is made of.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Identity, Url};

use super::{Client, TokenSource};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take when the configuration does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How often a call is tried when the configuration does not say: about two seconds of pauses in all.
const TRIES_DEFAULT: u32 = 4;

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The server, such as `https://gantral.example.org`; a path before `/v1` is kept. Plain `http` is for loopback.
    pub url: String,
    /// Where the token comes from.
    pub token: TokenSource,
    /// A PEM file with the authorities to trust, and no others; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to a server that asks for one, read once.
    pub certificate: Option<CertificateFiles>,
    /// How long one try may take, long polls apart.
    pub timeout: Duration,
    /// How often a call is tried, at least once.
    pub tries: u32,
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// A PEM file with the certificate, and those between it and the authority.
    pub chain: PathBuf,
    /// A PEM file with the private key; the same file where absent.
    pub key: Option<PathBuf>,
}

/// Why a configuration cannot be used. Trying again is pointless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an HTTP address.
    #[error("`{url}` is not an address such as `https://gantral.example.org`: {why}")]
    Url {
        /// What was given, without user and password.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// Tokens would travel in the clear.
    #[error("`{host}` is not this machine: plain http is for loopback addresses, use https")]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// The file of authorities cannot be used.
    #[error("`{path}` cannot be used as certificate authorities: {why}")]
    CaFile {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The certificate to show cannot be used.
    #[error("`{path}` cannot be used as a client's certificate: {why}")]
    Certificate {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The TLS of this machine cannot be set up.
    #[error("tls cannot be set up: {why}")]
    Tls {
        /// Why.
        why: String,
    },
}

impl ClientConfig {
    /// Returns a configuration with the default limits.
    pub fn new(url: impl Into<String>, token: TokenSource) -> Self {
        Self {
            url: url.into(),
            token,
            ca_file: None,
            certificate: None,
            timeout: TIMEOUT_DEFAULT,
            tries: TRIES_DEFAULT,
        }
    }

    pub(super) fn build(self) -> Result<Client, ConfigError> {
        let base = base(&self.url)?;
        install_cryptography();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("gantral/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let builder = match &self.ca_file {
            Some(path) => builder.tls_certs_only(authorities(path)?),
            // Without TLS no authority is needed, and a small image may hold none.
            None if base.scheme() == "http" => builder.tls_certs_only([]),
            None => builder,
        };
        let builder = match &self.certificate {
            Some(files) => builder.identity(files.read()?),
            None => builder,
        };
        let http = builder.build().map_err(|error| ConfigError::Tls { why: error.to_string() })?;
        let tries = self.tries.max(1);
        Ok(Client {
            http,
            base: Arc::new(base),
            token: self.token,
            key: None,
            timeout: self.timeout,
            tries,
            traceparent: None,
        })
    }
}

impl CertificateFiles {
    fn read(&self) -> Result<Identity, ConfigError> {
        let wrong =
            |path: &Path, why: String| ConfigError::Certificate { path: path.display().to_string(), why };
        let read = |path: &Path| std::fs::read(path).map_err(|error| wrong(path, error.to_string()));
        let mut pem = read(&self.chain)?;
        if let Some(key) = &self.key {
            pem.push(b'\n');
            pem.extend(read(key)?);
        }
        Identity::from_pem(&pem).map_err(|error| wrong(&self.chain, error.to_string()))
    }
}

fn base(text: &str) -> Result<Url, ConfigError> {
    let parsed = Url::parse(text);
    // Whatever cannot be parsed is not shown: it may hold a password.
    let mut url =
        parsed.map_err(|error| ConfigError::Url { url: "…".to_owned(), why: error.to_string() })?;
    let named = !url.username().is_empty() || url.password().is_some();
    let (scheme, host) = (url.scheme().to_owned(), url.host_str().unwrap_or_default().to_owned());
    let wrong = |why: &str| ConfigError::Url { url: format!("{scheme}://{host}"), why: why.to_owned() };
    if !matches!(scheme.as_str(), "http" | "https") || host.is_empty() {
        return Err(wrong("the scheme must be https"));
    }
    if named {
        return Err(wrong("user and password do not belong there"));
    }
    if scheme == "http" && !is_loopback(&host) {
        return Err(ConfigError::PlainHttp { host });
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, ConfigError> {
    let wrong = |why: String| ConfigError::CaFile { path: path.display().to_string(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(found) }
}

/// Gives the process a provider of cryptography, unless it has one: the HTTP library wants one for the whole process,
/// even where no TLS is spoken.
fn install_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, and then there is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}
