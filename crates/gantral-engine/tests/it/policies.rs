//! Policy between ask and consumption, and evaluators that fail.

use std::num::NonZeroUsize;
use std::time::Duration;

use gantral_core::command::Refusal;
use gantral_core::json::Object;
use gantral_core::state::{EventKind, State};
use gantral_core::time::DurationMs;
use gantral_engine::{Answer, AskFacts, AskRequest, EngineError};
use gantral_policy::bundle::Bundle;
use gantral_testkit::policy::{Point, rules};
use gantral_testkit::workflows::{REFUND, read};
use gantral_testkit::{World, WorldOptions, policy};
use rustix::process::{Pid, Signal, kill_process};

use crate::script::{LARGE, Learned, SELF, SMALL, Script, Step};

/// Does not end within any patience.
const ENDLESS: &str = r#"r := numbers.range(1, 2000)
decision := "ALLOW" if count([1 | some a in r; some b in r; some c in r; some d in r; a + b + c + d < 0]) == 0"#;

/// Puts another policy in force for the refunds, between two commands.
async fn activate(script: &Script, bundle: &Bundle) {
    script.world.clock.advance(DurationMs::new(1));
    let applied = script.world.apply(read(REFUND), bundle).await;
    assert!(applied.activated.is_some() && !applied.created);
}

#[tokio::test]
async fn applying_again_what_is_in_force_changes_nothing() {
    let script = Script::begin(SELF, 1).await;
    let applied = script.world.apply(read(REFUND), &policy::example("refunds")).await;
    assert!(!applied.created && applied.activated.is_none());
    let history = script.world.engine().governance(&script.world.tenant(), 0, 10).await.unwrap();
    assert_eq!(history.len(), 1);
}

#[tokio::test]
async fn a_version_never_changes_its_definition() {
    let script = Script::begin(SELF, 1).await;
    let (world, other) = (&script.world, read(&REFUND.replace("\"30m\"", "\"31m\"")));
    let version = world.publish(&policy::example("refunds")).await;
    let (tenant, by) = (world.tenant(), world.governor());
    let applied =
        world.engine().apply_workflow(&tenant, other, Some(version), (&by).into(), &mut world.call()).await;
    assert_eq!(applied.unwrap_err(), EngineError::WorkflowVersionExists);
}

#[tokio::test]
async fn a_workflow_is_evaluated_where_it_chooses_and_fails_closed_when_that_is_gone() {
    let mut world = World::new();
    let chosen = read(&REFUND.replace("\"floors\"", "\"evaluator\": \"central\", \"floors\""));
    let version = world.publish(&policy::example("refunds")).await;
    let (tenant, by) = (world.tenant(), world.governor());
    let apply = |world: &World| {
        let (engine, mut call) = (world.engine().clone(), world.call());
        let (chosen, tenant, by) = (chosen.clone(), tenant.clone(), by.clone());
        async move { engine.apply_workflow(&tenant, chosen, Some(version), (&by).into(), &mut call).await }
    };
    let refused = apply(&world).await.unwrap_err();
    assert!(matches!(&refused, EngineError::Workflow(error) if error.path == "evaluator"), "{refused}");
    world.offer(&["central"]);
    apply(&world).await.unwrap();
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in [Step::Create, Step::Begin, Step::Ask { amount: SMALL, consume: true }, Step::Report] {
        script.step(step).await.unwrap();
    }
    script.world.offer(&[]);
    let said = script.step(Step::Ask { amount: SMALL + 1, consume: true }).await.unwrap();
    let Answer::Waiting { reasons, .. } = &said.answer else { panic!("{said:?}") };
    assert_eq!(reasons, &["the policy evaluator is unavailable"]);
    script.is_valid().await;
}

