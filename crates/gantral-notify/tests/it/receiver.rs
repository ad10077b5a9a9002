//! A receiver: a small HTTP server that checks signatures, keeps what it takes, and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, verify};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longer than anything takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Came {
    pub id: String,
    pub timestamp: u64,
    pub event: Value,
    /// With what it was answered.
    pub status: u16,
}

type Answers = Box<dyn Fn(&Value) -> u16 + Send + Sync>;

struct Shared {
    secret: Vec<u8>,
    came: Mutex<Vec<Came>>,
    /// How many requests have begun to come.
    begun: AtomicUsize,
    answers: Mutex<Answers>,
    open: watch::Receiver<bool>,
}

/// A receiver that listens.
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    gate: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Listens on a free port.
    pub async fn start(secret: &[u8]) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), secret).await
    }

    /// Listens on a port that was free a moment ago.
    pub async fn at(address: SocketAddr, secret: &[u8]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (gate, open) = watch::channel(true);
        let (came, answers): (_, Answers) = (Mutex::default(), Box::new(|_| 204));
        let (secret, answers, begun) = (secret.to_vec(), Mutex::new(answers), AtomicUsize::new(0));
        let shared = Arc::new(Shared { secret, came, begun, answers, open });
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, gate, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers like this from now on.
    pub fn answer(&self, answers: impl Fn(&Value) -> u16 + Send + Sync + 'static) {
        *self.shared.answers.lock().unwrap() = Box::new(answers);
    }

    /// Answers nobody until it is let go on.
    pub fn hold(&self, held: bool) {
        self.gate.send(!held).unwrap();
    }

    /// Returns how many requests have begun to come and were not answered.
    pub fn on_its_way(&self) -> usize {
        self.shared.begun.load(Ordering::SeqCst) - self.came().len()
    }

    pub fn came(&self) -> Vec<Came> {
        self.shared.came.lock().unwrap().clone()
    }

    /// Returns what was taken, in the order in which it was.
    pub fn taken(&self) -> Vec<Came> {
        self.came().into_iter().filter(|came| (200..300).contains(&came.status)).collect()
    }

    /// Waits until so many requests came.
    pub async fn until(&self, count: usize) {
        until(&format!("{count} requests"), async || self.came().len() >= count).await;
    }

    /// Waits until so many messages were taken.
    pub async fn until_taken(&self, count: usize) {
        until(&format!("{count} messages"), async || self.taken().len() >= count).await;
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("content-type"), "application/cloudevents+json");
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &body].concat();
    let key = Key::new(HMAC_SHA256, &shared.secret);
    let is_good = |one: &str| {
        let tag = STANDARD.decode(one.strip_prefix("v1,").unwrap()).unwrap();
        verify(&key, &signed, &tag).is_ok()
    };
    assert!(text("webhook-signature").split(' ').any(is_good), "no signature is good");
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["id"], id.as_str());
    shared.begun.fetch_add(1, Ordering::SeqCst);
    shared.open.clone().wait_for(|open| *open).await.unwrap();
    let status = shared.answers.lock().unwrap()(&event);
    let timestamp = timestamp.parse().unwrap();
    shared.came.lock().unwrap().push(Came { id, timestamp, event, status });
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if (300..400).contains(&status) {
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/elsewhere"));
    }
    response
}
