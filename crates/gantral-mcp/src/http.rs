//! Clients over streamable HTTP. Source: MCP, Transports, Streamable HTTP.
//!
//! Each client with a session has a conversation of its own with the server; requests that stand for themselves share one, under ids of
//! ours. Whoever may connect has the authority of the agent that this interceptor is: it listens on this machine only, answers no browser of
//! another origin, and may ask for a token.

mod hub;
mod stateless;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gantral_listen::{ListenError, Listening, ServeLimits};
use tokio::sync::watch;

use crate::governor::Governor;
use crate::message::{Kind, MESSAGE_BYTES_MAX, Message};
use crate::remote::{SESSION_ID, is_stateless};
use crate::stdio::refusal;
use crate::upstream::Upstream;
use hub::{Asked, Conversation, Hub, NoPlace};
use streams::Answer;

/// What connections are granted. A client holds one for each request that waits, and one to listen.
const LIMITS: ServeLimits = ServeLimits {
    connections_max: Some(512),
    headers_within: Duration::from_secs(60),
    drain: Duration::from_secs(2),
};
/// How long the body of a request may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Where clients connect, and who may.
pub struct Door {
    listening: Listening,
    token: Option<String>,
}

impl Door {
    /// Listens on an address of this machine; port 0 picks a free one. With a token each request must carry it as `Authorization: Bearer`.
    ///
    /// # Errors
    /// [`ListenError`]; nothing is bound then.
    pub async fn open(address: SocketAddr, token: Option<String>) -> Result<Self, ListenError> {
        Ok(Self { listening: Listening::bind(address, None).await?, token })
    }

    /// Returns where clients connect.
    pub fn url(&self) -> String {
        format!("{}/mcp", self.listening.url())
    }
}

struct App {
    hub: Arc<Hub>,
    token: Option<String>,
}

/// Serves clients until `stop` turns true.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    governor: Arc<Governor>,
    upstream: Upstream,
    door: Door,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let hub = Arc::new(Hub::new(governor.clone(), upstream));
    let idle = tokio::spawn(hub.clone().end_idle());
    let app = Arc::new(App { hub: hub.clone(), token: door.token });
    let router = Router::new().fallback(answer).with_state(app);
    let served = gantral_listen::serve(router, door.listening, LIMITS, stop).await;
    idle.abort();
    governor.quiet(LIMITS.drain).await;
    hub.end();
    served
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    if let Err(status) = app.admits(request.headers()) {
        return status.into_response();
    }
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::POST => post(&app, &parts.headers, body).await,
        Method::GET => listen(&app, &parts.headers),
        Method::DELETE => match app.hub.find(session_of(&parts.headers)) {
            Some((id, _)) => {
                app.hub.remove(&id);
                StatusCode::NO_CONTENT.into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

impl App {
    /// A page of another origin must not reach us through somebody's browser, by name or by a name that it made ours.
    fn admits(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if !text(HOST).is_some_and(is_here) {
            return Err(StatusCode::FORBIDDEN);
        }
        let foreign = |origin: &str| !origin.split_once("://").is_some_and(|(_, host)| is_here(host));
        if text(ORIGIN).is_some_and(foreign) {
            return Err(StatusCode::FORBIDDEN);
        }
        let Some(token) = &self.token else { return Ok(()) };
        let given = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if given.is_some_and(|given| same(given.as_bytes(), token.as_bytes())) {
            Ok(())
        } else {
            Err(StatusCode::UNAUTHORIZED)
        }
    }
}

/// Tells whether a host, with or without a port, is this machine.
fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Compares in a time that says nothing about where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b));
    one.len() == other.len() && differs == 0
}

