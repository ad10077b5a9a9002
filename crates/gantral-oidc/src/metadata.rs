//! What a provider says of itself.

use gantral_identity::PublishedKeys;
use reqwest::Url;
use serde::Deserialize;

use crate::fetch::{FetchError, fetch, url};

/// Where the document is, below the issuer (OpenID Connect Discovery 1.0 section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The document as it was sent. Members that we do not use are ignored.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What a provider says of itself, checked: the issuer is the configured one, and each address is one that may be spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where its keys are.
    pub jwks: Url,
    /// Where a browser is sent to log in.
    pub authorization: Option<Url>,
    /// Where a code is exchanged for tokens.
    pub token: Option<Url>,
    /// Where a device asks to be let in (RFC 8628).
    pub device_authorization: Option<Url>,
    /// Where it is told that a token is not used any more (RFC 7009).
    pub revocation: Option<Url>,
    /// Whether a client may send its secret as RFC 6749 section 2.3.1 prefers; otherwise it stands in the form.
    pub takes_basic: bool,
    /// Whether its redirects always say which issuer they are of (RFC 9207).
    pub says_issuer: bool,
}

impl Metadata {
    /// Fetches and checks the document of an issuer.
    ///
    /// # Errors
    /// `FetchError`; may be tried again.
    pub(crate) async fn fetch(issuer: &str, source: &PublishedKeys) -> Result<Self, FetchError> {
        let at = match &source.discovery_url {
            Some(url) => url.clone(),
            // Section 4.1: a slash at the end of the issuer goes first.
            None => format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/')),
        };
        let document: Document = fetch(&url(&at)?, source, "a discovery document").await?.document;
        // Section 4.3: exactly equal, or somebody else would speak for the issuer.
        if document.issuer != issuer {
            return Err(FetchError::OtherIssuer);
        }
        let endpoint = |member, text: Option<String>| {
            let read = |text: String| url(&text).map_err(|source| FetchError::Member { member, source });
            text.map(read).transpose()
        };
        Ok(Self {
            jwks: url(&document.jwks_uri)
                .map_err(|source| FetchError::Member { member: "jwks_uri", source })?,
            authorization: endpoint("authorization_endpoint", document.authorization_endpoint)?,
            token: endpoint("token_endpoint", document.token_endpoint)?,
            device_authorization: endpoint(
                "device_authorization_endpoint",
                document.device_authorization_endpoint,
            )?,
            revocation: endpoint("revocation_endpoint", document.revocation_endpoint)?,
            // OpenID Connect Discovery 1.0 section 3: that is meant when nothing is said.
            takes_basic: document
                .token_endpoint_auth_methods_supported
                .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
            says_issuer: document.authorization_response_iss_parameter_supported,
        })
    }
}
