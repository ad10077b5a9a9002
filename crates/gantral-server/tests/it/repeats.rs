//! The same write again: once is all that it does.

use gantral_api::problem::Code;
use gantral_api::wire::{AuthorityAnswer, IdempotencyKey};
use gantral_testkit::AGENT;
use serde_json::json;

use crate::place::{Place, action, code, decision, refund, refused, to};

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).unwrap()
}

#[tokio::test]
async fn a_write_without_a_usable_key_does_nothing() {
    let place = Place::start().await;
    let token = place.client_token(AGENT);
    let bare = || {
        let request = place.request("POST", "/v1/instances", Some(&token));
        request.header("content-type", "application/json").body(r#"{"workflow":"refund"}"#)
    };
    assert_eq!(refused(bare()).await.code(), Code::IdempotencyKeyMissing);
    for bad in ["", "with space", &"k".repeat(129)] {
        let problem = refused(bare().header("idempotency-key", bad)).await;
        assert_eq!(problem.code(), Code::InvalidParameter, "{bad}");
        assert_eq!(problem.member("parameter").unwrap(), "idempotency-key");
    }
}

#[tokio::test]
async fn the_same_write_has_the_same_answer_and_the_same_receipts() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let agent = place.machine(AGENT).with_key(key("create"));
    let body = to(json!({"workflow": "refund"}));
    let first = agent.create_instance(&body).await.unwrap();
    assert_eq!(agent.create_instance(&body).await.unwrap().artifacts, first.artifacts);
    let other = to(json!({"workflow": "refund", "session_id": "s"}));
    assert_eq!(code(agent.create_instance(&other).await), Code::IdempotencyKeyReused);
    // Another principal's key of the same text is another key.
    let theirs = place.machine(gantral_testkit::OTHER_AGENT).with_key(key("create"));
    assert_ne!(theirs.create_instance(&body).await.unwrap().artifacts, first.artifacts);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_even_after_fencing() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    place.human("fiona").decide(waits.gate, &decision("APPROVE", 1)).await.unwrap();
    let (attempt, attached) = place.begin(waits.id).await;
    let grant = attached.grant.unwrap().grant_id;
    let consume = to(json!({"action": action(48_000)}));
    let keyed = attempt.with_key(key("consume"));
    let first = keyed.consume(waits.id, grant, &consume).await.unwrap();
    let sealed = place.show(waits.id).await.head;
    assert_eq!(keyed.consume(waits.id, grant, &consume).await.unwrap(), first);
    attempt.report_outcome(waits.id, grant, &to(json!({"status": "SUCCEEDED"}))).await.unwrap();
    attempt.complete(waits.id).await.unwrap();
    // The instance has ended, and still the answer is the one that got lost.
    assert_eq!(keyed.consume(waits.id, grant, &consume).await.unwrap(), first);
    let changed = to(json!({"action": action(1)}));
    assert_eq!(code(keyed.consume(waits.id, grant, &changed).await), Code::IdempotencyKeyReused);
    assert!(place.show(waits.id).await.head.sequence > sealed.sequence);
}

#[tokio::test]
async fn a_repeated_ask_joins_its_gate_and_a_repeated_decision_its_vote() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let attempt = attempt.with_key(key("ask"));
    let AuthorityAnswer::RequireHuman(first) = attempt.ask(id, &refund(48_000)).await.unwrap() else {
        panic!()
    };
    let AuthorityAnswer::RequireHuman(again) = attempt.ask(id, &refund(48_000)).await.unwrap() else {
        panic!()
    };
    assert_eq!(first, again);
    let fiona = place.human("fiona").with_key(key("decide"));
    let decided = fiona.decide(first.gate_id, &decision("APPROVE", 1)).await.unwrap();
    assert_eq!(fiona.decide(first.gate_id, &decision("APPROVE", 1)).await.unwrap(), decided);
    let rejected = fiona.decide(first.gate_id, &decision("REJECT", 1)).await;
    assert_eq!(code(rejected), Code::IdempotencyKeyReused);
}
