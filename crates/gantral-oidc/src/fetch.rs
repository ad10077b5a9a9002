//! One document of a provider.

use std::path::PathBuf;
use std::time::Duration;

use gantral_identity::{KeyError, PublishedKeys};
use gantral_outbound::{AddressError, Expected, NoAnswer, address, body, client_for, read_secret};
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;

/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document that is read: key sets with certificate chains have some ten KiB.
const DOCUMENT_BYTES_MAX: usize = 262_144;
/// The largest token that goes with a request.
const TOKEN_BYTES_MAX: u64 = 16_384;

/// How addresses of providers look.
pub(crate) const ADDRESS: Expected = Expected {
    such_as: "not one such as https://id.example.com",
    query: true,
    ends: "it must not have a fragment",
};

/// Why a document of a provider could not be had. What was had before is kept; it is tried again by itself.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The provider did not answer.
    #[error(transparent)]
    Answer(#[from] NoAnswer),
    /// It answered with something else than the document.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// The document is none. What is in it is not shown: nobody vouches for it.
    #[error("its answer is not {0}")]
    Document(&'static str),
    /// The discovery document is of another issuer, which must not be believed.
    #[error("its discovery document is of another issuer")]
    OtherIssuer,
    /// An address that it names is none that may be spoken to.
    #[error("its discovery document has no usable `{member}`: {source}")]
    Member {
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        source: AddressError,
    },
    /// No key of its set can be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Whom to believe cannot be said.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The token that goes with the request.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A document, and how long its provider says that it is current.
pub(crate) struct Fetched<T> {
    pub document: T,
    pub max_age: Option<Duration>,
}

/// Fetches a JSON document; `what` says what it should be.
pub(crate) async fn fetch<T: DeserializeOwned>(
    url: &Url,
    source: &PublishedKeys,
    what: &'static str,
) -> Result<Fetched<T>, FetchError> {
    let client = client_for(url, source.ca_file.as_deref(), |builder| builder.timeout(TIMEOUT))?;
    let mut request = client.get(url.clone()).header(ACCEPT, "application/json");
    if let Some(value) = authorization(source)? {
        request = request.header(AUTHORIZATION, value);
    }
    let response = request.send().await.map_err(NoAnswer::from)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let max_age = max_age(response.headers());
    let bytes = body(response, DOCUMENT_BYTES_MAX).await?;
    let document = serde_json::from_slice(&bytes).map_err(|_| FetchError::Document(what))?;
    Ok(Fetched { document, max_age })
}

/// Reads an address that was configured, or that a provider named.
pub(crate) fn url(text: &str) -> Result<Url, AddressError> {
    address(text, &ADDRESS)
}

fn authorization(source: &PublishedKeys) -> Result<Option<HeaderValue>, FetchError> {
    let Some(path) = &source.token_file else { return Ok(None) };
    let wrong = |why: String| FetchError::Token { path: path.clone(), why };
    let bytes = read_secret(path, TOKEN_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is no text".to_owned()))?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", text.trim()))
        .map_err(|_| wrong("it is no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Reads `max-age` (RFC 9111 section 5.2.2.1); `no-store` and `no-cache` are an age of nothing.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut found = None;
    for directive in directives.flat_map(|value| value.split(',')) {
        let directive = directive.trim().to_ascii_lowercase();
        if directive == "no-store" || directive == "no-cache" {
            return Some(Duration::ZERO);
        }
        let seconds = directive.strip_prefix("max-age=").map(|text| text.trim_matches('"').parse());
        if let Some(Ok(seconds)) = seconds {
            found = Some(Duration::from_secs(seconds));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_read_wherever_it_stands() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["public, max-age=3600, must-revalidate"]), Some(3_600));
        assert_eq!(of(&["public", "Max-Age=\"60\""]), Some(60));
        assert_eq!(of(&["max-age=3600, no-cache"]), Some(0));
        assert_eq!(of(&["max-age=soon"]), None);
    }
}
