//! What a witness answers: `add-checkpoint` of C2SP `tlog-witness`, and a page for people.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use gantral_core::ids::LogOrigin;
use gantral_evidence::log::note::NoteKey;
use gantral_listen::{Listening, ServeLimits};
use gantral_log::folder::Folder;
use gantral_log::witness::{REQUEST_BYTES_MAX, Refusal, Witness};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use crate::folder::{FolderError, KeyCosigner, WitnessFolder};

/// The most requests that are checked or wait for it. The check itself is one after the other: each waits for the disk.
const REQUESTS_MAX: usize = 32;
/// How long the body of a request may take.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A log needs a connection for a moment; who finds no room is served by the next attempt.
const LIMITS: ServeLimits = ServeLimits {
    connections_max: Some(256),
    headers_within: Duration::from_secs(30),
    drain: Duration::from_secs(5),
};
/// What the body of a 409 is, when it says how many leaves were seen.
const SIZE_TYPE: &str = "text/x.tlog.size";
/// What every other body is.
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// A witness that answers requests. Cheap to clone; clones are one witness.
#[derive(Clone)]
pub struct WitnessServer(Arc<Inner>);

struct Inner {
    witness: Witness<Folder, KeyCosigner>,
    policy_line: String,
    requests: Arc<Semaphore>,
    /// Keeps the lock of the folder for as long as anything answers.
    _folder: WitnessFolder,
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// One key in two roles.
    #[error("the key of log `{0}` is that of the witness: nobody is a witness of itself")]
    OwnLog(String),
}

impl WitnessServer {
    /// Starts the witness of a folder for these logs, within a runtime.
    ///
    /// # Errors
    /// `StartError`.
    pub fn new(folder: WitnessFolder, logs: Vec<NoteKey>) -> Result<Self, StartError> {
        if let Some(own) = logs.iter().find(|log| log.key() == folder.key().key()) {
            return Err(StartError::OwnLog(own.name().to_owned()));
        }
        let cosigner = folder.cosigner(tokio::runtime::Handle::current())?;
        Ok(Self(Arc::new(Inner {
            witness: Witness::new(logs, folder.memory(), cosigner),
            policy_line: folder.policy_line(),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            _folder: folder,
        })))
    }

    fn router(self) -> Router {
        Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .route("/", get(status_page))
            .route("/status", get(status))
            .with_state(self)
    }
}

/// Serves until `shutdown` turns true, then lets what is under way end.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    witness: WitnessServer,
    listening: Listening,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    gantral_listen::serve(witness.router(), listening, LIMITS, shutdown).await
}

async fn add_checkpoint(State(server): State<WitnessServer>, body: Body) -> Response {
    let Ok(turn) = Arc::clone(&server.0.requests).try_acquire_owned() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time\n");
    };
    let body = match tokio::time::timeout(BODY_WITHIN, to_bytes(body, REQUEST_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return text(StatusCode::BAD_REQUEST, "the request is cut or over its limit\n"),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the request took too long\n"),
    };
    let answered = tokio::task::spawn_blocking(move || {
        // Held until the disk has answered, also when nobody waits for it any more.
        let _turn = turn;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        server.0.witness.add_checkpoint(&body, now.as_secs())
    });
    match answered.await {
        Ok(Ok(line)) => text(StatusCode::OK, line),
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot answer now\n"),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match refusal {
        Refusal::Size(size) => answer(status, SIZE_TYPE, format!("{size}\n")),
        Refusal::Unavailable(error) => {
            tracing::error!("cannot answer: {error}");
            // What the disk said is nobody's business.
            text(status, "the witness cannot answer now\n")
        }
        Refusal::SplitView | Refusal::Inconsistent => text(status, format!("{refusal}\n")),
        Refusal::Request(_) | Refusal::Unknown(_) | Refusal::Signature => {
            tracing::warn!("refused: {refusal}");
            text(status, format!("{refusal}\n"))
        }
    }
}

/// What a witness tells about itself.
#[derive(Debug, Serialize)]
struct Status {
    name: String,
    vkey: String,
    logs: Vec<LogStatus>,
}

/// What a witness tells about a log. Size and root are `null` when the memory cannot be read.
#[derive(Debug, Serialize)]
struct LogStatus {
    origin: String,
    size: Option<u64>,
    root: Option<String>,
}

async fn read_status(server: WitnessServer) -> Result<(Status, String), Response> {
    let read = tokio::task::spawn_blocking(move || {
        let witness = &server.0.witness;
        let mut origins: Vec<&str> = witness.logs().iter().map(NoteKey::name).collect();
        origins.sort_unstable();
        origins.dedup();
        let logs = origins.into_iter().map(|origin| {
            let seen = LogOrigin::parse(origin).ok().and_then(|origin| witness.seen(&origin).ok());
            LogStatus {
                origin: origin.to_owned(),
                size: seen.map(|tree| tree.size),
                root: seen.map(|tree| tree.root.to_hex()),
            }
        });
        let (name, vkey) = (witness.key().name().to_owned(), witness.key().to_string());
        (Status { name, vkey, logs: logs.collect() }, server.0.policy_line.clone())
    });
    read.await.map_err(|_| text(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot answer now\n"))
}

async fn status(State(server): State<WitnessServer>) -> Response {
    match read_status(server).await {
        Ok((status, _)) => ([(CACHE_CONTROL, "no-store")], axum::Json(status)).into_response(),
        Err(response) => response,
    }
}

async fn status_page(State(server): State<WitnessServer>) -> Response {
    match read_status(server).await {
        Ok((status, policy_line)) => {
            let mut page = format!("{policy_line}\n");
            for log in status.logs {
                let size = log.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
                page.push_str(&format!(
                    "\nlog {}\nleaves {size}\nroot {}\n",
                    log.origin,
                    log.root.unwrap_or_default()
                ));
            }
            text(StatusCode::OK, page)
        }
        Err(response) => response,
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response {
    answer(status, TEXT_TYPE, body.into())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body).into_response()
}
