//! Two policies over recorded asks, over HTTP: what is counted, what is left alone, and who may ask.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{AskDiff, AuthorityAnswer, PageQuery, PolicyDiff, ShowInstance, text};
use gantral_core::time::DurationMs;
use gantral_policy::bundle::Bundle;
use gantral_testkit::AGENT;
use gantral_testkit::policy::rules;
use serde_json::{Value, json};

use crate::place::{Place, code, minutes, refund, to};

/// Denies above 40,000, contradicts itself at 300, and lets the rest pass.
const CANDIDATE: &str = "amount := input.action.parameters.amount_minor\n\
     decision := \"DENY\" if amount > 40000\n\
     decision := \"ALLOW\" if amount <= 40000\n\
     decision := \"REQUIRE_HUMAN\" if amount == 300\n\
     reasons contains \"too much\" if amount > 40000";

fn archive(bundle: &Bundle) -> Value {
    json!({"kind": "archive", "base64": STANDARD.encode(bundle.to_archive().unwrap())})
}

fn published(version: text::PolicyVersionId) -> Value {
    json!({"kind": "published", "policy_version_id": version})
}

/// Asks as one agent each, under the policy of the refunds.
async fn asked(place: &Place, amount: u64) -> text::InstanceId {
    let id = place.create("refund").await.instance_id;
    place.begin(id).await.0.ask(id, &refund(amount)).await.unwrap();
    id
}

async fn in_force(place: &Place) -> text::PolicyVersionId {
    place.human("bob").activations().await.unwrap().items[0].policy_version_id
}

async fn compared(client: &Client, body: Value) -> PolicyDiff {
    client.compare_policies(&to::<AskDiff>(body)).await.unwrap()
}

/// The transitions as `A -> B: count`.
fn transitions(diff: &PolicyDiff) -> Vec<(&str, &str, u64)> {
    diff.transitions.iter().map(|row| (row.a.as_str(), row.b.as_str(), row.gates)).collect()
}

