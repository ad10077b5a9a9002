//! Chats are told in their own form, one message after the other, and are left alone for as long as they ask.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use gantral_core::ids::TenantId;
use gantral_notify::{Couriers, Format, Webhook, WebhookConfig, WebhookError};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::outbox::{Office, channel, webhook};
use crate::receiver::until;

/// The part of the address that is a secret.
const TOKEN: &str = "T00/B00/CANARY";

#[derive(Clone)]
struct Came {
    at: Instant,
    path: String,
    headers: HeaderMap,
    body: Value,
    status: u16,
}

#[derive(Default)]
struct Shared {
    came: Mutex<Vec<Came>>,
    /// The answers to the next requests, with `Retry-After`; 200 when there are none left.
    next: Mutex<Vec<(u16, &'static str)>>,
}

/// A chat that keeps what comes.
struct Chat {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Chat {
    async fn start(answers: &[(u16, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { next: Mutex::new(answers.to_vec()), ..Shared::default() });
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    fn office(&self, format: Format) -> Office {
        let url = format!("http://{}/services/{TOKEN}", self.address);
        Office::of(Couriers::new(vec![channel("chat", webhook(&url, format, Duration::from_secs(10)))]))
    }

    fn came(&self) -> Vec<Came> {
        self.shared.came.lock().unwrap().clone()
    }

    async fn until_taken(&self, count: usize) -> Vec<Came> {
        let taken = || self.came().into_iter().filter(|came| came.status == 200).collect::<Vec<_>>();
        until(&format!("{count} messages"), async || taken().len() >= count).await;
        taken()
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut next = shared.next.lock().unwrap();
    let (status, retry_after) = if next.is_empty() { (200, "") } else { next.remove(0) };
    let (body, path) = (serde_json::from_slice(&body).unwrap(), uri.path().to_owned());
    shared.came.lock().unwrap().push(Came { at: Instant::now(), path, headers, body, status });
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if !retry_after.is_empty() {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn a_chat_is_told_in_its_own_form_with_a_button_and_without_signatures() {
    for format in [Format::Slack, Format::Teams] {
        let chat = Chat::start(&[]).await;
        let mut office = chat.office(format);
        let gate = office.open(1, &["chat"]).await;
        office.start();
        let came = chat.until_taken(1).await.remove(0);
        assert_eq!(came.path, format!("/services/{TOKEN}"));
        assert_eq!(came.headers["content-type"], "application/json");
        assert!(!came.headers.keys().any(|name| name.as_str().starts_with("webhook-")), "{:?}", came.headers);
        let button = match format {
            Format::Slack => &came.body["blocks"][2]["elements"][0]["url"],
            _ => &came.body["attachments"][0]["content"]["actions"][0]["url"],
        };
        assert_eq!(*button, format!("https://gantral.invalid/console/gates/{}", gate.id));
    }
}

#[tokio::test]
async fn a_chat_that_asks_to_be_left_alone_is_and_hears_everything_in_order_afterwards() {
    let chat = Chat::start(&[(200, ""), (429, "3"), (503, "1")]).await;
    let mut office = chat.office(Format::Slack);
    let mut gates = Vec::new();
    for number in 0..6 {
        gates.push(office.open(number, &["chat"]).await.id.to_string());
    }
    office.start();
    let taken = chat.until_taken(6).await;
    let told: Vec<String> = taken
        .iter()
        .map(|came| came.body["blocks"][2]["elements"][0]["url"].as_str().unwrap())
        .map(|url| url.rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, gates, "what was refused keeps its place");
    let came = chat.came();
    assert_eq!(
        came.iter().map(|came| came.status).collect::<Vec<_>>(),
        [200, 429, 503, 200, 200, 200, 200, 200]
    );
    let gap = |index: usize| came[index].at - came[index - 1].at;
    assert!(gap(2) >= Duration::from_secs(3) && gap(3) >= Duration::from_secs(1), "{:?}", (gap(2), gap(3)));
}

#[tokio::test]
async fn a_chat_that_is_archived_gets_nothing_more_and_its_address_is_nowhere() {
    let chat = Chat::start(&[(410, "")]).await;
    let mut office = chat.office(Format::Slack);
    office.open(1, &["chat"]).await;
    office.open(2, &["chat"]).await;
    office.start();
    until("two burials", async || office.counts("chat").await.is_some_and(|count| count.dead == 2)).await;
    assert_eq!(chat.came().len(), 1);
    let dead = office.store.dead_letters(&TenantId::parse("acme").unwrap(), 0, 10).await.unwrap();
    assert!(dead.iter().all(|row| !format!("{row:?}").contains("CANARY")), "{dead:?}");
}

#[tokio::test]
async fn the_address_of_a_chat_is_a_reference_and_is_shown_nowhere() {
    let config = |format, url: &str, secrets: &[&str]| WebhookConfig {
        format,
        url: url.to_owned(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
        ca_file: None,
        timeout: Duration::from_secs(1),
    };
    let new = |config, value: &'static str| Webhook::new(config, move |_| Some(value.into()));
    let good = "https://hooks.example.org/services/CANARY";
    for format in [Format::Slack, Format::Teams] {
        let made = new(config(format, "env:CHAT", &[]), good).unwrap();
        assert!(!format!("{made:?}").contains("CANARY"), "{made:?}");
        let open = new(config(format, good, &[]), good).unwrap_err();
        assert!(matches!(open, WebhookError::OpenAddress), "{open}");
        let signed = new(config(format, "env:CHAT", &["env:SECRET"]), good).unwrap_err();
        assert!(matches!(signed, WebhookError::Unsigned), "{signed}");
        for bad in ["http://hooks.example.org/CANARY", "CANARY", "https://user:CANARY@hooks.example.org/"] {
            let error = new(config(format, "env:CHAT", &[]), bad).unwrap_err().to_string();
            assert!(!error.contains("CANARY"), "{error}");
        }
    }
    assert_eq!(Format::ALL.map(|format| Format::parse(format.as_str())), Format::ALL.map(Some));
}
