//! Humans at a gate, over HTTP.

use gantral_api::problem::Code;
use gantral_api::wire::ConsumeAnswer;
use gantral_core::state::State;
use gantral_core::time::DurationMs;
use serde_json::json;

use crate::place::{Place, Waits, action, code, decision, minutes, problem, to};

#[tokio::test]
async fn of_two_decisions_at_once_one_counts_and_the_other_is_told_whose() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let (fiona, frank) = (place.human("fiona"), place.human("frank"));
    let (approve, reject) = (decision("APPROVE", 1), decision("REJECT", 1));
    let (one, two) = tokio::join!(fiona.decide(waits.gate, &approve), frank.decide(waits.gate, &reject));
    let (winner, word, refusal) = match (one, two) {
        (Ok(_), late) => (fiona, "APPROVE", problem(late)),
        (late, Ok(_)) => (frank, "REJECT", problem(late)),
        (one, two) => panic!("nobody decided: {one:?} {two:?}"),
    };
    assert_eq!(refusal.code(), Code::AlreadyDecided);
    assert_eq!(refusal.member("decided_by").unwrap(), winner.me().await.unwrap().id.as_str());
    assert_eq!(refusal.member("decision").unwrap(), word);
    assert!(refusal.member("at").is_some());
    let path = format!("/v1/gates/{}/decisions", waits.gate);
    assert_eq!(refusal.instance(), Some(path.as_str()));
}

#[tokio::test]
async fn a_decision_after_the_deadline_is_refused_though_no_timer_ran() {
    let place = Place::without_scheduler().await;
    let waits = place.waiting().await;
    let gate = place.human("fiona").gate(waits.gate).await.unwrap();
    place.clock.advance_to(*gate.latest_deadline);
    place.clock.advance(minutes(240));
    let refusal = problem(place.human("fiona").decide(waits.gate, &decision("APPROVE", 1)).await);
    // Whoever comes first at a gate whose time is over finds that time has decided.
    assert_eq!(refusal.code(), Code::AlreadyDecided);
    assert_eq!(
        (refusal.member("decided_by").unwrap(), refusal.member("decision").unwrap()),
        (&json!("gantral"), &json!("REJECT"))
    );
    let seen = place.show(waits.id).await;
    assert_eq!(
        (seen.state.into_inner(), seen.cause.unwrap().to_string()),
        (State::Terminated, "timeout".to_owned())
    );
}

#[tokio::test]
async fn who_owns_the_agent_does_not_approve_what_it_asks() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    assert_eq!(
        code(place.human("bob").decide(waits.gate, &decision("APPROVE", 1)).await),
        Code::SelfApproval
    );
    let alice = problem(place.human("alice").decide(waits.gate, &decision("APPROVE", 1)).await);
    assert_eq!((alice.code(), alice.member("roles").unwrap()), (Code::NotEligible, &json!(["FINANCE_LEAD"])));
}

#[tokio::test]
async fn a_decision_is_about_the_version_that_was_seen() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let fiona = place.human("fiona");
    let gate = fiona.gate(waits.gate).await.unwrap();
    let later = gate.deadline.plus(DurationMs::from_secs(60));
    let body = to(json!({"gate_version": 1, "deadline": later.to_text()}));
    let extended = fiona.extend(waits.gate, &body).await.unwrap();
    assert_eq!((extended.gate_version, extended.deadline.into_inner()), (2, later));
    let moved = problem(fiona.decide(waits.gate, &decision("APPROVE", 1)).await);
    assert_eq!(moved.code(), Code::GateMoved);
    assert_eq!((moved.member("seen").unwrap(), moved.member("current").unwrap()), (&json!(1), &json!(2)));
    let changed = moved.member("changed").unwrap().as_array().unwrap().clone();
    assert_eq!(changed.len(), 1);
    assert_eq!((&changed[0]["version"], &changed[0]["event"]), (&json!(2), &json!("extended")));
    assert_eq!(changed[0]["deadline"], json!(later.to_text()));
    let far = to(json!({"gate_version": 2, "deadline": "2030-01-01T00:00:00.000Z"}));
    let range = problem(fiona.extend(waits.gate, &far).await);
    assert_eq!(range.code(), Code::ExtensionOutOfRange);
    assert_eq!(range.member("latest_deadline").unwrap(), &json!(gate.latest_deadline.to_text()));
    fiona.decide(waits.gate, &decision("APPROVE", 2)).await.unwrap();
}

#[tokio::test]
async fn a_decision_says_what_it_must_and_no_more() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let fiona = place.human("fiona");
    let mut short = decision("APPROVE", 1);
    short.justification = "ok".parse().unwrap();
    let refusal = problem(fiona.decide(waits.gate, &short).await);
    assert_eq!((refusal.code(), refusal.member("least").unwrap()), (Code::JustificationRequired, &json!(3)));
    let bare = decision("OVERRIDE", 1);
    assert_eq!(code(fiona.decide(waits.gate, &bare).await), Code::ActionMismatch);
    let mut named = serde_json::to_value(decision("APPROVE", 1)).unwrap();
    named["action"] = action(48_000);
    assert_eq!(code(fiona.decide(waits.gate, &to(named)).await), Code::ActionMismatch);
    let mut undeclared = serde_json::to_value(decision("OVERRIDE", 1)).unwrap();
    undeclared["action"] = json!({"name": "wire", "target": "order/7", "parameters": {}});
    let refusal = problem(fiona.decide(waits.gate, &to(undeclared)).await);
    assert_eq!((refusal.code(), refusal.member("path").unwrap()), (Code::ActionUndeclared, &json!("wire")));
}

/// Has `fiona` change the amount, and the next attempt consume what she granted.
async fn consumed_after_override(place: &Place, amount: u64) -> (Waits, ConsumeAnswer) {
    let waits = place.waiting().await;
    let mut changed = serde_json::to_value(decision("OVERRIDE", 1)).unwrap();
    changed["action"] = action(amount);
    place.human("fiona").decide(waits.gate, &to(changed)).await.unwrap();
    let (attempt, attached) = place.begin(waits.id).await;
    let exact = to(json!({"action": action(amount)}));
    let answer = attempt.consume(waits.id, attached.grant.unwrap().grant_id, &exact).await.unwrap();
    (waits, answer)
}

#[tokio::test]
async fn an_override_beyond_what_one_human_may_grant_opens_a_new_gate() {
    let place = Place::start().await;
    let (waits, answer) = consumed_after_override(&place, 2_000_000).await;
    let ConsumeAnswer::RequireHuman(waiting) = answer else { panic!("one human granted what needs two") };
    assert_ne!(waiting.gate_id, waits.gate);
    let gate = place.human("frank").gate(waiting.gate_id).await.unwrap();
    assert_eq!((gate.required, gate.action), (2, to(action(2_000_000))));
    assert_eq!(place.show(waits.id).await.state.into_inner(), State::WaitingForHuman);
}

#[tokio::test]
async fn an_override_that_policy_denies_ends_the_instance() {
    let place = Place::start().await;
    let (waits, answer) = consumed_after_override(&place, 20_000_000).await;
    let ConsumeAnswer::Deny(denied) = answer else { panic!("policy was not asked") };
    assert_eq!(denied.state.into_inner(), State::Terminated);
    assert!(place.show(waits.id).await.outcomes.is_empty());
}
