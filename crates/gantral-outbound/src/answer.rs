//! How much of an answer is read, and why there may be none.

use reqwest::Response;

/// Why there is no answer that can be read. May be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Time was up.
    #[error("no answer in time")]
    Timeout,
    /// Nothing listens, or it is not whom it should be.
    #[error("no connection")]
    Connect,
    /// It began, and did not end.
    #[error("the connection broke")]
    Broken,
    /// More than the caller reads.
    #[error("the answer is larger than any good one")]
    TooLarge,
}

impl From<reqwest::Error> for NoAnswer {
    /// Says what kind of failure it was, without the address, which may hold more than a name.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
        } else {
            Self::Broken
        }
    }
}

/// Reads the body of an answer, up to a limit.
///
/// # Errors
/// `NoAnswer`.
pub async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > bytes_max.saturating_sub(body.len()) {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
