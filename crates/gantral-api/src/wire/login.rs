//! Logging in: whom a program sends a person to, before it has any token.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which token of a login is sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginToken {
    /// The access token.
    Access,
    /// The ID token.
    Id,
}

/// How people of one identity provider log in. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginView {
    /// The exact `iss` of its tokens; its discovery document is below it.
    pub issuer: String,
    /// The public client of the command line.
    pub client_id: String,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// The parameter `audience` of the requests to the provider, if it wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The parameter `resource` of the requests to the provider (RFC 8707), if it wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The parameter `prompt` of a login with a browser, if the provider wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Which of its tokens is sent here.
    pub token: LoginToken,
}

/// Answer of `GET /v1/login`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Logins {
    /// The providers, by issuer; those whose people bring their tokens themselves are not among them.
    pub items: Vec<LoginView>,
}
