//! One provider as its clients meet it: its endpoints, and what it answers there (RFC 6749 section 5).

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantral_identity::{ClientKeyError, PublishedKeys};
use gantral_outbound::{AddressError, NoAnswer, body, client_for, is_loopback};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fetch::{FetchError, url};
use crate::metadata::Metadata;
use crate::refusal::Refusal;
use crate::token::{Granted, Token};

/// How long an answer may take: some providers look a person up in several places.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read: three tokens of the largest kind fit.
const ANSWER_BYTES_MAX: usize = 65_536;

/// Why a provider gave no token.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// It does not say of itself what is needed. May be tried again.
    #[error(transparent)]
    Discovery(#[from] FetchError),
    /// Where to ask is not said, or not where tokens may travel.
    #[error("its discovery document has no usable `{0}`")]
    Endpoint(&'static str),
    /// Whom to believe cannot be said.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It did not answer. May be tried again.
    #[error(transparent)]
    Answer(#[from] NoAnswer),
    /// It answered with something that is no answer. May be tried again.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// It answered with something else than was asked for. What it is is not shown: it may hold tokens.
    #[error("its answer is not {0}")]
    Document(&'static str),
    /// It refuses.
    #[error("it refuses: {0}")]
    Refused(Refusal),
    /// The answer came from another provider than the one that was asked (RFC 9207).
    #[error("the answer is of another issuer, and was not used")]
    OtherIssuer,
    /// Nobody came back from the browser, or said yes, in time.
    #[error("nobody logged in within {0} s")]
    Nobody(u64),
    /// No port of this machine could be listened on.
    #[error("cannot listen for the browser on 127.0.0.1: {0}")]
    Listen(#[source] std::io::Error),
    /// The random source of the system failed.
    #[error("the system gives no random bytes")]
    Random,
    /// The client's own key.
    #[error(transparent)]
    Key(#[from] ClientKeyError),
    /// The file with the client's secret.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why; never the secret.
        why: String,
    },
}

impl GrantError {
    /// Tells whether the provider itself said no, so that asking again without a person or an operator is pointless.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(refusal) => !refusal.is_passing(),
            _ => false,
        }
    }
}

/// A client that a person logs in with, and what it asks for. It has no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicClient {
    /// Its identifier.
    pub id: String,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The parameter `audience`, if the provider wants one.
    pub audience: Option<String>,
    /// The parameter `resource` (RFC 8707), if the provider wants one.
    pub resource: Option<String>,
    /// The parameter `prompt` of a login with a browser, if the provider wants one.
    pub prompt: Option<String>,
}

impl PublicClient {
    /// Returns what the client says in its first request.
    pub(crate) fn parameters<'a>(&'a self, scope: &'a str) -> Vec<(&'static str, &'a str)> {
        let mut parameters = vec![("client_id", self.id.as_str()), ("scope", scope)];
        parameters.extend(self.audience.as_deref().map(|audience| ("audience", audience)));
        parameters.extend(self.resource());
        parameters
    }

    /// Returns what the client says again wherever it asks for a token (RFC 8707 section 2.2).
    pub(crate) fn resource(&self) -> Option<(&'static str, &str)> {
        self.resource.as_deref().map(|resource| ("resource", resource))
    }
}

/// A provider, by what it says of itself.
#[derive(Debug, Clone)]
pub struct Provider {
    pub(crate) issuer: String,
    pub(crate) metadata: Metadata,
    ca_file: Option<PathBuf>,
}

impl Provider {
    /// Asks a provider where its endpoints are. `ca_file` names the authorities to trust, those of the system when absent.
    ///
    /// An issuer that is not on this machine may not send tokens to plain addresses of this machine.
    ///
    /// # Errors
    /// `Discovery`, `Endpoint`.
    pub async fn discover(issuer: &str, ca_file: Option<&Path>) -> Result<Self, GrantError> {
        let source = PublishedKeys { ca_file: ca_file.map(Path::to_owned), ..PublishedKeys::default() };
        let metadata = Metadata::fetch(issuer, &source).await?;
        if let Some(member) = unprotected(issuer, &metadata) {
            return Err(GrantError::Endpoint(member));
        }
        Ok(Self { issuer: issuer.to_owned(), metadata, ca_file: source.ca_file })
    }

