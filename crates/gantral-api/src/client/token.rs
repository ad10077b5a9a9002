//! Where the bearer token comes from.

use core::fmt;
use std::path::PathBuf;

use super::ClientError;

/// The largest token, in bytes; headers of most servers end near this.
pub const TOKEN_BYTES_MAX: u64 = 16 << 10;

/// Where the bearer token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// None is sent; only the open routes answer.
    None,
    /// A token that is given once.
    Fixed(String),
    /// A file that holds the token, read for every try, because somebody else renews it.
    File(PathBuf),
}

impl TokenSource {
    /// Returns the token as it is now.
    pub(super) async fn read(&self) -> Result<Option<String>, ClientError> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(token) => Ok(Some(token.trim().to_owned())),
            Self::File(path) => {
                let wrong = |why: String| ClientError::Token { why: format!("`{}` {why}", path.display()) };
                let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
                let length = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
                if length > TOKEN_BYTES_MAX {
                    return Err(wrong(format!("is larger than {TOKEN_BYTES_MAX} bytes")));
                }
                let text = tokio::fs::read_to_string(path).await.map_err(unreadable)?;
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
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}
