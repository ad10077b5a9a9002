//! What breaks around the server: its policy worker, and the server itself.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantral_api::wire::{AuthorityAnswer, ConsumeAnswer, GateState};
use gantral_core::event::Event;
use gantral_core::policy::EvalFailure;
use gantral_core::state::State;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::statement::Statement;
use gantral_testkit::policy::rules;
use gantral_testkit::workflows;
use serde_json::json;

use crate::place::{Place, action, decision, refund, to};

/// A policy that is still at work when somebody comes to kill it, and would allow.
const SLOW: &str = r#"decision := "ALLOW" if count([n | n := numbers.range(1, 3000)[_]; m := numbers.range(1, 3000)[_]; n == m]) > 0"#;

#[tokio::test]
async fn a_policy_worker_killed_at_work_is_recorded_and_the_server_goes_on() {
    let place = Place::start().await;
    place.apply(workflows::REFUND, &rules(SLOW)).await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let (policy, done) = (place.policy.clone(), Arc::new(AtomicBool::new(false)));
    let ended = Arc::clone(&done);
    let killer = std::thread::spawn(move || {
        while !ended.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(150));
            let workers = policy.upgrade().map(|policy| policy.workers()).unwrap_or_default();
            for pid in workers.iter().filter_map(|worker| worker.pid) {
                Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
            }
        }
    });
    let answer = attempt.ask(id, &refund(48_000)).await;
    done.store(true, Ordering::SeqCst);
    killer.join().unwrap();
    // Two workers died over it, which counts as the policy's doing: a human is asked, and the chain says why.
    let AuthorityAnswer::RequireHuman(waiting) = answer.unwrap() else { panic!("allowed without a policy") };
    let envelope = Envelope::parse(waiting.artifacts[0].envelope.as_str().as_bytes()).unwrap();
    let Event::EvaluatorFailed(policy) = Statement::decode(&envelope.payload).unwrap().entry.event else {
        panic!("something else was sealed")
    };
    assert_eq!(policy.failure, Some(EvalFailure::ResourceLimit));
    let gate = place.human("fiona").gate(waiting.gate_id).await.unwrap();
    assert_eq!(gate.reasons, ["the policy exceeded its resource limit"]);
    let restarts = place.policy.upgrade().unwrap().workers()[0].restarts;
    assert!(restarts >= 2, "{restarts}");

    place.ready().await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    assert!(matches!(attempt.ask(id, &refund(480)).await.unwrap(), AuthorityAnswer::Allow(_)));
}

#[tokio::test]
async fn a_restart_at_the_gate_keeps_everything() {
    let mut place = Place::start().await;
    let waits = place.waiting().await;
    let before = place.human("fiona").gate(waits.gate).await.unwrap();
    place.restart().await;
    let fiona = place.human("fiona");
    let gate = fiona.gate(waits.gate).await.unwrap();
    assert_eq!((gate.state, &gate), (GateState::Open, &before));
    fiona.decide(waits.gate, &decision("APPROVE", gate.version)).await.unwrap();
    place.restart().await;
    let (_, attached) = place.begin(waits.id).await;
    let grant = attached.grant.unwrap();
    place.restart().await;
    // The token of the attempt outlives the server that made it.
    let attempt = place.bearing(&attached.token);
    let exact = to(json!({"action": action(48_000)}));
    let consumed = attempt.consume(waits.id, grant.grant_id, &exact).await.unwrap();
    assert!(matches!(consumed, ConsumeAnswer::Allow(_)));
    attempt.report_outcome(waits.id, grant.grant_id, &to(json!({"status": "SUCCEEDED"}))).await.unwrap();
    attempt.complete(waits.id).await.unwrap();
    assert_eq!(place.show(waits.id).await.state.into_inner(), State::Completed);
}