#[tokio::test]
async fn what_humans_granted_is_denied_by_the_policy_that_is_in_force_at_consumption() {
    let mut script = Script::begin(SELF, 5).await;
    activate(&script, &rules(r#"decision := "DENY""#)).await;
    let said = script.step(Step::Consume).await.unwrap();
    assert!(matches!(said.answer, Answer::Denied { .. }), "{said:?}");
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    assert!(!script.events().await.contains(&EventKind::Consumed));
    script.is_valid().await;
}

#[tokio::test]
async fn a_policy_in_force_that_allows_does_not_undo_what_the_gate_was_asked_under() {
    let mut script = Script::begin(SELF, 5).await;
    activate(&script, &rules(r#"decision := "ALLOW""#)).await;
    let said = script.step(Step::Consume).await.unwrap();
    assert!(matches!(said.answer, Answer::Consumed { .. }), "{said:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn a_stricter_policy_in_force_asks_again_at_consumption() {
    let mut script = Script::begin(SELF, 5).await;
    activate(&script, &rules("decision := \"REQUIRE_HUMAN\"\napprover_roles := [\"CFO\"]")).await;
    let said = script.step(Step::Consume).await.unwrap();
    let Answer::Waiting { roles, .. } = &said.answer else { panic!("{said:?}") };
    assert_eq!(roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(), ["CFO"]);
    script.is_valid().await;
}

#[tokio::test]
async fn an_approver_is_shown_what_the_version_evaluated_that_asks_again() {
    let mut script = Script::begin(SELF, 3).await;
    let asked_under = script.facts().await.instance.gate().unwrap().policy_version;
    // Beyond what one FINANCE_LEAD may grant, by the policy that was in force at the ask.
    script.step(Step::Override { amount: 2_000_000 }).await.unwrap();
    script.step(Step::Begin).await.unwrap();
    activate(&script, &rules(r#"decision := "ALLOW""#)).await;
    let said = script.step(Step::Consume).await.unwrap();
    let Answer::Waiting { gate, .. } = said.answer else { panic!("{said:?}") };
    let shown = script.world.engine().gate(&script.world.tenant(), gate).await.unwrap().context.unwrap();
    let version = shown.get("policy").and_then(|policy| policy.get("policy_version_id"));
    assert_eq!(version.and_then(|version| version.as_str()), Some(asked_under.0.to_hex().as_str()));
    script.is_valid().await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_is_recorded_and_closed_to_humans() {
    let mut script = Script::begin(SELF, 2).await;
    activate(&script, &rules(r#"decision := "MAYBE""#)).await;
    let said = script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
    assert!(matches!(said.answer, Answer::Waiting { .. }), "{said:?}");
    let events: Vec<EventKind> = said.receipts.iter().map(|(_, event, _)| *event).collect();
    assert_eq!(events, [EventKind::EvaluatorFailed, EventKind::HumanRequired]);
    script.is_valid().await;
}

#[tokio::test]
async fn a_policy_may_demand_as_much_of_humans_as_a_gate_can_hold_and_what_is_more_is_a_recorded_failure() {
    for (most, events) in [
        (16, vec![EventKind::HumanRequired]),
        (17, vec![EventKind::EvaluatorFailed, EventKind::HumanRequired]),
    ] {
        let mut script = Script::begin(SELF, 2).await;
        let demanding = format!(
            "decision := \"REQUIRE_HUMAN\"\nrequired_approvals := 16\ntimeout := \"1ms\"\n\
             approver_roles := [sprintf(\"ROLE_%d\", [n]) | some n in numbers.range(1, {most})]\n\
             escalation_roles := approver_roles"
        );
        activate(&script, &rules(&demanding)).await;
        let said = script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
        assert_eq!(said.receipts.iter().map(|(_, event, _)| *event).collect::<Vec<_>>(), events);
        script.is_valid().await;
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_is_closed_to_denial_where_the_workflow_says_so() {
    let world = World::new();
    let text = REFUND.replace("\"floors\"", "\"on_failure\": {\"closed\": \"deny\"}, \"floors\"");
    world.apply(read(&text), &rules(r#"decision := "MAYBE""#)).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in &SELF[..2] {
        script.step(*step).await.unwrap();
    }
    let said = script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
    assert!(matches!(said.answer, Answer::Denied { .. }), "{said:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn a_failed_evaluation_refuses_a_consumption_and_the_same_request_may_succeed_later() {
    let mut script = Script::begin(SELF, 5).await;
    activate(&script, &rules(r#"decision := "MAYBE""#)).await;
    for _ in 0..2 {
        let error = script.step(Step::Consume).await.unwrap_err();
        assert!(matches!(error, EngineError::Refused(Refusal::EvaluatorFailed { .. })), "{error:?}");
    }
    let failed = script.events().await.iter().filter(|e| **e == EventKind::EvaluatorFailed).count();
    assert_eq!(failed, 2);
    activate(&script, &policy::example("refunds")).await;
    let (known, key) = (script.learned, script.done);
    let consumed = script.step(Step::Consume).await.unwrap();
    activate(&script, &rules(r#"decision := "MAYBE""#)).await;
    let again = script.send(Step::Consume, known, key, "body").await.unwrap();
    assert_eq!(again, consumed);
    script.is_valid().await;
}

#[tokio::test]
async fn a_repeated_ask_is_answered_as_at_first_though_its_policy_fails_by_now() {
    let mut script = Script::begin(SELF, 2).await;
    let (known, key) = (script.learned, script.done);
    let ask = Step::Ask { amount: SMALL, consume: true };
    let allowed = script.step(ask).await.unwrap();
    activate(&script, &rules(r#"decision := "MAYBE""#)).await;
    let events = script.events().await;
    assert_eq!(script.send(ask, known, key, "body").await.unwrap(), allowed);
    assert_eq!(script.events().await, events);
}

/// A world whose policy evaluates forever, with workers of its own, and whose workflow lets outages pass.
async fn endless(limit: Duration) -> Script {
    let point = Point::start(NonZeroUsize::MIN);
    let world = World::with(WorldOptions { point, policy_limit: limit, ..WorldOptions::default() });
    let text = REFUND.replace("\"floors\"", "\"on_failure\": {\"outage\": \"open\"}, \"floors\"");
    world.apply(read(&text), &rules(ENDLESS)).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in &SELF[..2] {
        script.step(*step).await.unwrap();
    }
    script
}

fn kill_workers(point: &Point) {
    for pid in point.rego.workers().iter().filter_map(|worker| worker.pid) {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        // One that is gone already needs no signal.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_in_mid_evaluation_leaves_a_recorded_failure_and_no_authority() {
    let mut script = endless(Duration::from_secs(20)).await;
    let point = script.world.point.clone();
    let said = {
        let asked = script.step(Step::Ask { amount: SMALL, consume: true });
        tokio::pin!(asked);
        loop {
            tokio::select! {
                answer = &mut asked => break answer.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(40)) => kill_workers(&point),
            }
        }
    };
    assert!(matches!(said.answer, Answer::Waiting { .. }), "{said:?}");
    assert_eq!(said.receipts[0].1, EventKind::EvaluatorFailed);
    script.is_valid().await;
}

#[tokio::test]
async fn an_evaluation_that_takes_too_long_leaves_a_recorded_failure_and_no_authority() {
    let mut script = endless(Duration::from_millis(500)).await;
    let said = script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
    assert!(matches!(said.answer, Answer::Waiting { .. }), "a runaway policy is no outage: {said:?}");
    assert_eq!(said.receipts[0].1, EventKind::EvaluatorFailed);
    script.is_valid().await;
}

#[tokio::test]
async fn policy_sees_attributes_cost_and_no_parameter_that_is_hidden_from_it() {
    let policy = r#"decision := "ALLOW" if {
        input.context.attributes.channel == "web"
        input.execution.cost_estimate == 7
        input.context.domain == "finance"
        not input.action.parameters.note
        input.action.parameters.currency == "EUR"
    } else := "DENY""#;
    let mut script = Script::begin(SELF, 2).await;
    activate(&script, &rules(policy)).await;
    let parameters = Object::new().with("amount_minor", LARGE).with("note", "for a friend");
    let request = AskRequest {
        action: gantral_testkit::workflows::action(parameters).into(),
        facts: AskFacts {
            attributes: Object::new().with("channel", "web"),
            cost_estimate: Some(7u64.into()),
            ..AskFacts::default()
        },
        consume: None,
    };
    let (world, bearer) = (&script.world, script.world.bearer(script.id(), 1));
    let answer = world.engine().ask(world.call(), &bearer, request).await.unwrap().answer;
    assert!(matches!(answer, Answer::Allowed { .. }), "{answer:?}");
    script.learned.grant = None;
    script.is_valid().await;
}
