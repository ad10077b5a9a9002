//! The main job over HTTP: an agent asks and goes, a human decides, a fresh attempt acts, a stranger verifies.

use std::time::{Duration, Instant};

use gantral_api::problem::Code;
use gantral_api::wire::{AuthorityAnswer, ConsumeAnswer, GateList, GateState, ShowInstance};
use gantral_core::digest::{CommitmentLabel, commit};
use gantral_core::state::State;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Verdict, verify_tar};
use serde_json::json;

use crate::place::{PUBLIC_URL, Place, action, code, decision, problem, refund, to};

#[tokio::test]
async fn a_small_refund_is_allowed_and_consumed_in_one_call() {
    let place = Place::start().await;
    let (id, attempt, allowed) = place.allowed().await;
    assert!(allowed.enforced && allowed.act_by.is_some() && allowed.grant.is_none());
    let events: Vec<String> = allowed.artifacts.iter().map(|receipt| receipt.event.to_string()).collect();
    assert_eq!(events, ["allowed", "consumed"]);
    assert_eq!(code(attempt.complete(id).await), Code::OutcomeOpen);
    let report = to(json!({"status": "SUCCEEDED", "result": {"id": "rf_1"}, "cost": 480}));
    attempt.report_outcome(id, allowed.grant_id.unwrap(), &report).await.unwrap();
    assert_eq!(attempt.complete(id).await.unwrap().state.into_inner(), State::Completed);
    let seen = place.show(id).await;
    assert_eq!((seen.outcomes.len(), seen.gate, seen.pending_grant), (1, None, None));
}

#[tokio::test]
async fn a_refund_that_policy_denies_ends_the_instance() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let AuthorityAnswer::Deny(denied) = attempt.ask(id, &refund(20_000_000)).await.unwrap() else {
        panic!("not denied")
    };
    assert_eq!(denied.state.into_inner(), State::Terminated);
    assert_eq!(denied.reasons.len(), 2);
    let again = problem(attempt.ask(id, &refund(1)).await);
    assert_eq!(again.code(), Code::InstanceEnded);
    assert_eq!(again.member("state").unwrap(), "TERMINATED");
}

#[tokio::test]
async fn a_human_changes_what_a_fresh_attempt_does_and_a_stranger_verifies_it() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    assert_eq!(waits.waiting.status.into_inner(), State::WaitingForHuman);
    assert_eq!(waits.waiting.url, format!("{PUBLIC_URL}/console/gates/{}", waits.gate));

    let fiona = place.human("fiona");
    let mine = GateList { mine: Some(true), ..GateList::default() };
    let listed = fiona.gates(&mine).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert!(place.human("alice").gates(&mine).await.unwrap().items.is_empty());
    let gate = fiona.gate(waits.gate).await.unwrap();
    assert_eq!((gate.state, gate.required, gate.votes.len()), (GateState::Open, 1, 0));
    assert_eq!(gate.action, to(action(48_000)));
    assert_eq!(gate.reasons, ["a refund of 48000 is above 5000"]);
    assert!(gate.context.as_str().contains("48000") && gate.deadline <= gate.latest_deadline);

    let mut changed = serde_json::to_value(decision("OVERRIDE", gate.version)).unwrap();
    changed["action"] = action(480);
    let decided = fiona.decide(waits.gate, &to(changed)).await.unwrap();
    assert_eq!(decided.state.into_inner(), State::Overridden);
    let closed = fiona.gate(waits.gate).await.unwrap();
    assert_eq!(closed.state, GateState::Overridden);
    let pending = place.show(waits.id).await.pending_grant.unwrap();
    assert_eq!(Some(pending.grant_id), decided.grant_id);

    let (attempt, attached) = place.begin(waits.id).await;
    let grant = attached.grant.unwrap();
    assert_eq!((attached.attempt, grant.overridden, grant.gate_id), (2, true, Some(waits.gate)));
    assert_eq!(grant.action, to(action(480)));
    let bytes = gantral_core::json::Value::to_canonical(&grant.action.to_value().unwrap());
    assert_eq!(commit(CommitmentLabel::Action, &grant.action_salt, &bytes), *grant.action_commitment);
    let stale = problem(waits.attempt.ask(waits.id, &refund(1)).await);
    assert_eq!(stale.code(), Code::StaleAttempt);
    assert_eq!((stale.member("attempt").unwrap(), stale.member("newest").unwrap()), (&json!(1), &json!(2)));

    let more = to(json!({"action": action(481)}));
    assert_eq!(code(attempt.consume(waits.id, grant.grant_id, &more).await), Code::ActionChanged);
    let exact = to(json!({"action": action(480)}));
    let consumed = attempt.consume(waits.id, grant.grant_id, &exact).await.unwrap();
    assert!(matches!(consumed, ConsumeAnswer::Allow(allowed) if allowed.consumed));
    assert_eq!(code(attempt.consume(waits.id, grant.grant_id, &exact).await), Code::GrantUnusable);
    let done = to(json!({"status": "SUCCEEDED"}));
    attempt.report_outcome(waits.id, grant.grant_id, &done).await.unwrap();
    attempt.complete(waits.id).await.unwrap();

    let trust = fiona.keys().await.unwrap().trust_hint;
    let trust = Trust::parse(trust.as_str().as_bytes()).unwrap();
    let bundle = fiona.evidence(waits.id).await.unwrap();
    let report = verify_tar(&bundle, Some(&trust));
    assert_eq!(report.verdict, Verdict::Valid, "{:?}", report.codes());
}

