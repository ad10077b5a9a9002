//! The two requests to OpenBao, over HTTP.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Certificate, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{OpenBaoConfig, OpenBaoError};
use crate::file::{FileError, read_private};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer, in bytes: a key with a thousand versions fits.
const ANSWER_BYTES_MAX: usize = 256 << 10;

pub(super) struct Client {
    http: reqwest::Client,
    key_url: Url,
    sign_url: Url,
    token_file: PathBuf,
    timeout: Duration,
    mount: String,
    key: String,
}

/// What every answer of OpenBao that we read has around it.
#[derive(Deserialize)]
struct Enveloped<T> {
    data: T,
}

impl Client {
    pub(super) fn new(config: &OpenBaoConfig) -> Result<Self, OpenBaoError> {
        let base = base(&config.url)?;
        let address = |verb: &str| {
            let mut url = base.clone();
            match url.path_segments_mut() {
                Ok(mut path) => {
                    path.pop_if_empty()
                        .push("v1")
                        .extend(config.mount.split('/'))
                        .push(verb)
                        .push(&config.key);
                }
                Err(()) => return Err(OpenBaoError::Config("the address has no path".to_owned())),
            }
            Ok(url)
        };
        Ok(Self {
            key_url: address("keys")?,
            sign_url: address("sign")?,
            http: http(config, base.scheme() == "http")?,
            token_file: config.token_file.clone(),
            timeout: config.timeout,
            mount: config.mount.clone(),
            key: config.key.clone(),
        })
    }

    /// Reads what OpenBao tells about the key.
    pub(super) async fn key<T: DeserializeOwned>(&self) -> Result<T, OpenBaoError> {
        self.send(self.http.get(self.key_url.clone())).await
    }

    /// Asks for a signature.
    pub(super) async fn sign<T: DeserializeOwned>(
        &self,
        request: &(impl Serialize + Sync),
    ) -> Result<T, OpenBaoError> {
        self.send(self.http.post(self.sign_url.clone()).json(request)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, OpenBaoError> {
        let request = request.header("x-vault-token", self.token().await?).timeout(self.timeout);
        let mut response = request.send().await.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(OpenBaoError::Forbidden { key: self.key.clone() }),
            StatusCode::NOT_FOUND => {
                return Err(OpenBaoError::Missing { mount: self.mount.clone(), key: self.key.clone() });
            }
            other => return Err(OpenBaoError::Status(other.as_u16())),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(OpenBaoError::Answer("too long"));
            }
        }
        let answer: Enveloped<T> = serde_json::from_slice(&body)
            .map_err(|_| OpenBaoError::Answer("not the members it should have"))?;
        Ok(answer.data)
    }

    async fn token(&self) -> Result<HeaderValue, OpenBaoError> {
        let path = self.token_file.clone();
        let read = tokio::task::spawn_blocking(move || token(&path)).await;
        read.unwrap_or_else(|_| Err(OpenBaoError::Unreachable("the process is stopping")))
    }
}

fn token(path: &Path) -> Result<HeaderValue, OpenBaoError> {
    let bytes = read_private(path)?;
    let mut value = HeaderValue::from_bytes(bytes.trim_ascii())
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| FileError::Content { path: path.to_owned(), why: "not a token".to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Says what kind of failure it was, without the address: it is known, and may hold more than a name.
fn unreachable(error: &reqwest::Error) -> OpenBaoError {
    OpenBaoError::Unreachable(if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    })
}

fn http(config: &OpenBaoConfig, plain: bool) -> Result<reqwest::Client, OpenBaoError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, and then there is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let builder = reqwest::Client::builder()
        .user_agent(concat!("gantral/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let builder = match &config.ca_file {
        Some(path) => builder.tls_certs_only(authorities(path)?),
        // Without TLS no authority is needed, and a small image may hold none.
        None if plain => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|error| OpenBaoError::Config(format!("tls cannot be set up: {error}")))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, OpenBaoError> {
    let wrong = |why: String| OpenBaoError::Config(format!("`{}` {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("holds no certificate".to_owned())) } else { Ok(found) }
}

fn base(text: &str) -> Result<Url, OpenBaoError> {
    // Whatever cannot be used is not shown: it may hold a password.
    let wrong = |why: &str| OpenBaoError::Config(why.to_owned());
    let url = Url::parse(text).map_err(|_| wrong("not an address such as `https://bao.example.org:8200`"))?;
    let host = url.host_str().unwrap_or_default();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("user and password do not belong into the address"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err(wrong("plain http is for loopback addresses, use https")),
        _ => Err(wrong("the scheme must be https")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
