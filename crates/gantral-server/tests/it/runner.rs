//! Attempts of a runner, by API calls alone.

use std::time::{Duration, Instant};

use gantral_api::problem::Code;
use gantral_api::wire::{Attach, AuthorityAnswer, Claim, EndAttempt, IdempotencyKey};
use gantral_core::state::State;
use gantral_core::time::DurationMs;
use gantral_testkit::policy::example;
use gantral_testkit::{RUNNER, workflows};
use serde_json::json;

use crate::place::{FOREIGN_RUNNER, Place, action, code, decision, refund, to};

fn claim() -> Claim {
    to(json!({"queue": "default"}))
}

async fn place() -> Place {
    let place = Place::start().await;
    place.apply(workflows::REFUND_RUN, &example("refunds")).await;
    place
}

#[tokio::test]
async fn a_runner_carries_an_instance_over_a_gate() {
    let place = place().await;
    let id = place.create("refund-run").await.instance_id;
    let runner = place.machine(RUNNER);
    let task = runner.claim(&claim(), "1s".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((task.instance_id, task.attempt, &task.command), (id, 1, &vec!["agent".to_owned()]));
    assert_eq!(task.chain.len(), 2);
    let attached = runner.attach(id, Attach::Assigned { attempt: 1 }).await.unwrap();
    place.clock.advance(DurationMs::from_secs(10));
    let kept = runner.heartbeat(id, 1).await.unwrap();
    assert!(
        kept.lease_expires_at > task.lease_expires_at && kept.token_expires_at > attached.token_expires_at
    );
    let attempt = place.bearing(&kept.token);
    let answer = attempt.ask(id, &refund(48_000)).await.unwrap();
    let AuthorityAnswer::RequireHuman(waiting) = answer else { panic!("no human is asked") };
    // The decision comes before the old process has ended: nothing resumes until it has.
    place.human("fiona").decide(waiting.gate_id, &decision("APPROVE", 1)).await.unwrap();
    assert!(runner.claim(&claim(), "1s".parse().unwrap()).await.unwrap().is_none());
    runner.end_attempt(id, 1, EndAttempt { exit_status: 3 }).await.unwrap();

    let task = runner.claim(&claim(), "5s".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((task.attempt, task.command), (2, vec!["agent".to_owned(), "--resume".to_owned()]));
    let grant = task.grant.unwrap();
    let attached = runner.attach(id, Attach::Assigned { attempt: 2 }).await.unwrap();
    let attempt = place.bearing(&attached.token);
    attempt.consume(id, grant.grant_id, &to(json!({"action": action(48_000)}))).await.unwrap();
    attempt.report_outcome(id, grant.grant_id, &to(json!({"status": "SUCCEEDED"}))).await.unwrap();
    let ended = runner.end_attempt(id, 2, EndAttempt { exit_status: 0 }).await.unwrap();
    assert_eq!(ended.state.into_inner(), State::Completed);
}

#[tokio::test]
async fn a_claim_that_waits_gets_a_task_as_soon_as_there_is_one() {
    let place = place().await;
    let (runner, foreigner) = (place.machine(RUNNER), place.machine(FOREIGN_RUNNER));
    let waiter =
        tokio::spawn(async move { runner.claim(&claim(), "60s".parse().unwrap()).await.unwrap().unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiter.is_finished());
    let started = Instant::now();
    let id = place.create("refund-run").await.instance_id;
    assert!(foreigner.claim(&claim(), "1s".parse().unwrap()).await.unwrap().is_none());
    assert_eq!(waiter.await.unwrap().instance_id, id);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_lost_lease_fences_the_old_attempt() {
    let place = place().await;
    let id = place.create("refund-run").await.instance_id;
    let runner = place.machine(RUNNER);
    runner.claim(&claim(), "1s".parse().unwrap()).await.unwrap().unwrap();
    let attached = runner.attach(id, Attach::Assigned { attempt: 1 }).await.unwrap();
    place.clock.advance(DurationMs::from_secs(31));
    let task = runner.claim(&claim(), "20s".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(task.attempt, 2);
    assert_eq!(code(runner.heartbeat(id, 1).await), Code::LeaseLost);
    let late = place.bearing(&attached.token).ask(id, &refund(1)).await;
    assert_eq!(code(late), Code::StaleAttempt);
}

#[tokio::test]
async fn a_queue_is_for_runners_that_are_configured_for_it() {
    let place = place().await;
    let other = to(json!({"queue": "other"}));
    assert_eq!(code(place.machine(RUNNER).claim(&other, "1s".parse().unwrap()).await), Code::Forbidden);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_gets_the_same_task_again() {
    let place = place().await;
    place.create("refund-run").await;
    let runner = place.machine(RUNNER).with_key(IdempotencyKey::parse("claim").unwrap());
    let task = runner.claim(&claim(), "1s".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(runner.claim(&claim(), "1s".parse().unwrap()).await.unwrap().unwrap(), task);
    let other = place.machine(RUNNER).claim(&claim(), "1s".parse().unwrap()).await.unwrap();
    assert!(other.is_none());
}
