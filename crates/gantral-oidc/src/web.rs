//! Logging in at a server of ours: authorization code with PKCE and a nonce, back to an address of the server (OpenID Connect Core 1.0
//! section 3.1).

use reqwest::Url;

use crate::browser::Asked;
use crate::credential::Credential;
use crate::endpoint::{GrantError, Provider};
use crate::loopback::Redirected;
use crate::pkce::{Pkce, random_text};
use crate::token::Token;

/// The client by which a server logs people in.
#[derive(Debug)]
pub struct WebClient {
    /// Its identifier.
    pub id: String,
    /// What it proves with that it is the client; absent for a public one.
    pub credential: Option<Credential>,
    /// The scopes, `openid` among them.
    pub scopes: Vec<String>,
    /// The parameter `prompt`, if there should be one.
    pub prompt: Option<String>,
    /// Where the provider sends people back to, as it is registered there.
    pub redirect: String,
}

/// A login that has begun. The browser that began it keeps it, and nobody else learns it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebLogin {
    /// By which an answer is known as one to this login.
    pub state: String,
    /// What the ID token repeats.
    pub nonce: String,
    /// What proves at the exchange that it is the same server (RFC 7636).
    pub verifier: String,
}

/// Shows nothing of it.
impl std::fmt::Debug for WebLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebLogin(..)")
    }
}

/// What a provider said by the redirect, beside the state. Nothing of it is checked yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebAnswer {
    /// The code.
    pub code: Option<String>,
    /// Who it says that it is (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The same in words.
    pub error_description: Option<String>,
}

impl Provider {
    /// Begins a login; returns the address to which the browser is sent.
    ///
    /// # Errors
    /// `Endpoint`, `Random`.
    pub fn begin_web_login(&self, client: &WebClient) -> Result<(Url, WebLogin), GrantError> {
        let pkce = Pkce::new()?;
        let login =
            WebLogin { state: random_text()?, nonce: random_text()?, verifier: pkce.verifier().to_owned() };
        let scope = client.scopes.join(" ");
        let mut parameters = vec![
            ("client_id", client.id.as_str()),
            ("scope", scope.as_str()),
            ("nonce", login.nonce.as_str()),
        ];
        parameters.extend(client.prompt.as_deref().map(|prompt| ("prompt", prompt)));
        let asked = Asked { redirect: &client.redirect, state: &login.state, challenge: &pkce.challenge() };
        let address = self.authorization_address(parameters, &asked)?;
        Ok((address, login))
    }

    /// Exchanges the answer to a login whose state was found to be right for an ID token. What is in the token has to be verified still.
    ///
    /// # Errors
    /// `GrantError`; the person may begin again.
    pub async fn finish_web_login(
        &self,
        client: &WebClient,
        login: &WebLogin,
        answer: WebAnswer,
    ) -> Result<Token, GrantError> {
        let WebAnswer { code, iss, error, error_description } = answer;
        let code = self.code_of(Redirected { code, iss, error, error_description })?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", client.redirect.as_str()),
            ("code_verifier", login.verifier.as_str()),
        ];
        let granted = match &client.credential {
            Some(credential) => self.grant_as(&client.id, credential, form).await?,
            None => {
                form.push(("client_id", client.id.as_str()));
                self.grant(&form, None).await?
            }
        };
        granted.id.ok_or(GrantError::Document("one with an ID token"))
    }
}
