//! Where the bearer token comes from.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::path::PathBuf;
use std::sync::Arc;

use super::ClientError;

/// The largest token, in bytes; headers of most servers end near this.
pub const TOKEN_BYTES_MAX: u64 = 16 << 10;

/// Why there is no token, in words for people; never a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoToken(pub String);

/// A token that is on its way.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<String, NoToken>> + Send + 'a>>;

/// A source that fetches tokens and renews them in time. Shared between tasks.
pub trait FetchToken: Send + Sync {
    /// Returns a token that is good now. Asked for every try, so that whoever implements it keeps what it fetched.
    fn token(&self) -> TokenFuture<'_>;

    /// Is told that the server did not believe a token. Returns whether another one may be had, for which the call is tried again.
    fn refused(&self, token: &str) -> bool;
}

/// Where the bearer token comes from.
#[derive(Clone)]
pub enum TokenSource {
    /// None is sent; only the open routes answer.
    None,
    /// A token that is given once.
    Fixed(String),
    /// A file that holds the token, read for every try, because somebody else renews it.
    File(PathBuf),
    /// A source that fetches and renews it.
    Fetched(Arc<dyn FetchToken>),
}

impl TokenSource {
    /// Tells whether a try with another token is worth it, after the server did not believe this one.
    pub(super) fn refused(&self, token: &str) -> bool {
        matches!(self, Self::Fetched(source) if source.refused(token))
    }

    /// Returns the token as it is now.
    pub(super) async fn read(&self) -> Result<Option<String>, ClientError> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(token) => Ok(Some(token.trim().to_owned())),
            Self::Fetched(source) => {
                let fetched = source.token().await;
                fetched.map(Some).map_err(|NoToken(why)| ClientError::Token { why })
            }
            Self::File(path) => {
                let wrong = |why: String| ClientError::Token { why: format!("`{}` {why}", path.display()) };
                let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
                let found = std::fs::metadata(path).map_err(unreadable)?;
                if found.len() > TOKEN_BYTES_MAX {
                    return Err(wrong(format!("is larger than {TOKEN_BYTES_MAX} bytes")));
                }
                // A small file is read sooner than another thread is asked to; a pipe may keep its reader waiting.
                let text = if found.is_file() {
                    std::fs::read_to_string(path)
                } else {
                    tokio::fs::read_to_string(path).await
                };
                let text = text.map_err(unreadable)?;
                let token = text.trim();
                if token.is_empty() { Err(wrong("is empty".to_owned())) } else { Ok(Some(token.to_owned())) }
            }
        }
    }
}

/// Never shows a token.
impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Fixed(_) => f.write_str("Fixed(..)"),
            Self::Fetched(_) => f.write_str("Fetched(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}
