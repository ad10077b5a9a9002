//! Sessions of people at a browser: what of a verified token is kept, and who that is whenever it is asked.
//!
//! A session keeps claims and not what they mean: roles, teams and tenant are read anew with each request, so that a changed
//! configuration counts at once. A token is verified once, when the session begins.

use gantral_core::json::{self, Object, Profile, Value};
use gantral_core::time::UnixMillis;

use crate::claims::{self, required_text, texts};
use crate::error::TokenError;
use crate::issuer::{Client, Issuer};
use crate::jws::Unverified;
use crate::principal::{Principal, PrincipalKind, Window};
use crate::verifier::{TOKEN_BYTES_MAX, Verifier};

/// The most bytes of claims that are kept.
const CLAIMS_BYTES_MAX: usize = 16_384;

/// What a login brought.
#[derive(Clone, Copy)]
pub enum SessionToken<'a> {
    /// An ID token of a code flow (OpenID Connect Core 1.0 section 3.1.3.7), for this client and with this nonce.
    Id {
        /// The token.
        token: &'a str,
        /// The exact `iss` of the provider that was asked.
        issuer: &'a str,
        /// The client that asked.
        client: &'a str,
        /// What was sent along, so that a token of another login is refused.
        nonce: &'a str,
    },
    /// An access token, as it would come with a request.
    Access(&'a str),
}

/// What is kept of whoever logged in: personal data, and nothing by which anybody could log in.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionClaims {
    /// The issuer that vouched.
    pub issuer: String,
    /// Whom it vouched for.
    pub subject: String,
    /// The client through which they came.
    pub client: String,
    /// Its claims, a JSON object.
    pub claims: String,
}

/// Shows nobody.
impl std::fmt::Debug for SessionClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionClaims").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Verifies the token of a login as of `now`, and returns what a session keeps. Only people have sessions.
    ///
    /// # Errors
    /// As [`verify`](Self::verify); a token of a machine is refused with [`TokenError::Requirement`].
    pub fn begin_session(
        &self,
        login: SessionToken<'_>,
        now: UnixMillis,
    ) -> Result<SessionClaims, TokenError> {
        let (SessionToken::Id { token, .. } | SessionToken::Access(token)) = login;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let generation = self.generation();
        let accepts = |issuer: &Issuer, typ: Option<&str>| accepts_type(issuer, &login, typ);
        let (issuer, claims) = generation.signed(Unverified::parse(token)?, accepts)?;
        let client = match login {
            SessionToken::Access(_) => claims::client_of(issuer, &claims, now)?,
            SessionToken::Id { issuer: asked, client, nonce, .. } => {
                if issuer.url != asked {
                    return Err(TokenError::UnknownIssuer);
                }
                claims::window(&claims, issuer.lifetime_max)?.check(now)?;
                id_client(issuer, &claims, client, nonce)?
            }
        };
        let text = String::from_utf8(Value::Object(claims.clone()).to_canonical()).unwrap_or_default();
        if text.len() > CLAIMS_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let principal = of_person(issuer, client, &claims, Window { starts: now, ends: now })?;
        let (subject, client) = (principal.subject().to_owned(), client.id.to_string());
        Ok(SessionClaims { issuer: issuer.url.clone(), subject, client, claims: text })
    }

    /// Returns who a session is of, by the configuration as it is now: from `starts` to just before `ends`.
    ///
    /// # Errors
    /// `TokenError`, with which the session has ended: its time, its client, its issuer or a claim that is required.
    pub fn resume_session(
        &self,
        session: &SessionClaims,
        (starts, ends): (UnixMillis, UnixMillis),
        now: UnixMillis,
    ) -> Result<Principal, TokenError> {
        if now >= ends {
            return Err(TokenError::Expired);
        }
        let generation = self.generation();
        let issuer = generation.issuers.get(&session.issuer).ok_or(TokenError::UnknownIssuer)?;
        let client = issuer.clients.get(&session.client).ok_or(TokenError::UnknownClient)?;
        let Ok(Value::Object(claims)) = json::parse(session.claims.as_bytes(), &Profile::DOCUMENT) else {
            return Err(TokenError::Malformed);
        };
        of_person(issuer, client, &claims, Window { starts, ends })
    }
}

/// An ID token is a plain JWT; an access token is what the issuer's access tokens are. Neither passes for the other.
fn accepts_type(issuer: &Issuer, login: &SessionToken<'_>, typ: Option<&str>) -> bool {
    match login {
        SessionToken::Id { .. } => matches!(typ, None | Some("jwt")),
        SessionToken::Access(_) => issuer.accepts_type(typ),
    }
}

/// Checks what ties an ID token to the login that asked for it.
fn id_client<'a>(
    issuer: &'a Issuer,
    claims: &Object,
    client: &str,
    nonce: &str,
) -> Result<&'a Client, TokenError> {
    let audiences = claims.get("aud").and_then(texts).ok_or(TokenError::Claim { name: "aud" })?;
    let party =
        claims.get("azp").map(|party| party.as_str().ok_or(TokenError::Claim { name: "azp" })).transpose()?;
    // Of several audiences, the one that asked must be named.
    let named = party.map_or(audiences.len() == 1, |party| party == client);
    if !audiences.contains(&client) || !named {
        return Err(TokenError::Audience);
    }
    if required_text(claims, "nonce")? != nonce {
        return Err(TokenError::Claim { name: "nonce" });
    }
    claims::undelegated(claims)?;
    issuer.clients.get(client).ok_or(TokenError::UnknownClient)
}

fn of_person(
    issuer: &Issuer,
    client: &Client,
    claims: &Object,
    window: Window,
) -> Result<Principal, TokenError> {
    if client.kind != PrincipalKind::Human {
        return Err(TokenError::Requirement);
    }
    claims::principal_of(issuer, client, claims, window)
}
