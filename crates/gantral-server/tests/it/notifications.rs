//! Webhooks are told what happens to gates, with nothing of what was asked for, and never in the way of a decision.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gantral_api::problem::Code;
use gantral_api::wire::{Ask, DeadLetterPage, PageQuery, RetryDeadLetters, SetMode};
use gantral_core::time::DurationMs;
use gantral_engine::FourEyesRules;
use gantral_server::notifications::NotificationSettings;
use gantral_testkit::policy::example;
use gantral_testkit::{AGENT, workflows};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::place::{PUBLIC_URL, Place, code, decision, fresh_key, to};

/// What must not leave the deployment, as parameter, context and justification.
const CANARY: &str = "CANARY-between-us";

/// A receiver that keeps what comes, and answers with a status.
struct Receiver {
    address: SocketAddr,
    came: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    status: Arc<Mutex<u16>>,
    /// Where the secret of the webhooks is.
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (came, status) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(Mutex::new(200)));
        let (keep, answer) = (Arc::clone(&came), Arc::clone(&status));
        let take = async move |headers: HeaderMap, body: Bytes| {
            keep.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
            StatusCode::from_u16(*answer.lock().unwrap()).unwrap()
        };
        let router = Router::new().route("/hook", post(take));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        Self { address, came, status, folder, task }
    }

    /// Returns what came, as JSON.
    fn events(&self) -> Vec<Value> {
        let came = self.came.lock().unwrap();
        came.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    /// Returns what came, each message once: a server that stops before it has noted an answer sends it again.
    fn messages(&self) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let mut events = self.events();
        events.retain(|event| seen.insert(event["id"].as_str().unwrap().to_owned()));
        events
    }

    fn kinds(&self) -> Vec<String> {
        self.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

/// Starts a server that tells the receiver of everything in tenant `dev`, and in `other`.
async fn telling(receiver: &Receiver) -> Place {
    let path = receiver.folder.path().join("secret");
    std::fs::write(&path, "whsec_CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let webhook = |name: &str, tenant: &str| {
        json!({
            "name": name, "tenant": tenant, "url": format!("http://{}/hook", receiver.address),
            "secrets": [format!("file:{}", path.display())],
        })
    };
    let settings: NotificationSettings =
        to(json!({"webhooks": [webhook("pager", "dev"), webhook("theirs", "other")]}));
    Place::telling(settings).await
}

async fn dead(place: &Place, who: &str) -> DeadLetterPage {
    place.human(who).dead_letters(&PageQuery::default()).await.unwrap()
}

#[tokio::test]
async fn a_webhook_is_told_where_to_look_and_nothing_of_what_was_asked_for() {
    let receiver = Receiver::start().await;
    let place = telling(&receiver).await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let asked: Ask = to(json!({
        "action": {"name": "refund", "target": CANARY,
            "parameters": {"amount_minor": 48_000, "currency": "EUR", "note": CANARY}},
        "attributes": {"why": CANARY}, "step": CANARY,
    }));
    attempt.ask(id, &asked).await.unwrap();
    let waiting = place.human("fiona").gates(&Default::default()).await.unwrap().items.remove(0);
    let mut rejected = decision("REJECT", 1);
    rejected.justification = CANARY.parse().unwrap();
    place.human("fiona").decide(waiting.gate_id, &rejected).await.unwrap();
    until("two messages", async || receiver.events().len() == 2).await;
    assert_eq!(receiver.kinds(), ["gantral.gate.opened", "gantral.gate.decided"]);
    let [opened, decided] = receiver.events().try_into().unwrap();
    let data = &opened["data"];
    assert_eq!((&opened["source"], &data["tenant"]), (&json!(PUBLIC_URL), &json!("dev")));
    assert_eq!((&data["team"], &data["workflow"]), (&json!("payments"), &json!("refund")));
    assert_eq!((&data["gate_id"], &data["instance_id"]), (&json!(waiting.gate_id), &json!(id)));
    assert_eq!((&data["action"], &data["roles"]), (&json!("refund"), &json!(["FINANCE_LEAD"])));
    assert_eq!((&data["gate_version"], &data["deadline"]), (&json!(1), &json!(waiting.deadline)));
    assert_eq!(decided["data"]["resolution"], "rejected");
    for (headers, body) in receiver.came.lock().unwrap().iter() {
        assert!(!body.contains(CANARY) && !format!("{headers:?}").contains(CANARY), "{body}");
        assert!(!body.contains("48000") && !body.contains("fiona"), "{body}");
    }
}

#[tokio::test]
async fn a_workflow_may_name_members_of_the_parameters_that_a_message_shows_and_nothing_else_is() {
    let receiver = Receiver::start().await;
    let place = telling(&receiver).await;
    let named = r#""refund": {"notify_members": ["/amount_minor", "/note"], "parameters""#;
    let definition = workflows::REFUND.replace(r#""refund": {"parameters""#, named);
    place.apply(&definition, &example("refunds")).await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let note = format!("{}\u{202e}\n<!here> end", "x".repeat(300));
    let asked: Ask = to(json!({
        "action": {"name": "refund", "target": CANARY,
            "parameters": {"amount_minor": 48_000, "currency": "USD", "note": note}},
        "attributes": {"why": CANARY}, "step": CANARY,
    }));
    attempt.ask(id, &asked).await.unwrap();
    until("a message", async || receiver.events().len() == 1).await;
    let event = receiver.events().remove(0);
    let shown = &event["data"]["shown"];
    assert_eq!(shown["/amount_minor"], "48000");
    let note = shown["/note"].as_str().unwrap();
    assert!(note.chars().count() == 201 && note.ends_with('…'), "{note}");
    assert_eq!(shown.as_object().unwrap().len(), 2);
    let text = event.to_string();
    assert!(!text.contains(CANARY) && !text.contains("USD") && !text.contains("end"), "{text}");
}

#[tokio::test]
async fn whoever_may_confirm_a_proposal_is_told_of_it_and_not_what_it_says() {
    let receiver = Receiver::start().await;
    let mut place = telling(&receiver).await;
    place.apply_refunds().await;
    place.set_rules(FourEyesRules { mode: true, ..FourEyesRules::default() }).await;
    let scope = json!({"kind": "workflow", "name": "refund"});
    let change: SetMode = to(json!({"scope": scope, "mode": "SHADOW", "justification": CANARY}));
    for _ in 0..2 {
        let proposed = place.human("bob").set_mode(&change).await.unwrap().proposal.unwrap();
        until("a message", async || !receiver.events().is_empty()).await;
        let event = receiver.messages().remove(0);
        assert_eq!(event["type"], "gantral.proposal.opened");
        let (data, id) = (&event["data"], json!(proposed.proposal_id));
        assert_eq!((&data["proposal_id"], &event["subject"]), (&id, &id));
        assert_eq!((&data["proposes"], &data["scope"]), (&json!("mode_changed"), &json!("workflow")));
        assert_eq!((&data["scope_name"], &data["tenant"]), (&json!("refund"), &json!("dev")));
        let url = format!("{PUBLIC_URL}/console/proposals/{}", proposed.proposal_id);
        assert_eq!(data["url"], json!(url));
        let text = event.to_string();
        assert!(!text.contains(CANARY) && !text.contains("bob"), "{text}");
    }
    assert_eq!(receiver.messages().len(), 1, "proposing the same again tells nobody again");
}

#[tokio::test]
async fn approvers_are_reminded_and_told_that_it_expired() {
    let receiver = Receiver::start().await;
    let mut place = telling(&receiver).await;
    let waits = place.waiting().await;
    let facts = place.human("fiona").gate(waits.gate).await.unwrap();
    let span = facts.deadline.into_inner().since(place.clock.now()).get();
    for (percent, count) in [(50, 2), (90, 3)] {
        place.clock.advance(DurationMs::new(span * if percent == 50 { 50 } else { 40 } / 100));
        until("a reminder", async || receiver.messages().len() == count).await;
        assert_eq!(receiver.messages()[count - 1]["data"]["percent"], percent);
        place.restart().await;
    }
    place.clock.advance(DurationMs::new(span));
    until("an end", async || receiver.messages().len() == 4).await;
    let expected = ["gate.opened", "gate.reminder", "gate.reminder", "gate.expired"];
    let kinds: Vec<_> = receiver.messages().into_iter().map(|message| message["type"].clone()).collect();
    assert_eq!(kinds, expected.map(|kind| json!(format!("gantral.{kind}"))));
}

#[tokio::test]
async fn dead_letters_are_shown_to_administrators_of_their_tenant_and_tried_again() {
    let receiver = Receiver::start().await;
    receiver.answer(410);
    let mut place = telling(&receiver).await;
    let waits = place.waiting().await;
    until("a dead letter", async || !dead(&place, "dave").await.items.is_empty()).await;
    let letter = dead(&place, "dave").await.items.remove(0);
    assert_eq!(
        (letter.gate.as_ref().unwrap().gate_id, letter.kind.as_str(), letter.attempts),
        (waits.gate, "gate.opened", 1)
    );
    assert_eq!(
        (letter.channel.as_str(), letter.message_id),
        ("pager", receiver.events()[0]["id"].as_str().unwrap().to_owned())
    );
    let metrics = String::from_utf8(place.anonymous().metrics().await.unwrap()).unwrap();
    for line in ["notifications_dead{channel=\"pager\"} 1", "notifications_channel_gone{channel=\"pager\"} 1"]
    {
        assert!(metrics.contains(&format!("gantral_{line}\n")), "{metrics}");
    }
    for who in [place.human("fiona"), place.machine(AGENT), place.human("bob")] {
        assert_eq!(code(who.dead_letters(&PageQuery::default()).await), Code::Forbidden);
        assert_eq!(code(who.retry_dead_letters(&RetryDeadLetters::default()).await), Code::Forbidden);
    }
    assert_eq!(dead(&place, "mallory").await.items, [], "another tenant's administrator sees nothing");
    let all = RetryDeadLetters::default();
    assert_eq!(place.human("mallory").retry_dead_letters(&all).await.unwrap().retried, 0);
    receiver.answer(200);
    place.restart().await;
    let one = RetryDeadLetters { channel: None, number: Some(letter.number) };
    assert_eq!(place.human("dave").retry_dead_letters(&one).await.unwrap().retried, 1);
    until("the message", async || receiver.events().len() == 2).await;
    assert_eq!(receiver.events()[0], receiver.events()[1]);
    until("a count", async || {
        let metrics = String::from_utf8(place.anonymous().metrics().await.unwrap()).unwrap();
        metrics.contains("gantral_notifications_delivered{channel=\"pager\"} 1.0\n")
    })
    .await;
    assert_eq!(dead(&place, "dave").await.items, []);
    let page = place.request("GET", "/v1/dead-letters?cursor=x", Some(&place.human_token("dave")));
    assert_eq!(page.header("idempotency-key", fresh_key()).send().await.unwrap().status().as_u16(), 400);
}
