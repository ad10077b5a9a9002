//! The door: requests of clients, what is done with each, and who may come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body as RequestBody, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use gantral_core::ids::SessionId;
pub use gantral_listen::TlsFiles;
use gantral_listen::{ListenError, Listening, ServeLimits};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::answer::{headers_of, hex};
use crate::ask::{Body, JSON_BYTES_MAX, Kept, ask};
use crate::choice::Choice;
use crate::governor::{Governed, Governor, Room};
use crate::reply::Problem;
use crate::request::Head;
use crate::rules::{Rules, Treatment};
use crate::spool::Spool;
use crate::upstream::Sending;

/// What connections are granted. A client holds one for each request that waits.
const LIMITS: ServeLimits = ServeLimits {
    connections_max: Some(2048),
    headers_within: Duration::from_secs(60),
    drain: Duration::from_secs(10),
};
/// The largest body of a governed request, in bytes: all of it is kept until it is sent.
pub const BODY_BYTES_MAX: u64 = 64 << 20;
/// How long the body of a governed request may take.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// Where clients connect.
pub struct Door(Listening);

impl Door {
    /// Listens; port 0 picks a free one. Without files the address must be this machine's own.
    ///
    /// # Errors
    /// [`ListenError`]; nothing is bound then.
    pub async fn open(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<Self, ListenError> {
        Listening::bind(address, tls).await.map(Self)
    }

    /// Returns where clients connect.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Returns what listens.
    pub(crate) fn into_listening(self) -> Listening {
        self.0
    }
}

/// What is done with requests.
#[derive(Debug)]
pub struct ProxyConfig {
    /// Which are governed.
    pub rules: Rules,
    /// What policy is told of them.
    pub choice: Choice,
    /// The token that each must carry as `Authorization: Bearer`, if any; it is not passed on.
    pub token: Option<String>,
    /// The header that tells clients apart; `Authorization` and `Cookie` where none is named.
    pub client_header: Option<ClientHeader>,
}

/// The header that tells clients apart.
#[derive(Debug, Clone)]
pub struct ClientHeader(HeaderName);

/// Why a text names no header. Whoever configured it is at fault.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no name of a header")]
pub struct NoHeader(String);

impl ClientHeader {
    /// Reads the name of a header.
    ///
    /// # Errors
    /// [`NoHeader`].
    pub fn parse(text: &str) -> Result<Self, NoHeader> {
        text.parse().map(Self).map_err(|_| NoHeader(text.to_owned()))
    }
}

struct App {
    governor: Arc<Governor>,
    config: ProxyConfig,
}

/// Serves clients until `stop` turns true.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    governor: Arc<Governor>,
    config: ProxyConfig,
    door: Door,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let app = Arc::new(App { governor: governor.clone(), config });
    let router = Router::new().fallback(answer).with_state(app);
    let served = gantral_listen::serve(router, door.0, LIMITS, stop).await;
    governor.quiet(LIMITS.drain).await;
    served
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    match app.treated(request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

impl App {
    async fn treated(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let mut head = Head::read(&parts)?;
        self.admit(&mut head.headers)?;
        let treated = self.config.rules.treat(&head.method, &head.path);
        match treated.treatment {
            Treatment::Pass => self.pass(head, body).await,
            Treatment::Refuse => {
                let detail = "a rule of this proxy refuses the request";
                Err(Problem::new(StatusCode::FORBIDDEN, "refused_by_rule", detail))
            }
            Treatment::Ask => {
                let (body, room) = self.whole(&head, body).await?;
                let asked = ask(self.governor.service(), &head, &treated, &self.config.choice, Some(&body))?;
                let session =
                    session(self.governor.spool(), self.config.client_header.as_ref(), &head.headers)?;
                Ok(self.governor.answer(Governed { head, body, room, asked, session }).await)
            }
        }
    }

    /// Lets in who carries the token, and takes it off.
    fn admit(&self, headers: &mut HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.config.token else { return Ok(()) };
        let given = headers.remove(AUTHORIZATION);
        let given = given.as_ref().and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| same(given, token.as_bytes())) {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "the token of this proxy is missing",
            ))
        }
    }

    /// Passes a request on as it is.
    async fn pass(&self, head: Head, body: RequestBody) -> Result<Response, Problem> {
        let url = self.governor.upstream().target(&head.path, head.query.as_deref())?;
        let body = match head.length {
            None if axum::body::HttpBody::is_end_stream(&body) => Sending::Nothing,
            Some(0) => Sending::Bytes(Bytes::new()),
            length => Sending::Stream(reqwest::Body::wrap_stream(body.into_data_stream()), length),
        };
        let sent = self.governor.upstream().pass(&head.method, url, head.headers, body).await;
        let response = sent
            .map_err(|lost| Problem::new(StatusCode::BAD_GATEWAY, "service_unreachable", lost.to_string()))?;
        let mut passed = Response::new(RequestBody::empty());
        *passed.status_mut() = response.status();
        *passed.headers_mut() = headers_of(&response);
        *passed.body_mut() = RequestBody::from_stream(response.bytes_stream());
        Ok(passed)
    }

    /// Takes the whole body of a request: a small one into memory, another one into a file without a name.
    async fn whole(&self, head: &Head, body: RequestBody) -> Result<(Body, Option<Room>), Problem> {
        let too_large = || {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than 64 MiB")
        };
        if head.length.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(too_large());
        }
        let read = tokio::time::timeout(BODY_WITHIN, self.read(body)).await;
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "body_late", "the body took too long");
        match read.map_err(|_| late())? {
            Ok((body, _)) if body.size > BODY_BYTES_MAX => Err(too_large()),
            Ok(whole) => Ok(whole),
            Err(problem) => Err(problem),
        }
    }

    async fn read(&self, body: RequestBody) -> Result<(Body, Option<Room>), Problem> {
        let broken = || Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body did not come whole");
        let mut stream = body.into_data_stream();
        let mut sha = Sha256::new();
        let mut memory = Vec::new();
        let mut file: Option<(std::fs::File, Room)> = None;
        let mut size: u64 = 0;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| broken())?;
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            sha.update(&chunk);
            if size > BODY_BYTES_MAX {
                break;
            }
            if file.is_none() && memory.len().saturating_add(chunk.len()) > JSON_BYTES_MAX {
                file = Some(self.spill(&memory)?);
                memory = Vec::new();
            }
            match &mut file {
                Some((file, _)) => std::io::Write::write_all(file, &chunk).map_err(|error| full(&error))?,
                None => memory.extend_from_slice(&chunk),
            }
        }
        let sha256 = hex(&sha.finalize());
        let (kept, room) = match file {
            Some((file, room)) => (Kept::File(file), Some(room)),
            None => (Kept::Memory(Bytes::from(memory)), None),
        };
        Ok((Body { sha256, size, kept }, room))
    }

    /// Moves what came of a body into a file.
    fn spill(&self, memory: &[u8]) -> Result<(std::fs::File, Room), Problem> {
        let crowded = || {
            let detail = "too many large bodies wait";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_calls", detail).again()
        };
        let room = self.governor.room(BODY_BYTES_MAX).ok_or_else(crowded)?;
        let mut file = self.governor.spool().scratch().map_err(|error| full(&error))?;
        std::io::Write::write_all(&mut file, memory).map_err(|error| full(&error))?;
        Ok((file, room))
    }
}

/// Returns the session of a client: who shows other credentials is somebody else, and must not get the answer.
pub(crate) fn session(
    spool: &Spool,
    named: Option<&ClientHeader>,
    headers: &HeaderMap,
) -> Result<SessionId, Problem> {
    let names = named.map_or_else(|| vec![AUTHORIZATION, COOKIE], |ClientHeader(name)| vec![name.clone()]);
    let values = names.iter().flat_map(|name| headers.get_all(name).iter().map(|value| value.as_bytes()));
    let credentials: Vec<&[u8]> = values.collect();
    spool.session(&credentials).map_err(|error| full(&error))
}

fn full(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "a body cannot be kept");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "spool_unusable", "the body cannot be kept").again()
}

/// Compares in a time that says nothing about where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b));
    one.len() == other.len() && differs == 0
}
