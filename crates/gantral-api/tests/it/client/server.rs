//! A server that answers by a list, one reply for each request, and remembers the requests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use gantral_api::problem::Problem;
use tokio::task::JoinHandle;

/// What the server does with one request.
pub enum Reply {
    /// Answers.
    Answer { status: StatusCode, headers: Vec<(&'static str, String)>, body: String },
    /// Answers after a pause.
    Late(Duration, Box<Self>),
    /// Does something, then answers 503 as a proxy would.
    After(Box<dyn FnOnce() + Send>),
    /// Breaks the connection in the middle of the answer.
    Hangup,
    /// Says nothing.
    Never,
    /// Sends without end.
    Endless,
}

impl Reply {
    pub fn status(status: StatusCode) -> Self {
        Self::Answer { status, headers: Vec::new(), body: String::new() }
    }

    pub fn problem(problem: &Problem) -> Self {
        let status = StatusCode::from_u16(problem.code().status()).expect("a status");
        let headers = vec![("content-type", "application/problem+json".to_owned())];
        Self::Answer { status, headers, body: serde_json::to_string(problem).expect("json") }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// Plain answers only: the others are used once.
impl Clone for Reply {
    fn clone(&self) -> Self {
        match self {
            Self::Answer { status, headers, body } => {
                Self::Answer { status: *status, headers: headers.clone(), body: body.clone() }
            }
            Self::Late(pause, reply) => Self::Late(*pause, reply.clone()),
            Self::After(_) => panic!("an effect happens once"),
            Self::Hangup => Self::Hangup,
            Self::Never => Self::Never,
            Self::Endless => Self::Endless,
        }
    }
}

/// The answer of a write.
pub fn moved() -> Reply {
    let body = r#"{"state":"TERMINATED","artifacts":[]}"#.to_owned();
    Reply::Answer { status: StatusCode::OK, headers: Vec::new(), body }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub key: Option<String>,
    pub token: Option<String>,
    pub traceparent: Option<String>,
    pub body: String,
}

#[derive(Default)]
struct Script {
    replies: Vec<Reply>,
    seen: Vec<Seen>,
}

type Shared = Arc<Mutex<Script>>;

pub struct Server {
    address: std::net::SocketAddr,
    script: Shared,
    task: JoinHandle<()>,
}

fn locked(script: &Shared) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Starts a server on a free port of loopback. Without a reply left it answers 500.
    pub async fn start(mut replies: Vec<Reply>) -> Self {
        replies.reverse();
        let script = Shared::new(Mutex::new(Script { replies, seen: Vec::new() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(script.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { address, script, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.script).seen.clone()
    }

    pub async fn stop(self) {
        self.task.abort();
        assert!(self.task.await.is_err());
    }
}

async fn answer(State(script): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        key: text("idempotency-key"),
        token: text("authorization"),
        traceparent: text("traceparent"),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = {
        let mut script = locked(&script);
        script.seen.push(seen);
        script.replies.pop().unwrap_or_else(|| Reply::status(StatusCode::INTERNAL_SERVER_ERROR))
    };
    respond(reply).await
}

async fn respond(reply: Reply) -> Response {
    let mut reply = reply;
    while let Reply::Late(pause, later) = reply {
        tokio::time::sleep(pause).await;
        reply = *later;
    }
    let (status, headers, body) = match reply {
        Reply::Answer { status, headers, body } => (status, headers, Body::from(body)),
        Reply::After(effect) => {
            effect();
            (StatusCode::SERVICE_UNAVAILABLE, Vec::new(), Body::empty())
        }
        Reply::Hangup => {
            let broken = std::io::Error::other("broken on purpose");
            let parts = [Ok(Bytes::from_static(b"{\"sta")), Err(broken)];
            (StatusCode::OK, Vec::new(), Body::from_stream(futures_util::stream::iter(parts)))
        }
        Reply::Endless => {
            let part = Ok::<_, Infallible>(Bytes::from(vec![b' '; 1 << 20]));
            (
                StatusCode::OK,
                Vec::new(),
                Body::from_stream(futures_util::stream::repeat_with(move || part.clone())),
            )
        }
        Reply::Never | Reply::Late(..) => std::future::pending().await,
    };
    let response = headers
        .into_iter()
        .fold(Response::builder().status(status), |r, (name, value)| r.header(name, value));
    response.body(body).expect("a response")
}
