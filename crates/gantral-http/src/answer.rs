//! The answer of the service to a governed request: it goes into a file as it comes, and to whoever waits for it at the same time.
//!
//! So it is there for the client that sent the request, and for the one that sends it again after the first has gone.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use futures_util::Stream;
use futures_util::stream::unfold;
use gantral_core::json::Object;
use gantral_core::state::OutcomeStatus;
use reqwest::Response;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::request::without_connection;
use crate::spool::AnswerHead;

/// The largest answer that is passed on, in bytes: it is kept on disk until somebody has read it.
pub const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// How much of a file is read at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;
/// Headers of an answer that are credentials of whoever gets it: they are passed on, and never kept.
const CREDENTIALS: [&str; 4] =
    ["set-cookie", "set-cookie2", "authentication-info", "proxy-authentication-info"];

/// How much of an answer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// So many bytes.
    pub bytes: u64,
    /// Whether that is all; `Some(false)` if more should have come and never will.
    pub whole: Option<bool>,
}

/// An answer, while it comes or after.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub file: Arc<File>,
    /// How much of it is there.
    pub received: watch::Receiver<Received>,
}

impl Answer {
    /// Returns an answer that an earlier process kept.
    ///
    /// # Errors
    /// The system's.
    pub fn kept(head: &AnswerHead, file: File) -> io::Result<Self> {
        let received = Received { bytes: file.metadata()?.len(), whole: Some(true) };
        let pair = |(name, value): &(String, String)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        };
        let headers = head.headers.iter().filter_map(pair).collect();
        Ok(Self { status: head.status, headers, file: Arc::new(file), received: watch::channel(received).1 })
    }

    /// Returns the head as it is kept.
    pub fn head(&self) -> AnswerHead {
        let kept = self.headers.iter().filter(|(name, _)| !CREDENTIALS.contains(&name.as_str()));
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        AnswerHead { status: self.status, headers: kept.filter_map(text).collect() }
    }
}

/// Returns the headers of an answer that are meant for the client.
pub fn headers_of(response: &Response) -> HeaderMap {
    without_connection(response.headers())
}

/// Returns what came of a request, by the word of the service; `None` if a gateway says that it does not know.
pub fn outcome(status: StatusCode) -> Option<OutcomeStatus> {
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => None,
        status if status.is_client_error() || status.is_server_error() => Some(OutcomeStatus::Failed),
        _ => Some(OutcomeStatus::Succeeded),
    }
}

/// What came of reading an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its SHA-256, in hexadecimal digits, as far as it came.
    pub sha256: String,
    /// How many bytes came.
    pub bytes: u64,
    /// Whether that was all.
    pub whole: bool,
}

impl Read {
    /// Returns what is reported of it.
    pub fn result(&self, status: u16) -> Object {
        let told = Object::new()
            .with("status", u64::from(status))
            .with("body_sha256", self.sha256.as_str())
            .with("body_bytes", self.bytes);
        if self.whole { told } else { told.with("complete", false) }
    }
}

/// Reads an answer into its file, and tells how far it is.
pub async fn receive(mut response: Response, mut file: &File, told: &watch::Sender<Received>) -> Read {
    let mut sha = Sha256::new();
    let mut bytes: u64 = 0;
    let whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let size = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                if bytes.saturating_add(size) > ANSWER_BYTES_MAX {
                    tracing::warn!("an answer is larger than what is passed on, and was cut");
                    break false;
                }
                if let Err(error) = file.write_all(&chunk) {
                    tracing::warn!(%error, "an answer cannot be kept, and was cut");
                    break false;
                }
                sha.update(&chunk);
                bytes = bytes.saturating_add(size);
                told.send_replace(Received { bytes, whole: None });
            }
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    told.send_replace(Received { bytes, whole: Some(whole) });
    Read { sha256: hex(&sha.finalize()), bytes, whole }
}

/// Returns what is in a file, as it comes. `on` is told of each place up to which it was given away, and whether that is the end.
pub fn follow(
    file: Arc<File>,
    received: watch::Receiver<Received>,
    on: impl FnMut(u64, bool),
) -> impl Stream<Item = io::Result<Bytes>> {
    unfold((file, received, on, 0_u64), |(file, mut received, mut on, at)| async move {
        let there = loop {
            let there = *received.borrow_and_update();
            if there.bytes > at || there.whole.is_some() {
                break there;
            }
            if received.changed().await.is_err() {
                break Received { whole: Some(false), ..*received.borrow() };
            }
        };
        if there.bytes > at {
            let chunk = piece(&file, at, there.bytes);
            let at = at.saturating_add(chunk.as_ref().map_or(0, length));
            on(at, there.whole == Some(true) && at == there.bytes);
            return Some((chunk, (file, received, on, at)));
        }
        if there.whole == Some(true) {
            on(at, true);
            return None;
        }
        // Whoever reads must not take a part for the whole.
        let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut");
        Some((Err(cut), (file, received, on, at)))
    })
}

/// Returns so many bytes of a file that is whole.
pub fn read_at(file: Arc<File>, size: u64) -> impl Stream<Item = io::Result<Bytes>> {
    unfold((file, 0_u64), move |(file, at)| async move {
        if at >= size {
            return None;
        }
        let chunk = piece(&file, at, size);
        let at = at.saturating_add(chunk.as_ref().map_or(size, length));
        Some((chunk, (file, at)))
    })
}

fn piece(file: &File, at: u64, end: u64) -> io::Result<Bytes> {
    let size = usize::try_from(end.saturating_sub(at)).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut chunk = vec![0; size];
    file.read_exact_at(&mut chunk, at)?;
    Ok(Bytes::from(chunk))
}

fn length(chunk: &Bytes) -> u64 {
    u64::try_from(chunk.len()).unwrap_or(u64::MAX)
}

/// Returns bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn answer_is_followed_while_it_comes_and_a_part_is_no_whole() {
        let mut file = tempfile::tempfile().unwrap();
        let (told, received) = watch::channel(Received::default());
        file.write_all(b"abc").unwrap();
        told.send_replace(Received { bytes: 3, whole: None });
        let shared = Arc::new(file);
        let mut places = Vec::new();
        let mut stream = Box::pin(follow(shared.clone(), received.clone(), |at, end| places.push((at, end))));
        assert_eq!(stream.next().await.unwrap().unwrap(), "abc");
        shared.as_ref().write_all(b"de").unwrap();
        told.send_replace(Received { bytes: 5, whole: Some(true) });
        assert_eq!(stream.next().await.unwrap().unwrap(), "de");
        assert!(stream.next().await.is_none());
        drop(stream);
        assert_eq!(places, [(3, false), (5, true), (5, true)]);
        told.send_replace(Received { bytes: 5, whole: Some(false) });
        let mut stream = Box::pin(follow(shared.clone(), received.clone(), |_, _| ()));
        assert_eq!(stream.next().await.unwrap().unwrap(), "abcde");
        assert!(stream.next().await.unwrap().is_err());
        drop(told);
        let whole: Vec<_> = read_at(shared, 5).collect().await;
        assert_eq!(whole.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["abcde"]);
    }
}
