//! A server over streamable HTTP, as a client meets it that speaks in lines: each message is a request, answers and events are messages.
//!
//! Source: MCP, Transports, Streamable HTTP, in the revisions with sessions and the one without.

mod exchange;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantral_outbound::{AddressError, Expected, address, client_for};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::link::{Link, QUEUE_MAX};
use crate::message::{Id, Kind, Message, members};

/// How many requests are under way at a time; more wait.
const REQUESTS_MAX: usize = 64;
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the server may be silent while it answers: it sends comments meanwhile, if it is one of the good ones.
const SILENT_MAX: Duration = Duration::from_secs(600);
/// How long the end of a session may take, which nobody needs to wait for.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What the transport calls things.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Since this revision requests stand for themselves.
const STATELESS_SINCE: &str = "2026-07-28";

/// Why a server over HTTP cannot be named so. Whoever configured it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address or the authorities.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A header. It is not shown: it may hold a secret.
    #[error("a header is none")]
    Header,
}

/// A server over HTTP.
#[derive(Debug, Clone)]
pub struct Remote {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

impl Remote {
    /// Names a server: `https`, or `http` on this machine. The headers go along with each request, such as one that authorises it.
    ///
    /// # Errors
    /// [`RemoteError`]: whoever configured it is at fault.
    pub fn new(url: &str, ca_file: Option<&Path>, headers: &[(String, String)]) -> Result<Self, RemoteError> {
        let expected = Expected {
            such_as: "not one such as `https://tools.example.org/mcp`",
            query: true,
            ends: "it must end with its path or its query",
        };
        let url = address(url, &expected)?;
        let client = client_for(&url, ca_file, |builder| {
            builder.connect_timeout(CONNECT_WITHIN).read_timeout(SILENT_MAX)
        })?;
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let parsed = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
            let (Ok(header), Ok(mut value)) = parsed else { return Err(RemoteError::Header) };
            value.set_sensitive(true);
            sent.insert(header, value);
        }
        Ok(Self { client, url, headers: sent })
    }

    /// Returns what requests are sent with.
    pub(crate) const fn parts(&self) -> (&Client, &Url, &HeaderMap) {
        (&self.client, &self.url, &self.headers)
    }

    /// Begins a conversation; nothing is sent before the first message.
    pub fn start(&self) -> Link {
        let (to_server, from_client) = mpsc::channel(QUEUE_MAX);
        let (to_client, from_server) = mpsc::channel(QUEUE_MAX);
        let talk = Arc::new(Talk {
            remote: self.clone(),
            to_client,
            state: Mutex::default(),
            places: Arc::new(Semaphore::new(REQUESTS_MAX)),
        });
        tokio::spawn(talk.run(from_client));
        Link { to_server, from_server }
    }
}

/// One conversation.
#[derive(Debug)]
struct Talk {
    remote: Remote,
    to_client: mpsc::Sender<Message>,
    state: Mutex<State>,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    session: Option<HeaderValue>,
    version: Option<HeaderValue>,
    under_way: HashMap<Id, (AbortHandle, bool)>,
    listening: Option<AbortHandle>,
}