#[tokio::test]
async fn a_retired_attempt_is_told_to_stop() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let problem = problem(waits.attempt.ask(waits.id, &refund(1)).await);
    assert_eq!(problem.code(), Code::AttemptInactive);
    assert_eq!(problem.member("attempt").unwrap(), 1);
}

#[tokio::test]
async fn whoever_waits_for_an_instance_hears_of_a_change_at_once() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let seen = place.show(waits.id).await.head.sequence;
    let query: ShowInstance = to(json!({"wait": "60s", "after": seen}));
    let agent = place.machine(gantral_testkit::AGENT);
    let waiter = tokio::spawn(async move { agent.instance(waits.id, &query).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiter.is_finished());
    let started = Instant::now();
    place.human("fiona").decide(waits.gate, &decision("REJECT", 1)).await.unwrap();
    let told = waiter.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(told.head.sequence > seen);
    assert_eq!(told.cause.unwrap().to_string(), "rejected");
}

#[tokio::test]
async fn a_wait_that_sees_nothing_ends_with_what_is() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let made = place.create("refund").await;
    let query: ShowInstance = to(json!({"wait": "1s", "after": made.head.sequence}));
    let seen = place.human("bob").instance(made.instance_id, &query).await.unwrap();
    assert_eq!(seen.head, made.head);
}

#[tokio::test]
async fn the_creator_withdraws_and_an_administrator_cancels() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    assert_eq!(code(place.machine(gantral_testkit::OTHER_AGENT).withdraw(waits.id).await), Code::NotCreator);
    place.machine(gantral_testkit::AGENT).withdraw(waits.id).await.unwrap();
    assert_eq!(place.show(waits.id).await.cause.unwrap().to_string(), "withdrawn");
    let id = place.create("refund").await.instance_id;
    assert_eq!(code(place.human("fiona").cancel(id).await), Code::Forbidden);
    place.human("dave").cancel(id).await.unwrap();
    let seen = place.show(id).await;
    assert_eq!(
        (seen.state.into_inner(), seen.cause.unwrap().to_string()),
        (State::Terminated, "cancelled".to_owned())
    );
}

#[tokio::test]
async fn an_agent_that_runs_itself_says_that_it_cannot_go_on() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let moved = attempt.fail(id).await.unwrap();
    let events: Vec<String> = moved.artifacts.iter().map(|receipt| receipt.event.to_string()).collect();
    assert_eq!(events, ["attempt_ended", "terminated"]);
    let seen = place.show(id).await;
    assert_eq!(
        (seen.state.into_inner(), seen.cause.unwrap().to_string()),
        (State::Terminated, "failed".to_owned())
    );
    assert_eq!(code(attempt.fail(id).await), Code::InstanceEnded);
}

#[tokio::test]
async fn instances_are_listed_by_state_workflow_team_and_session() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let session = "00000000-0000-4000-8000-0000000000aa";
    let body = to(json!({"workflow": "refund", "session_id": session}));
    let other = place.machine(gantral_testkit::AGENT).create_instance(&body).await.unwrap().instance;
    let bob = place.human("bob");
    for (filter, expected) in [
        (json!({}), vec![other.instance_id, waits.id]),
        (json!({"state": "WAITING_FOR_HUMAN"}), vec![waits.id]),
        (json!({"state": "CREATED"}), vec![other.instance_id]),
        (json!({"state": "COMPLETED"}), vec![]),
        (json!({"session": session}), vec![other.instance_id]),
        (json!({"session": session, "state": "RUNNING"}), vec![]),
        (json!({"workflow": "refund", "team": "payments"}), vec![other.instance_id, waits.id]),
        (json!({"workflow": "another"}), vec![]),
        (json!({"team": "logistics"}), vec![]),
    ] {
        let page = bob.instances(&to(filter.clone())).await.unwrap();
        // Both were created in the same instant, so neither is the newer one.
        let mut listed: Vec<_> = page.items.iter().map(|item| item.instance_id).collect();
        listed.sort_unstable_by_key(|id| *id == waits.id);
        assert_eq!(listed, expected, "{filter}");
    }
}