async fn post(app: &App, headers: &HeaderMap, body: Body) -> Response {
    let read = tokio::time::timeout(BODY_WITHIN, to_bytes(body, MESSAGE_BYTES_MAX)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes.to_vec(),
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let message = match Message::from_client(bytes) {
        Ok(message) => message,
        Err((error, bytes)) => return json(StatusCode::BAD_REQUEST, refusal(&error, bytes)),
    };
    let found = if is_stateless(headers) {
        app.hub.shared().map(|conversation| (None, conversation))
    } else {
        conversation(app, headers, &message)
    };
    let (id, conversation) = match found {
        Ok(found) => found,
        Err(none) => return no_place(none),
    };
    match message.kind() {
        Kind::Request { .. } => {
            let events = accepts_events(headers);
            let answer = if is_stateless(headers) {
                stateless::ask(&conversation, message).await
            } else {
                conversation.ask(message).await
            };
            respond(answer, events, id).await
        }
        // Ids of the shared conversation are ours: what a client says about its own means nothing there, and closing the answer cancels.
        Kind::Notification { .. } | Kind::Response { .. } | Kind::Batch | Kind::Foreign
            if is_stateless(headers) =>
        {
            StatusCode::ACCEPTED.into_response()
        }
        Kind::Batch if conversation.session.takes_batches() => match conversation.ask_all(message).await {
            Asked::Nothing => StatusCode::ACCEPTED.into_response(),
            Asked::Gone => StatusCode::NOT_FOUND.into_response(),
            Asked::Answer(answer) => respond(Some(answer), accepts_events(headers), id).await,
        },
        Kind::Batch | Kind::Foreign => StatusCode::BAD_REQUEST.into_response(),
        Kind::Notification { .. } | Kind::Response { .. } => {
            if conversation.session.from_client(message).await {
                StatusCode::ACCEPTED.into_response()
            } else {
                StatusCode::NOT_FOUND.into_response()
            }
        }
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|value| value.contains("text/event-stream") || value.contains("*/*"))
}

type Found = (Option<String>, Arc<Conversation>);

/// Returns the conversation of a session, or begins one. The id is returned for one that begins.
fn conversation(app: &App, headers: &HeaderMap, message: &Message) -> Result<Found, NoPlace> {
    if let Some(given) = session_of(headers) {
        return app.hub.find(Some(given)).map(|(_, found)| (None, found)).ok_or(NoPlace::Unknown);
    }
    match message.kind() {
        Kind::Request { method, .. } if method == "initialize" => {
            app.hub.begin().map(|(id, conversation)| (Some(id), conversation))
        }
        Kind::Request { .. }
        | Kind::Notification { .. }
        | Kind::Response { .. }
        | Kind::Batch
        | Kind::Foreign => Err(NoPlace::NoSession),
    }
}

fn session_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION_ID).and_then(|value| value.to_str().ok())
}

fn no_place(none: NoPlace) -> Response {
    let (status, code, text) = match none {
        NoPlace::Unknown => (StatusCode::NOT_FOUND, -32001, "the session has ended"),
        NoPlace::NoSession => {
            (StatusCode::BAD_REQUEST, -32600, "no session is named, and this request does not begin one")
        }
        NoPlace::Full => (StatusCode::SERVICE_UNAVAILABLE, -32000, "too many sessions"),
        NoPlace::Server(why) => {
            tracing::error!(why, "the server cannot be started");
            (StatusCode::BAD_GATEWAY, -32000, "the server cannot be started")
        }
    };
    json(status, Message::error(None, code, text))
}

/// Answers with events, as servers mostly do, so that whatever else there is to say has its place and whatever is between keeps the
/// connection open; as JSON to a client that takes nothing else.
async fn respond(answer: Option<Answer>, events: bool, session: Option<String>) -> Response {
    let Some(mut answer) = answer else {
        return json(StatusCode::BAD_REQUEST, Message::error(None, -32600, crate::reply::TOO_MANY));
    };
    let (kind, body) = if events {
        ("text/event-stream", Body::from_stream(answer.into_events()))
    } else {
        answer.whole().await;
        ("application/json", Body::from_stream(answer.into_json()))
    };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")];
    let mut response = (StatusCode::OK, headers, body).into_response();
    if let Some(value) = session.and_then(|id| id.parse().ok()) {
        response.headers_mut().insert(SESSION_ID, value);
    }
    response
}

fn listen(app: &App, headers: &HeaderMap) -> Response {
    let Some((_, conversation)) = app.hub.find(session_of(headers)) else {
        // Where requests stand for themselves there is nothing to listen to.
        let known = session_of(headers).is_some();
        return if known { StatusCode::NOT_FOUND } else { StatusCode::METHOD_NOT_ALLOWED }.into_response();
    };
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, Body::from_stream(conversation.listen().into_events())).into_response()
}

fn json(status: StatusCode, message: Message) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], message.into_bytes()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_here() {
        for host in ["localhost:80", "LOCALHOST", "127.0.0.1:8080", "[::1]:80", "127.0.0.1"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["example.org", "127.0.0.1.example.org:80", "10.0.0.1:80", "", "localhost.example.org"] {
            assert!(!is_here(host), "{host}");
        }
    }

    #[test]
    fn token_is_compared_whole() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd") && !same(b"ab", b"abc") && !same(b"", b"a"));
    }
}
