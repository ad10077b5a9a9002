//! Who must agree, as policy says: groups, stages, and escalations in steps.

use gantral_core::command::Refusal;
use gantral_core::ids::Role;
use gantral_core::state::{EventKind, State};
use gantral_core::time::DurationMs;
use gantral_engine::{Answer, Done, EngineError};
use gantral_policy::bundle::Bundle;
use gantral_testkit::World;
use gantral_testkit::policy::rules;
use gantral_testkit::workflows::{REFUND, read};

use crate::script::{LARGE, Learned, Script, Step, decision};

/// First somebody of finance, then the platform and risk, both.
fn staged() -> Bundle {
    rules(
        r#"decision := "REQUIRE_HUMAN"
        stages := [
            {"all_of": [{"any_of": ["FINANCE_LEAD"]}]},
            {"all_of": [{"any_of": ["PLATFORM_ADMIN"]}, {"any_of": ["RISK_OFFICER", "FINANCE_LEAD"], "count": 1}]},
        ]"#,
    )
}

async fn at_gate(bundle: &Bundle) -> Script {
    let world = World::new();
    world.apply(read(REFUND), bundle).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in [Step::Create, Step::Begin, Step::Ask { amount: LARGE, consume: false }] {
        script.step(step).await.unwrap();
    }
    script
}

async fn vote(script: &Script, who: &str) -> Result<Done, EngineError> {
    says(script, who, Step::Approve).await
}

async fn says(script: &Script, who: &str, what: Step) -> Result<Done, EngineError> {
    let world = &script.world;
    let approver = world.people.approver(who, world.clock.now());
    let gate = script.learned.gate.unwrap();
    world.engine().decide_gate(world.call(), &approver, gate, decision(what)).await
}

#[tokio::test]
async fn stages_are_asked_one_after_the_other_and_all_groups_of_one_must_agree() {
    let script = at_gate(&staged()).await;
    for early in ["dave", "alice"] {
        let error = vote(&script, early).await.unwrap_err();
        assert!(matches!(error, EngineError::Refused(Refusal::NotEligible { .. })), "{early}: {error:?}");
    }
    let first = vote(&script, "fiona").await.unwrap();
    assert_eq!(first.answer, Answer::Voted { grant: None });
    // One human fills one seat of the whole gate.
    let again = vote(&script, "fiona").await.unwrap_err();
    assert!(matches!(again, EngineError::Refused(Refusal::AlreadyVoted)), "{again:?}");
    assert_eq!(vote(&script, "alice").await.unwrap().answer, Answer::Voted { grant: None });
    let last = vote(&script, "dave").await.unwrap();
    assert!(matches!(last.answer, Answer::Voted { grant: Some(_) }), "{last:?}");
    assert_eq!(script.facts().await.instance.state(), State::Approved);
    let votes = script.events().await.iter().filter(|event| **event == EventKind::Vote).count();
    assert_eq!(votes, 2);
    script.is_valid().await;
}

#[tokio::test]
async fn one_rejection_ends_it_whoever_agreed_before() {
    let script = at_gate(&staged()).await;
    vote(&script, "fiona").await.unwrap();
    says(&script, "alice", Step::Reject).await.unwrap();
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    script.is_valid().await;
}

/// One of finance agrees, unless so many reject.
fn unless(rejections: u32) -> Bundle {
    let text = format!(
        "decision := \"REQUIRE_HUMAN\"\napprover_roles := [\"FINANCE_LEAD\", \"CFO\"]\n\
         escalation_roles := [\"CFO\"]\nrequired_rejections := {rejections}"
    );
    rules(&text)
}

#[tokio::test]
async fn rejections_are_counted_until_there_are_as_many_as_policy_asks_for() {
    let script = at_gate(&unless(2)).await;
    let first = says(&script, "fiona", Step::Reject).await.unwrap();
    assert_eq!((first.answer, first.receipts.len()), (Answer::Voted { grant: None }, 1));
    assert_eq!(script.facts().await.instance.state(), State::WaitingForHuman);
    let again = says(&script, "fiona", Step::Approve).await.unwrap_err();
    assert!(matches!(again, EngineError::Refused(Refusal::AlreadyVoted)), "{again:?}");
    says(&script, "frank", Step::Reject).await.unwrap();
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    let late = vote(&script, "cora").await.unwrap_err();
    assert!(matches!(late, EngineError::Refused(Refusal::AlreadyDecided { .. })), "{late:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn a_floor_makes_any_rejection_final_whatever_policy_asks_for() {
    let world = World::new();
    let floored = REFUND.replace("\"floors\": {", "\"floors\": {\"rejections_max\": 1, ");
    world.apply(read(&floored), &unless(3)).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in [Step::Create, Step::Begin, Step::Ask { amount: LARGE, consume: false }] {
        script.step(step).await.unwrap();
    }
    says(&script, "fiona", Step::Reject).await.unwrap();
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    script.is_valid().await;
}

#[tokio::test]
async fn more_rejections_than_a_rule_may_need_are_a_recorded_failure_of_the_policy() {
    let script = at_gate(&unless(17)).await;
    assert!(script.events().await.contains(&EventKind::EvaluatorFailed));
    let rule = script.facts().await.instance.gate().unwrap().rule.clone();
    assert_eq!(rule.rejections, 1);
    script.is_valid().await;
}

#[tokio::test]
async fn a_gate_escalates_in_as_many_steps_as_policy_gives_and_then_closes() {
    let bundle = rules(
        r#"decision := "REQUIRE_HUMAN"
        approver_roles := ["FINANCE_LEAD"]
        timeout := "10m"
        escalation := [{"roles": ["RISK_OFFICER"], "timeout": "5m"}, {"roles": ["PLATFORM_ADMIN"]}]"#,
    );
    let text = REFUND.replace("\"default_approvers\"", "\"on_timeout\": \"escalate\", \"default_approvers\"");
    let world = World::new();
    world.apply(read(&text), &bundle).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in [Step::Create, Step::Begin, Step::Ask { amount: LARGE, consume: false }] {
        script.step(step).await.unwrap();
    }
    let tick = async |script: &Script, minutes: u64| {
        let now = script.world.clock.advance(DurationMs::from_secs(minutes * 60));
        script.world.engine().tick(now, script.world.seed()).await.unwrap();
        let facts = script.facts().await;
        facts.instance.gate().map(|gate| (gate.rule.roles(), gate.deadline.since(now).get() / 60_000))
    };
    let asked = |name: &str, minutes: u64| Some((vec![Role::parse(name).unwrap()], minutes));
    assert_eq!(tick(&script, 9).await, asked("FINANCE_LEAD", 1));
    assert_eq!(tick(&script, 1).await, asked("RISK_OFFICER", 5));
    assert_eq!(tick(&script, 5).await, asked("PLATFORM_ADMIN", 10));
    let gate =
        script.world.engine().gate(&script.world.tenant(), script.learned.gate.unwrap()).await.unwrap();
    let moves: Vec<_> = gate.moves.iter().map(|moved| (moved.to.version, moved.to.step)).collect();
    assert_eq!(moves, [(2, Some(1)), (3, Some(2))]);
    let escalated = script.events().await.iter().filter(|event| **event == EventKind::Escalated).count();
    assert_eq!(escalated, 2);
    assert_eq!(tick(&script, 10).await, None);
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    script.is_valid().await;
}
