//! What a request is sent with: where the token comes from, and what is said of it.

use std::path::PathBuf;
use std::sync::Arc;

use gantral_api::client::{FetchToken as _, TokenSource};
use gantral_core::time::UnixMillis;
use gantral_oidc::Token;

use crate::logins::LoginTokens;
use crate::machine::OwnTokens;

/// What a request is sent with.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A file that somebody renews.
    File(PathBuf),
    /// The login of a person.
    Login(Arc<LoginTokens>),
    /// What a machine gets itself.
    Machine(Arc<OwnTokens>),
}

impl Credentials {
    /// Returns the source for a client.
    pub fn source(&self) -> TokenSource {
        match self {
            Self::File(path) => TokenSource::File(path.clone()),
            Self::Login(tokens) => TokenSource::Fetched(tokens.clone()),
            Self::Machine(tokens) => TokenSource::Fetched(tokens.clone()),
        }
    }

    /// Returns what they are, in words.
    pub fn described(&self) -> String {
        match self {
            Self::File(path) => format!("`{}`", path.display()),
            Self::Login(_) => "your login".to_owned(),
            Self::Machine(tokens) => tokens.described().to_owned(),
        }
    }

    /// Tells whether they are renewed without anybody's doing, as far as this program knows.
    pub fn renews(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Login(tokens) => tokens.renews(),
            Self::Machine(_) => true,
        }
    }

    /// Returns until when the token of now is good; `None` if that cannot be said.
    pub async fn expires_at(&self) -> Option<UnixMillis> {
        match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path).ok()?;
                Token::new(text.trim().to_owned())?.expires_at()
            }
            Self::Login(tokens) => Some(tokens.current().await.ok()?.expires_at()),
            Self::Machine(tokens) => Token::new(tokens.token().await.ok()?)?.expires_at(),
        }
    }
}