    /// Exchanges a refresh token for other tokens. Providers that rotate them take each once, so that it is lost if its answer is.
    ///
    /// # Errors
    /// `GrantError`; after a refusal the person has to log in again.
    pub async fn refresh(&self, client: &PublicClient, token: &Token) -> Result<Granted, GrantError> {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose()),
            ("client_id", client.id.as_str()),
        ];
        form.extend(client.resource());
        self.grant(&form, None).await
    }

    /// Tells the provider that a token is not used any more (RFC 7009). Returns whether it can be told at all.
    ///
    /// # Errors
    /// `GrantError`.
    pub async fn revoke(&self, client: &PublicClient, token: &Token) -> Result<bool, GrantError> {
        let Some(at) = &self.metadata.revocation else { return Ok(false) };
        let form = [("token", token.expose()), ("client_id", client.id.as_str())];
        self.post(at, &form, None).await.map(|_| true)
    }

    /// Asks the token endpoint.
    pub(crate) async fn grant(
        &self,
        form: &[(&str, &str)],
        authorization: Option<HeaderValue>,
    ) -> Result<Granted, GrantError> {
        let at = self.metadata.token.as_ref().ok_or(GrantError::Endpoint("token_endpoint"))?;
        let answer: Answer = read(&self.post(at, form, authorization).await?, "one with tokens")?;
        answer.granted().ok_or(GrantError::Document("one with tokens"))
    }

    /// Posts a form, and returns an answer with status 200.
    pub(crate) async fn post(
        &self,
        at: &Url,
        form: &[(&str, &str)],
        authorization: Option<HeaderValue>,
    ) -> Result<Vec<u8>, GrantError> {
        let client = client_for(at, self.ca_file.as_deref(), |builder| builder.timeout(TIMEOUT))?;
        let mut request = client
            .post(at.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(at, form));
        if let Some(mut value) = authorization {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(NoAnswer::from)?;
        let status = response.status();
        let answer = body(response, ANSWER_BYTES_MAX).await?;
        if status == StatusCode::OK {
            return Ok(answer);
        }
        // Section 5.2 says 400 and 401; some say 403.
        match Refusal::read(&answer) {
            Some(refusal) if status.is_client_error() => Err(GrantError::Refused(refusal)),
            _ => Err(GrantError::Status(status)),
        }
    }
}

/// Returns the endpoint to which tokens must not be sent: plain, and named by an issuer that is not on this machine either.
fn unprotected(issuer: &str, metadata: &Metadata) -> Option<&'static str> {
    let here = url(issuer).is_ok_and(|issuer| issuer.scheme() == "http" && is_loopback(&issuer));
    let endpoints = [
        ("authorization_endpoint", &metadata.authorization),
        ("token_endpoint", &metadata.token),
        ("device_authorization_endpoint", &metadata.device_authorization),
        ("revocation_endpoint", &metadata.revocation),
    ];
    let plain = |endpoint: &Option<Url>| endpoint.as_ref().is_some_and(|url| url.scheme() != "https");
    endpoints.into_iter().find(|(_, endpoint)| !here && plain(endpoint)).map(|(member, _)| member)
}

/// Reads an answer.
pub(crate) fn read<T: DeserializeOwned>(answer: &[u8], what: &'static str) -> Result<T, GrantError> {
    serde_json::from_slice(answer).map_err(|_| GrantError::Document(what))
}

/// Writes a form as the query of an address is written (RFC 6749 appendix B).
pub(crate) fn encoded(any: &Url, form: &[(&str, &str)]) -> String {
    let mut url = any.clone();
    url.set_query(None);
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

/// An answer with tokens (RFC 6749 section 5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

impl Answer {
    /// Takes the tokens; `None` if one is none, or of a kind that is not sent as a bearer's.
    fn granted(self) -> Option<Granted> {
        if !self.token_type.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let token = |text: Option<String>| match text {
            Some(text) => Token::new(text).map(Some),
            None => Some(None),
        };
        Some(Granted {
            access: Token::new(self.access_token)?,
            expires_in: self.expires_in.as_ref().and_then(seconds),
            refresh: token(self.refresh_token)?,
            id: token(self.id_token)?,
        })
    }
}

/// Reads a number of seconds, which some providers write as a text.
pub(crate) fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
