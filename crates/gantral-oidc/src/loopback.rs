//! Where the browser comes back to: one port of this machine, for one login (RFC 8252 sections 7.3 and 8.3).
//!
//! Anybody on this machine reaches it, and so does what a web page makes a browser fetch. Only a request that carries the
//! state of this login counts; the page that it gets says nothing of what came with it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::digest::Digest;
use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The path of the redirect.
const PATH: &str = "/callback";
/// The largest head of a request that is read: codes of some providers have some KiB.
const HEAD_BYTES_MAX: usize = 32_768;
/// How long one connection may take.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// How many connections are open at the same time.
const CONNECTIONS_MAX: usize = 32;
/// The pause after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const DONE: &str = "200 OK";
const DONE_PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Gantral</title>\
    <p>The command line goes on, and says how it ended. You can close this page.</p>";
const NOT_PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Gantral</title>\
    <p>This is not the answer to a login that the command line waits for.</p>";

/// What a provider says by a redirect. Nothing of it is checked yet but the state.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Redirected {
    pub code: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// The port, for as long as somebody waits.
pub(crate) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Listens on a free port.
    pub(crate) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Returns the address of the redirect.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the redirect with the state of this digest; `None` when it does not come in time.
    pub(crate) async fn wait(self, state: Digest, at_most: Duration) -> Option<Redirected> {
        let end = Instant::now() + at_most;
        let state = Arc::new(state);
        let mut open: JoinSet<Option<Redirected>> = JoinSet::new();
        loop {
            tokio::select! {
                () = sleep_until(end) => return None,
                Some(ended) = open.join_next(), if !open.is_empty() => {
                    if let Ok(Some(redirected)) = ended {
                        return Some(redirected);
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if open.len() < CONNECTIONS_MAX => {
                        let state = Arc::clone(&state);
                        open.spawn(async move { timeout(CONNECTION_TIME, answer(stream, &state)).await.ok()? });
                    }
                    // Dropped, which closes it.
                    Ok(_) => {}
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

/// Answers one connection; returns the redirect, if it is the one.
async fn answer(mut stream: TcpStream, state: &Digest) -> Option<Redirected> {
    let head = head(&mut stream).await?;
    let redirected = redirected(&head, state);
    let (status, page) = match redirected {
        Some(_) => (DONE, DONE_PAGE),
        None => ("404 Not Found", NOT_PAGE),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         content-security-policy: default-src 'none'; frame-ancestors 'none'\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n{page}",
        page.len(),
    );
    // The redirect counts, whether or not the browser hears of it.
    let written = stream.write_all(answer.as_bytes()).await;
    if written.is_ok() {
        let _ = stream.shutdown().await;
    }
    redirected
}

/// Reads the head of a request; `None` if none comes.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut part = [0; 2_048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part).await.ok()?;
        if read == 0 || head.len() + read > HEAD_BYTES_MAX {
            return None;
        }
        head.extend_from_slice(part.get(..read)?);
    }
    String::from_utf8(head).ok()
}

/// Reads the redirect of a request; `None` if it is not the one that is waited for. Of a parameter that stands twice nobody can say which
/// is meant (RFC 6749 section 3.1).
fn redirected(head: &str, state: &Digest) -> Option<Redirected> {
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method != "GET" || !target.starts_with('/') {
        return None;
    }
    let address = Url::parse(&format!("http://127.0.0.1{target}")).ok()?;
    if address.path() != PATH {
        return None;
    }
    let (mut found, mut seen_state) = (Redirected::default(), None);
    for (name, value) in address.query_pairs() {
        let member = match &*name {
            "state" => &mut seen_state,
            "code" => &mut found.code,
            "iss" => &mut found.iss,
            "error" => &mut found.error,
            "error_description" => &mut found.error_description,
            _ => continue,
        };
        if member.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    // Digests are compared, so that the time that it takes says nothing of the state.
    (Digest::of(seen_state?.as_bytes()) == *state).then_some(found)
}

#[cfg(test)]
mod tests;
