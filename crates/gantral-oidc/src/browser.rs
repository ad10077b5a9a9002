//! Logging in with a browser of this machine: authorization code with PKCE over a loopback redirect (RFC 8252 section 7.3).

use std::time::Duration;

use gantral_core::digest::Digest;
use reqwest::Url;

use crate::endpoint::{GrantError, Provider, PublicClient};
use crate::loopback::{Loopback, Redirected};
use crate::pkce::{Pkce, random_text};
use crate::refusal::Refusal;
use crate::token::Granted;

/// What ties an answer to the request.
pub(crate) struct Asked<'a> {
    pub redirect: &'a str,
    pub state: &'a str,
    pub challenge: &'a str,
}

impl Provider {
    /// Lets a person log in with a browser. `show` is given the address that they have to open; what follows waits for them, at
    /// most so long. Whatever else reaches the port meanwhile is turned away and ends nothing.
    ///
    /// # Errors
    /// `GrantError`.
    pub async fn login_with_browser(
        &self,
        client: &PublicClient,
        at_most: Duration,
        show: impl FnOnce(&Url),
    ) -> Result<Granted, GrantError> {
        let (pkce, state) = (Pkce::new()?, random_text()?);
        let loopback = Loopback::bind().await.map_err(GrantError::Listen)?;
        let redirect = loopback.address();
        let scope = client.scopes.join(" ");
        let mut parameters = client.parameters(&scope);
        parameters.extend(client.prompt.as_deref().map(|prompt| ("prompt", prompt)));
        let asked = Asked { redirect: &redirect, state: &state, challenge: &pkce.challenge() };
        show(&self.authorization_address(parameters, &asked)?);
        let expected = Digest::of(state.as_bytes());
        let redirected = loopback.wait(expected, at_most).await;
        let code = self.code_of(redirected.ok_or(GrantError::Nobody(at_most.as_secs()))?)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", redirect.as_str()),
            ("client_id", client.id.as_str()),
            ("code_verifier", pkce.verifier()),
        ];
        form.extend(client.resource());
        self.grant(&form, None).await
    }

    /// Returns the address to which a browser is sent to log in.
    pub(crate) fn authorization_address<'a>(
        &self,
        mut parameters: Vec<(&'static str, &'a str)>,
        asked: &Asked<'a>,
    ) -> Result<Url, GrantError> {
        let authorization = self.metadata.authorization.as_ref();
        let mut address = authorization.ok_or(GrantError::Endpoint("authorization_endpoint"))?.clone();
        parameters.extend([
            ("response_type", "code"),
            ("redirect_uri", asked.redirect),
            ("state", asked.state),
            ("code_challenge", asked.challenge),
            ("code_challenge_method", "S256"),
        ]);
        address.query_pairs_mut().extend_pairs(parameters);
        Ok(address)
    }

    /// Takes the code of a redirect, if it is of this provider (RFC 9207 section 2.4).
    pub(crate) fn code_of(&self, redirected: Redirected) -> Result<String, GrantError> {
        match &redirected.iss {
            Some(iss) if *iss != self.issuer => return Err(GrantError::OtherIssuer),
            None if self.metadata.says_issuer => return Err(GrantError::OtherIssuer),
            Some(_) | None => {}
        }
        if let Some(error) = &redirected.error {
            let refusal = Refusal::new(error, redirected.error_description.as_deref());
            return Err(GrantError::Refused(refusal));
        }
        redirected.code.ok_or(GrantError::Document("one with a code"))
    }
}

#[cfg(test)]
mod tests;
