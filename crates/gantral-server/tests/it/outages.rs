//! Mode leases and counts over HTTP: who gets them, and what they say.

use gantral_api::problem::Code;
use gantral_api::wire::{CountUnobserved, ModeLeaseView, UnobservedQuery};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::dsse::Envelope;
use gantral_testkit::policy::rules;
use gantral_testkit::{AGENT, workflows};
use serde_json::{Value, json};

use crate::place::{FOREIGNER, Place, STRANGER, code, freeze, problem, to};
use crate::shadow::{body, observing, workflow};

/// The modes of a lease, as the payload says them; who may believe it is told elsewhere.
fn leased(view: &ModeLeaseView) -> Value {
    let envelope = Envelope::parse(view.lease.as_str().as_bytes()).unwrap();
    let payload: Value = serde_json::from_slice(&envelope.payload).unwrap();
    json!({"mode": payload["predicate"]["mode"], "actions": payload["predicate"]["actions"]})
}

#[tokio::test]
async fn a_mode_lease_says_what_an_ask_would_be_decided_under() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (bob, refunds) = (place.human("bob"), "refund".parse().unwrap());
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    for client in [&bob, &place.machine(AGENT), &attempt] {
        let lease = client.mode_lease(&refunds).await.unwrap();
        assert_eq!(leased(&lease), json!({"mode": "ENFORCE", "actions": []}));
        let until = lease.expires_at.into_inner();
        assert_eq!(until, place.clock.now().plus(DurationMs::from_secs(900)));
    }
    place.human("dave").set_mode(&body(json!({"kind": "tenant"}), "SHADOW")).await.unwrap();
    bob.set_mode(&to(json!({"scope": workflow(), "action": "refund", "mode": "ENFORCE"}))).await.unwrap();
    let lease = attempt.mode_lease(&refunds).await.unwrap();
    assert_eq!(
        leased(&lease),
        json!({"mode": "SHADOW", "actions": [{"action": "refund", "mode": "ENFORCE"}]})
    );
    // Nothing is done while it is frozen, and no lease says otherwise.
    let freeze = |frozen| freeze(&json!({"kind": "team", "name": "payments"}), frozen);
    place.human("dave").set_freeze(&freeze(true)).await.unwrap();
    assert_eq!(code(attempt.mode_lease(&refunds).await), Code::Frozen);
    place.human("dave").set_freeze(&freeze(false)).await.unwrap();
    attempt.mode_lease(&refunds).await.unwrap();
}

#[tokio::test]
async fn leases_and_counts_are_for_those_who_have_to_do_with_the_workflow() {
    let place = observing().await;
    let other = workflows::REFUND.replace("\"refund\", \"version\"", "\"other\", \"version\"");
    place.apply(&other, &rules("decision := \"ALLOW\"")).await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let count = |workflow: &str| -> CountUnobserved {
        let line =
            json!({"hour": place.clock.now().to_text(), "workflow": workflow, "action": "refund", "asks": 1});
        to(json!({"report_id": "00000000-0000-4000-8000-000000000001", "items": [line]}))
    };
    for client in
        [place.human("eve"), place.machine(STRANGER), place.human("mallory"), place.machine(FOREIGNER)]
    {
        assert_eq!(code(client.mode_lease(&"refund".parse().unwrap()).await), Code::WorkflowUnknown);
        assert_eq!(code(client.count_unobserved(&count("refund")).await), Code::WorkflowUnknown);
    }
    assert_eq!(code(attempt.mode_lease(&"other".parse().unwrap()).await), Code::WorkflowUnknown);
    assert_eq!(code(attempt.count_unobserved(&count("other")).await), Code::WorkflowUnknown);
    attempt.count_unobserved(&count("refund")).await.unwrap();
    let all = UnobservedQuery::default();
    assert_eq!(place.human("bob").unobserved(&all).await.unwrap().items.len(), 1);
    for stranger in ["eve", "mallory"] {
        assert_eq!(place.human(stranger).unobserved(&all).await.unwrap().items, []);
    }
    assert_eq!(code(place.machine(AGENT).unobserved(&all).await), Code::Forbidden);
}

#[tokio::test]
async fn counts_are_added_up_by_hour_and_nonsense_is_refused() {
    let place = observing().await;
    let (agent, bob, now) = (place.machine(AGENT), place.human("bob"), place.clock.now());
    let hours_ago = |hours: u64| UnixMillis::new(now.get() - hours * 3_600_000).unwrap().to_text();
    let count = |report: u8, lines: Vec<Value>| -> CountUnobserved {
        let report = format!("00000000-0000-4000-8000-0000000000{report:02}");
        to(json!({"report_id": report, "items": lines}))
    };
    let line = |hour: String, action: &str, asks: u32| json!({"hour": hour, "workflow": "refund", "action": action, "asks": asks});
    let first = count(1, vec![line(hours_ago(1), "refund", 2), line(hours_ago(1), "refund", 3)]);
    for _ in 0..2 {
        agent.count_unobserved(&first).await.unwrap();
    }
    agent
        .count_unobserved(&count(2, vec![line(hours_ago(1), "refund", 1), line(hours_ago(5), "refund", 1)]))
        .await
        .unwrap();
    let told = bob.unobserved(&UnobservedQuery::default()).await.unwrap().items;
    assert_eq!(told.iter().map(|line| line.asks).collect::<Vec<_>>(), [1, 6]);
    let later = UnobservedQuery { from: Some(to(json!(hours_ago(2)))), ..UnobservedQuery::default() };
    assert_eq!(bob.unobserved(&later).await.unwrap().items, told[1..]);
    let elsewhere = UnobservedQuery { team: Some("risk".parse().unwrap()), ..UnobservedQuery::default() };
    assert_eq!(bob.unobserved(&elsewhere).await.unwrap().items, []);
    let future = UnixMillis::new(now.get() + 7_200_000).unwrap().to_text();
    for (lines, path) in [
        (vec![line(hours_ago(1), "refnud", 1)], "items/0/action"),
        (vec![line(hours_ago(1), "refund", 1), line(future, "refund", 1)], "items/1/hour"),
        (vec![line(hours_ago(32 * 24), "refund", 1)], "items/0/hour"),
        (vec![], "items"),
        (vec![line(hours_ago(1), "refund", 1); 101], "items"),
    ] {
        let refused = problem(agent.count_unobserved(&count(3, lines)).await);
        assert_eq!((refused.code(), refused.member("path")), (Code::InvalidBody, Some(&json!(path))));
    }
    assert_eq!(bob.unobserved(&UnobservedQuery::default()).await.unwrap().items, told);
}
