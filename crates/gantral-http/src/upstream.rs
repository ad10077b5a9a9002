//! The service behind: where it is, what is added to each request, and whether a request that failed was sent.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use gantral_outbound::{AddressError, Expected, address, client_for};
use reqwest::{Body, Client, Request, Response, Url};

use crate::answer::read_at;
use crate::request::BadRequest;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the service may be silent, before it answers and while it does.
const SILENT_MAX: Duration = Duration::from_secs(600);
/// Names the grant to the service: one action, once. It serves as an idempotency key.
const GRANT: HeaderName = HeaderName::from_static("gantral-grant");

/// Why a service cannot be named so. Whoever configured it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The address or the authorities.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A header. It is not shown: it may hold a secret.
    #[error("a header is none")]
    Header,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nothing reached the service.
    #[error("there is no connection to the service")]
    NotSent,
    /// It was sent, or a part of it, and no answer came.
    #[error("the service had the request and did not answer")]
    Unanswered,
}

/// What is sent.
#[derive(Debug)]
pub enum Sending {
    /// Nothing.
    Nothing,
    /// Bytes.
    Bytes(Bytes),
    /// So many bytes of a file.
    File(Arc<File>, u64),
    /// As it comes, of a length that may be known.
    Stream(Body, Option<u64>),
}

/// A service over HTTP.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// For what passes: connections are used again.
    shared: Client,
    /// For what is governed: each request has a connection of its own, since one that was idle may be closed just when it is used, and then
    /// nobody knows whether the request arrived.
    fresh: Client,
    url: Url,
    headers: HeaderMap,
}

impl Upstream {
    /// Names a service: `https`, or `http` on this machine. The headers are set in each request, in place of the client's own.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub fn new(
        url: &str,
        ca_file: Option<&Path>,
        headers: &[(String, String)],
    ) -> Result<Self, UpstreamError> {
        let expected = Expected {
            such_as: "not one such as `https://orders.example.org`",
            query: false,
            ends: "it must end with its path",
        };
        let url = address(url, &expected)?;
        let bounded = |builder: reqwest::ClientBuilder| {
            builder.connect_timeout(CONNECT_WITHIN).read_timeout(SILENT_MAX).retry(reqwest::retry::never())
        };
        let mut set = HeaderMap::new();
        for (name, value) in headers {
            let parsed = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
            let (Ok(header), Ok(mut value)) = parsed else { return Err(UpstreamError::Header) };
            value.set_sensitive(true);
            set.append(header, value);
        }
        Ok(Self {
            shared: client_for(&url, ca_file, bounded)?,
            fresh: client_for(&url, ca_file, |builder| bounded(builder).pool_max_idle_per_host(0))?,
            url,
            headers: set,
        })
    }

    /// Returns host and port, as the service is called when it has no other name.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Returns where a request goes.
    ///
    /// # Errors
    /// `Path`, if an address would hold another path or query than the request.
    pub fn target(&self, path: &str, query: Option<&str>) -> Result<Url, BadRequest> {
        let base = self.url.path().trim_end_matches('/');
        let mut url = self.url.clone();
        url.set_path(&format!("{base}{path}"));
        url.set_query(query);
        let same = url.path().strip_prefix(base) == Some(path) && url.query() == query;
        if same { Ok(url) } else { Err(BadRequest::Path) }
    }

    /// Sends a request that passes.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn pass(
        &self,
        method: &Method,
        url: Url,
        headers: HeaderMap,
        body: Sending,
    ) -> Result<Response, Lost> {
        self.send(&self.shared, method, url, headers, body).await
    }

    /// Sends a governed request, once, under its grant.
    ///
    /// # Errors
    /// [`Lost`]; it must not be repeated after `Unanswered`.
    pub async fn once(
        &self,
        method: &Method,
        url: Url,
        mut headers: HeaderMap,
        body: Sending,
        grant: Option<String>,
    ) -> Result<Response, Lost> {
        if let Some(value) = grant.and_then(|grant| HeaderValue::from_str(&grant).ok()) {
            headers.insert(GRANT, value);
        }
        self.send(&self.fresh, method, url, headers, body).await
    }

    async fn send(
        &self,
        client: &Client,
        method: &Method,
        url: Url,
        mut headers: HeaderMap,
        body: Sending,
    ) -> Result<Response, Lost> {
        for name in self.headers.keys() {
            headers.remove(name);
        }
        headers.extend(self.headers.clone());
        let length = match &body {
            Sending::Nothing | Sending::Bytes(_) => None,
            Sending::File(_, size) => Some(*size),
            Sending::Stream(_, size) => *size,
        };
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        let mut request = Request::new(method.clone(), url);
        *request.headers_mut() = headers;
        *request.body_mut() = match body {
            Sending::Nothing => None,
            Sending::Bytes(bytes) => Some(bytes.into()),
            Sending::File(file, size) => Some(Body::wrap_stream(read_at(file, size))),
            Sending::Stream(body, _) => Some(body),
        };
        let answer = client.execute(request).await.map_err(|error| {
            // Before there is a connection nothing was sent; whatever comes later may have been read.
            if error.is_connect() || error.is_builder() { Lost::NotSent } else { Lost::Unanswered }
        })?;
        // We asked for no other protocol.
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS { Err(Lost::Unanswered) } else { Ok(answer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_goes_where_it_says_and_nowhere_else() {
        let upstream = Upstream::new("http://127.0.0.1:1/v1/", None, &[]).unwrap();
        assert_eq!(upstream.host(), "127.0.0.1:1");
        let url = upstream.target("/a%20b/", Some("x=%2F&y=[1]|2")).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/v1/a%20b/?x=%2F&y=[1]|2");
        assert_eq!(upstream.target("/", None).unwrap().as_str(), "http://127.0.0.1:1/v1/");
        for path in ["/../a", "/a\\b", "/a b"] {
            assert_eq!(upstream.target(path, None), Err(BadRequest::Path), "{path}");
        }
        for url in ["http://example.org", "https://a:b@example.org", "https://example.org/?a=1", "ftp://x"] {
            assert!(Upstream::new(url, None, &[]).is_err(), "{url}");
        }
        let header = [("a b".to_owned(), "c".to_owned())];
        assert!(matches!(Upstream::new("https://example.org", None, &header), Err(UpstreamError::Header)));
    }
}