#[tokio::test]
async fn a_change_is_known_before_it_is_made() {
    // A day passes, and no gate is to close meanwhile.
    let place = Place::without_scheduler().await;
    place.apply_refunds().await;
    let from = place.clock.now();
    for amount in [100, 200, 300] {
        asked(&place, amount).await;
    }
    let mut waiting = Vec::new();
    for _ in 0..6 {
        place.clock.advance(DurationMs::from_secs(1));
        waiting.push(asked(&place, 48_000).await);
    }
    asked(&place, 20_000_000).await;
    // Until a day after the first of them.
    place.clock.advance(DurationMs::from_secs(86_400 - 6));
    let bob = place.human("bob");
    let heads = |id| {
        let bob = bob.clone();
        async move { bob.instance(id, &ShowInstance::default()).await.unwrap().head }
    };
    let (before, governance) =
        (heads(waiting[0]).await, bob.governance(&PageQuery::default()).await.unwrap());

    let body = json!({"a": published(in_force(&place).await), "b": archive(&rules(CANDIDATE)), "from": from.to_text()});
    let diff = compared(&bob, body).await;
    assert_eq!((diff.gates, diff.instances, diff.left_out, diff.cut), (10, 10, 0, false));
    assert_eq!(
        transitions(&diff),
        [("ALLOW", "ALLOW", 2), ("ALLOW", "FAILED", 1), ("REQUIRE_HUMAN", "DENY", 6), ("DENY", "DENY", 1)]
    );
    let stopped = &diff.transitions[2].samples;
    assert_eq!(stopped.len(), 5, "a few are shown, from the newest on");
    assert_eq!(stopped[0].instance_id, waiting[5]);
    assert_eq!(json!(stopped[0])["recorded"], "REQUIRE_HUMAN");
    assert_eq!(
        (stopped[0].action.as_deref(), &stopped[0].reasons[..]),
        (Some("refund"), &["too much".to_owned()][..])
    );
    assert_eq!(json!(diff.failures), json!([{"failure": "CONFLICT", "a": 0, "b": 1}]));
    assert_eq!(diff.transitions[1].samples[0].failure_b.as_deref(), Some("CONFLICT"));
    // Six would have waited for a human; under B only the one that fails does, and for a day that is the forecast.
    let pages: Vec<Value> = diff.pages.iter().map(|row| json!(row)).collect();
    let lead = pages.iter().find(|row| row["role"] == "FINANCE_LEAD").unwrap();
    assert_eq!((&lead["a"], &lead["b"]), (&json!(6), &json!(1)));
    assert_eq!((&lead["a_per_day_tenths"], &lead["b_per_day_tenths"]), (&json!(60), &json!(10)));

    // Nothing was decided, published or sealed.
    assert_eq!(heads(waiting[0]).await, before);
    assert_eq!(bob.governance(&PageQuery::default()).await.unwrap(), governance);
    assert_eq!(bob.policies(&PageQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn the_recorded_policy_says_again_what_was_recorded() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let from = place.clock.now();
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    for amount in [100, 200] {
        let answer = attempt.ask(id, &refund(amount)).await.unwrap();
        let AuthorityAnswer::Allow(_) = answer else { panic!("{answer:?}") };
    }
    asked(&place, 48_000).await;
    place.clock.advance(minutes(1));
    let version = published(in_force(&place).await);
    let body =
        json!({"a": version, "b": version, "from": from.to_text(), "workflow": "refund", "team": "payments"});
    let diff = compared(&place.human("bob"), body.clone()).await;
    assert_eq!(transitions(&diff), [("ALLOW", "ALLOW", 2), ("REQUIRE_HUMAN", "REQUIRE_HUMAN", 1)]);
    for row in &diff.transitions {
        assert!(row.samples.iter().all(|sample| json!(sample)["recorded"] == row.a.as_str()), "{row:?}");
    }
    assert_eq!((diff.a, diff.failures.len()), (diff.b, 0));
    // A window before all of it, and a workflow of which nothing was recorded.
    for (member, value) in [("from", place.clock.now().to_text()), ("workflow", "other".to_owned())] {
        let mut other = body.clone();
        other[member] = json!(value);
        other["to"] = json!(place.clock.now().plus(minutes(1)).to_text());
        assert_eq!(compared(&place.human("bob"), other).await.gates, 0, "{member}");
    }
}

#[tokio::test]
async fn an_ask_is_in_the_span_in_which_it_was_made_whenever_its_instance_was_created() {
    let place = Place::without_scheduler().await;
    place.apply_refunds().await;
    let second = DurationMs::from_secs(1);
    let begun = place.clock.now();
    // One straddles the beginning of the span, one its end, one begins before it and ends after it.
    let mut instances = Vec::new();
    for _ in 0..3 {
        let id = place.create("refund").await.instance_id;
        instances.push((id, place.begin(id).await.0));
        place.clock.advance(second);
    }
    let ask = |which: usize, amount: u64| {
        let (id, attempt) = instances[which].clone();
        let place = &place;
        async move {
            attempt.ask(id, &refund(amount)).await.unwrap();
            place.clock.advance(second);
        }
    };
    ask(0, 101).await;
    ask(2, 102).await;
    let from = place.clock.now();
    ask(0, 103).await;
    ask(1, 104).await;
    let late = place.create("refund").await.instance_id;
    let (late_attempt, _) = place.begin(late).await;
    let to = place.clock.now();
    ask(1, 105).await;
    ask(2, 106).await;
    late_attempt.ask(late, &refund(107)).await.unwrap();
    place.clock.advance(second);

    let version = published(in_force(&place).await);
    let within = |from: text::Time, to: text::Time| {
        let body = json!({"a": version, "b": version, "from": from, "to": to});
        let bob = place.human("bob");
        async move { compared(&bob, body).await }
    };
    let now = place.clock.now();
    for (from, to, gates, of) in [
        (begun, from, 2, &[0, 2][..]),
        (from, to, 2, &[0, 1][..]),
        (to, now, 3, &[1, 2, 3][..]),
        (begun, now, 7, &[0, 1, 2, 3][..]),
        // The beginning is included, and the end is not.
        (from, from.plus(DurationMs::new(1)), 1, &[0][..]),
        (from.plus(DurationMs::new(1)), from.plus(second), 0, &[][..]),
        (from.plus(DurationMs::new(1)), from.plus(second).plus(DurationMs::new(1)), 1, &[1][..]),
    ] {
        let diff = within(from.into(), to.into()).await;
        assert_eq!((diff.gates, diff.instances), (gates, of.len() as u64), "{diff:?}");
        let ids = [instances[0].0, instances[1].0, instances[2].0, late];
        let samples = diff.transitions.iter().flat_map(|row| &row.samples);
        for sample in samples {
            assert!(of.iter().any(|which| ids[*which] == sample.instance_id), "{sample:?} is not of {of:?}");
            assert!((from..to).contains(&sample.at.into_inner()), "{sample:?}");
        }
    }
}

#[tokio::test]
async fn only_those_who_govern_compare_and_only_what_is_theirs() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let from = place.clock.now();
    asked(&place, 100).await;
    place.clock.advance(minutes(1));
    let all = rules("decision := \"ALLOW\"");
    let body = json!({"a": archive(&all), "b": archive(&all), "from": from.to_text()});
    for caller in [place.human("fiona"), place.machine(AGENT)] {
        assert_eq!(code(caller.compare_policies(&to(body.clone())).await), Code::Forbidden);
    }
    assert_eq!(compared(&place.human("dave"), body.clone()).await.gates, 1);
    assert_eq!(compared(&place.human("mallory"), body.clone()).await.gates, 0, "another tenant's");
    let mut foreign = body.clone();
    foreign["team"] = json!("support");
    assert_eq!(compared(&place.human("bob"), foreign).await.gates, 0);
    // Another tenant's policy is not known.
    let mut theirs = body;
    theirs["a"] = published(in_force(&place).await);
    assert_eq!(code(place.human("mallory").compare_policies(&to(theirs)).await), Code::PolicyUnknown);
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused_and_says_which() {
    let place = Place::start().await;
    let bob = place.human("bob");
    let good = archive(&rules("decision := \"ALLOW\""));
    let refused = |b: Value| {
        let body = json!({"a": good, "b": b, "from": "2020-01-01T00:00:00.000Z"});
        let bob = bob.clone();
        async move { code(bob.compare_policies(&to(body)).await) }
    };
    assert_eq!(refused(archive(&rules("decision := {"))).await, Code::PolicyRejected);
    assert_eq!(refused(archive(&rules("decision := http.send({})"))).await, Code::PolicyRejected);
    assert_eq!(refused(json!({"kind": "archive", "base64": "AAAA"})).await, Code::PolicyRejected);
    assert_eq!(refused(json!({"kind": "archive", "base64": "?"})).await, Code::InvalidBody);
    let unknown = json!({"kind": "published", "policy_version_id": "0".repeat(64)});
    assert_eq!(refused(unknown).await, Code::PolicyUnknown);
    let backwards =
        json!({"a": good, "b": good, "from": "2026-01-02T00:00:00.000Z", "to": "2026-01-01T00:00:00.000Z"});
    assert_eq!(code(bob.compare_policies(&to(backwards)).await), Code::InvalidBody);
}