impl Talk {
    async fn run(self: Arc<Self>, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            match message.kind().clone() {
                Kind::Request { id, method } => self.request(id, method, message).await,
                Kind::Notification { method } => {
                    if method == "notifications/cancelled" && self.cancel(&message) {
                        continue;
                    }
                    let sent = self.send_alone(message).await;
                    if sent && method == "notifications/initialized" {
                        self.listen();
                    }
                }
                Kind::Response { .. } | Kind::Batch | Kind::Foreign => {
                    self.send_alone(message).await;
                }
            }
        }
        self.end().await;
    }

    /// Sends a request; what comes of it is read while others are sent. One that begins a session is answered before anything else is sent.
    async fn request(self: &Arc<Self>, id: Id, method: String, message: Message) {
        let Ok(place) = self.places.clone().acquire_owned().await else { return };
        let headers = self.headers(&message, Some(&method));
        let stateless = is_stateless(&headers);
        let (talk, name) = (self.clone(), id.clone());
        let begins = method == "initialize";
        let task = tokio::spawn(async move {
            exchange::request(&talk, &name, message, headers, begins).await;
            talk.state().under_way.remove(&name);
            drop(place);
        });
        self.state().under_way.insert(id, (task.abort_handle(), stateless));
        if begins {
            let _ = task.await;
        }
    }

    /// Where requests stand for themselves, closing the answer is how one is cancelled.
    fn cancel(&self, message: &Message) -> bool {
        let named = message.member("params").and_then(|params| {
            let raw = members(params).ok()?.last("requestId")?;
            serde_json::from_str::<Id>(raw).ok()
        });
        let mut state = self.state();
        match named.as_ref().and_then(|id| state.under_way.get(id)) {
            Some((task, true)) => {
                task.abort();
                if let Some(id) = &named {
                    state.under_way.remove(id);
                }
                true
            }
            Some((_, false)) => false,
            None => {
                state.version.as_ref().is_some_and(|version| version.as_bytes() >= STATELESS_SINCE.as_bytes())
            }
        }
    }

    /// Sends what wants no answer; tells whether the server took it.
    async fn send_alone(&self, message: Message) -> bool {
        let headers = self.headers(&message, None);
        exchange::send_alone(self, message, headers).await
    }

    /// Listens for what the server says by itself, if it has a session and lets us.
    fn listen(self: &Arc<Self>) {
        if self.state().session.is_none() {
            return;
        }
        let talk = self.clone();
        let task = tokio::spawn(async move { exchange::listen(&talk).await });
        if let Some(before) = self.state().listening.replace(task.abort_handle()) {
            before.abort();
        }
    }

    async fn end(&self) {
        let session = {
            let mut state = self.state();
            for (task, _) in state.under_way.values() {
                task.abort();
            }
            if let Some(listening) = state.listening.take() {
                listening.abort();
            }
            state.session.clone()
        };
        if let Some(session) = session {
            let (client, url, headers) = self.remote.parts();
            let request = client.delete(url.clone()).headers(headers.clone()).header(SESSION_ID, session);
            // Nobody waits for it; a server forgets sessions by itself too.
            let _ = tokio::time::timeout(END_WITHIN, request.send()).await;
        }
    }

    /// Returns the headers of a message. Where requests stand for themselves they repeat what the message says.
    fn headers(&self, message: &Message, method: Option<&str>) -> HeaderMap {
        let mut headers = self.remote.headers.clone();
        let state = self.state();
        let own = version_of(message).or_else(|| state.version.clone());
        if let Some(version) = own.filter(|_| method != Some("initialize")) {
            headers.insert(PROTOCOL_VERSION, version);
        }
        if is_stateless(&headers) {
            let name = message.member("params").and_then(|params| {
                let found = members(params).ok()?;
                let named_by = match method {
                    Some("resources/read") => "uri",
                    Some(method) if method.starts_with("tasks/") => "taskId",
                    _ => "name",
                };
                let raw = found.last(named_by)?;
                serde_json::from_str::<String>(raw).ok()
            });
            let bears_name = method.is_some_and(|method| {
                matches!(method, "tools/call" | "prompts/get" | "resources/read")
                    || method.starts_with("tasks/")
            });
            let pairs = [(METHOD, method.map(ToOwned::to_owned)), (NAME, name.filter(|_| bears_name))];
            for (header, value) in pairs {
                if let Some(value) = value.and_then(|value| header_value(&value)) {
                    headers.insert(header, value);
                }
            }
        } else if let Some(session) = &state.session {
            headers.insert(SESSION_ID, session.clone());
        }
        headers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left whole values.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deliver(&self, message: Message) {
        // A client that has gone is told nothing.
        let _ = self.to_client.send(message).await;
    }
}

/// Tells whether headers are those of a revision in which requests stand for themselves.
pub(crate) fn is_stateless(headers: &HeaderMap) -> bool {
    headers.get(PROTOCOL_VERSION).is_some_and(|version| version.as_bytes() >= STATELESS_SINCE.as_bytes())
}

/// Returns the revision that a message itself names.
fn version_of(message: &Message) -> Option<HeaderValue> {
    let meta = members(message.member("params")?).ok()?.last("_meta")?;
    let raw = members(meta).ok()?.last("io.modelcontextprotocol/protocolVersion")?;
    HeaderValue::from_str(&serde_json::from_str::<String>(raw).ok()?).ok()
}

/// Writes a text into a header: as it is, or in base64 where it would not survive. Source: MCP 2026-07-28, Transports, Custom headers.
fn header_value(text: &str) -> Option<HeaderValue> {
    use base64::Engine as _;
    let plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) && text.trim() == text;
    let marked = text.starts_with("=?base64?") && text.ends_with("?=");
    if plain && !marked {
        return HeaderValue::from_str(text).ok();
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    HeaderValue::from_str(&format!("=?base64?{encoded}?=")).ok()
}
