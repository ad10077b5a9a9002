//! Humans at a gate: who may decide, what a decision binds, and what comes of it at consumption.

use gantral_core::command::Refusal;
use gantral_core::ids::Role;
use gantral_core::state::{DecisionKind, EventKind, State};
use gantral_core::time::DurationMs;
use gantral_engine::{Answer, DecisionRequest, Done, EngineError};
use gantral_testkit::workflows::refund;
use gantral_testkit::{AGENT, OTHER_AGENT};

use crate::script::{LARGE, REDUCED, SELF, Script, Step, decision};

/// More than one FINANCE_LEAD may grant: two humans must agree.
const HUGE: u64 = 2_000_000;
/// More than anybody may grant.
const ABSURD: u64 = 20_000_000;

async fn at_gate(amount: u64) -> Script {
    Script::play(&[Step::Create, Step::Begin, Step::Ask { amount, consume: false }]).await
}

async fn decide(script: &Script, who: &str, request: DecisionRequest) -> Result<Done, EngineError> {
    let world = &script.world;
    let approver = world.people.approver(who, world.clock.now());
    world.engine().decide_gate(world.call(), &approver, script.learned.gate.unwrap(), request).await
}

/// Expects a refusal that leaves the gate as it was.
async fn refused(script: &Script, who: &str, request: DecisionRequest) -> EngineError {
    let sealed = script.events().await.len();
    let error = decide(script, who, request).await.unwrap_err();
    assert_eq!(script.events().await.len(), sealed);
    assert_eq!(script.facts().await.instance.state(), State::WaitingForHuman);
    error
}

#[tokio::test]
async fn whoever_owns_the_agent_cannot_decide_what_it_asks() {
    let script = at_gate(LARGE).await;
    for step in [Step::Approve, Step::Reject, Step::Override { amount: REDUCED }] {
        let error = refused(&script, "bob", decision(step)).await;
        assert_eq!(error, EngineError::Refused(Refusal::SelfApproval));
    }
}

#[tokio::test]
async fn who_holds_no_eligible_role_cannot_decide() {
    let script = at_gate(LARGE).await;
    let error = refused(&script, "alice", decision(Step::Approve)).await;
    assert!(matches!(error, EngineError::Refused(Refusal::NotEligible { .. })), "{error:?}");
    let role = Some(Role::parse("FINANCE_LEAD").unwrap());
    let error = refused(&script, "alice", DecisionRequest { role, ..decision(Step::Approve) }).await;
    assert!(matches!(error, EngineError::Forbidden { .. }), "{error:?}");
    let role = Some(Role::parse("RISK_OFFICER").unwrap());
    let error = refused(&script, "alice", DecisionRequest { role, ..decision(Step::Approve) }).await;
    assert!(matches!(error, EngineError::Refused(Refusal::NotEligible { .. })), "{error:?}");
}

#[tokio::test]
async fn a_decision_binds_the_gate_that_was_seen_and_an_action_that_fits_it() {
    let script = at_gate(LARGE).await;
    let other_version = DecisionRequest { gate_version: 2, ..decision(Step::Approve) };
    let error = refused(&script, "fiona", other_version).await;
    assert_eq!(error, EngineError::Refused(Refusal::GateMoved { seen: 2, current: 1 }));
    let changed_approval = DecisionRequest { action: Some(refund(REDUCED)), ..decision(Step::Approve) };
    let unchanged = DecisionRequest { action: None, ..decision(Step::Override { amount: REDUCED }) };
    for request in [changed_approval, unchanged, decision(Step::Override { amount: LARGE })] {
        let error = refused(&script, "fiona", request).await;
        assert_eq!(error, EngineError::Refused(Refusal::ActionMismatch));
    }
    let undeclared = DecisionRequest {
        action: Some(gantral_core::json::Value::from("anything")),
        ..decision(Step::Override { amount: REDUCED })
    };
    assert!(matches!(refused(&script, "fiona", undeclared).await, EngineError::Action(_)));
}

#[tokio::test]
async fn a_decision_needs_a_justification_of_clean_text() {
    let script = at_gate(LARGE).await;
    for (justification, expected) in [
        ("", "a justification of at least 3 characters is required"),
        ("  a  ", "a justification of at least 3 characters is required"),
        (
            "approved\u{202e}",
            "`justification` holds control, direction or zero-width characters, or is not in NFC",
        ),
    ] {
        let request = DecisionRequest { justification: justification.to_owned(), ..decision(Step::Approve) };
        assert_eq!(refused(&script, "fiona", request).await.to_string(), expected);
    }
    let long = DecisionRequest { justification: "x".repeat(17 << 10), ..decision(Step::Approve) };
    assert_eq!(refused(&script, "fiona", long).await.to_string(), "`justification` is longer than 16 KiB");
}

#[tokio::test]
async fn a_decision_after_the_deadline_is_refused_though_no_timer_ran() {
    let script = at_gate(LARGE).await;
    let deadline = script.facts().await.instance.gate().unwrap().deadline;
    script.world.clock.advance_to(deadline);
    let error = decide(&script, "fiona", decision(Step::Approve)).await.unwrap_err();
    let EngineError::Refused(Refusal::AlreadyDecided { by, decision, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((by.as_str(), decision), ("gantral", DecisionKind::Reject));
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    script.is_valid().await;
}

#[tokio::test]
async fn two_humans_must_agree_and_one_does_not_count_twice() {
    let script = at_gate(HUGE).await;
    let voted = decide(&script, "fiona", decision(Step::Approve)).await.unwrap();
    assert_eq!(voted.answer, Answer::Voted { grant: None });
    let again = decide(&script, "fiona", decision(Step::Approve)).await.unwrap_err();
    assert_eq!(again, EngineError::Refused(Refusal::AlreadyVoted));
    let decided = decide(&script, "cora", decision(Step::Approve)).await.unwrap();
    assert!(matches!(decided.answer, Answer::Voted { grant: Some(_) }));
    script.is_valid().await;
}

#[tokio::test]
async fn votes_for_the_same_change_join_and_a_new_change_resets_them() {
    let script = at_gate(HUGE).await;
    let reduce = |amount| decision(Step::Override { amount });
    assert_eq!(
        decide(&script, "fiona", reduce(1_500_000)).await.unwrap().answer,
        Answer::Voted { grant: None }
    );
    assert_eq!(
        decide(&script, "frank", reduce(1_200_000)).await.unwrap().answer,
        Answer::Voted { grant: None }
    );
    assert_eq!(script.facts().await.instance.gate().unwrap().votes.len(), 1);
    let decided = decide(&script, "cora", reduce(1_200_000)).await.unwrap();
    assert!(matches!(decided.answer, Answer::Voted { grant: Some(_) }));
    assert_eq!(decided.state, State::Overridden);
    script.is_valid().await;
}

/// Overrides to an amount, comes back and consumes.
async fn overridden_to(amount: u64) -> (Script, Answer) {
    let mut script = at_gate(LARGE).await;
    script.step(Step::Override { amount }).await.unwrap();
    script.step(Step::Begin).await.unwrap();
    let said = script.step(Step::Consume).await.unwrap();
    (script, said.answer)
}

#[tokio::test]
async fn an_override_beyond_what_its_approver_may_grant_opens_a_new_gate_at_consumption() {
    let (mut script, answer) = overridden_to(HUGE).await;
    assert!(matches!(answer, Answer::Waiting { .. }), "{answer:?}");
    assert!(!script.events().await.contains(&EventKind::Consumed));
    script.is_valid().await;
    decide(&script, "fiona", decision(Step::Approve)).await.unwrap();
    let decided = decide(&script, "cora", decision(Step::Approve)).await.unwrap();
    let Answer::Voted { grant } = decided.answer else { panic!("{decided:?}") };
    script.learned.grant = grant;
    script.step(Step::Begin).await.unwrap();
    let said = script.step(Step::Consume).await.unwrap();
    assert!(matches!(said.answer, Answer::Consumed { .. }), "{said:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn an_override_that_policy_denies_ends_the_instance() {
    let (script, answer) = overridden_to(ABSURD).await;
    assert!(matches!(answer, Answer::Denied { .. }), "{answer:?}");
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    assert!(!script.events().await.contains(&EventKind::Consumed));
    script.is_valid().await;
}

#[tokio::test]
async fn a_changed_action_is_refused_at_consumption() {
    let mut script = Script::begin(SELF, 5).await;
    script.learned.amount = REDUCED + 1;
    let error = script.step(Step::Consume).await.unwrap_err();
    assert_eq!(error, EngineError::Refused(Refusal::ActionChanged));
    script.learned.amount = REDUCED;
    script.step(Step::Consume).await.unwrap();
    script.is_valid().await;
}

#[tokio::test]
async fn an_attempt_that_the_gate_retired_can_neither_ask_nor_consume() {
    let mut script = Script::begin(SELF, 4).await;
    let ask = Step::Ask { amount: 1, consume: true };
    for step in [ask, Step::Consume, Step::Finish] {
        let error = script.step(step).await.unwrap_err();
        assert!(
            matches!(error, EngineError::Refused(Refusal::AttemptInactive { .. })),
            "{step:?}: {error:?}"
        );
    }
    script.step(Step::Begin).await.unwrap();
    script.learned.attempt = 1;
    for step in [ask, Step::Consume, Step::Finish] {
        let error = script.step(step).await.unwrap_err();
        assert!(matches!(error, EngineError::Refused(Refusal::StaleAttempt { .. })), "{step:?}: {error:?}");
    }
}

#[tokio::test]
async fn only_the_creator_withdraws_and_only_an_administrator_cancels() {
    let script = at_gate(LARGE).await;
    let (world, now) = (&script.world, script.world.clock.now());
    let (agent, other) = (world.people.requester(AGENT, now), world.people.requester(OTHER_AGENT, now));
    let error = world.engine().withdraw(world.call(), &other, script.id()).await.unwrap_err();
    assert_eq!(error, EngineError::Refused(Refusal::NotCreator));
    world.engine().withdraw(world.call(), &agent, script.id()).await.unwrap();
    script.is_valid().await;

    let script = at_gate(LARGE).await;
    let (world, dave) = (&script.world, script.world.people.administrator("dave", now));
    assert!(world.people.human("fiona", now).administrator().is_err());
    let cancelled = world.engine().cancel(world.call(), &dave, script.id()).await.unwrap();
    assert_eq!(cancelled.state, State::Terminated);
    script.is_valid().await;
}

#[tokio::test]
async fn an_approver_extends_a_deadline_and_the_gate_moves() {
    let script = at_gate(LARGE).await;
    let (world, now) = (&script.world, script.world.clock.now());
    let gate = script.facts().await.instance.gate().unwrap().clone();
    let later = gate.deadline.plus(DurationMs::from_secs(60));
    let extend = async |who: &str, version, deadline| {
        let approver = world.people.approver(who, now);
        world.engine().extend(world.call(), &approver, gate.asked.id, version, deadline).await
    };
    assert_eq!(extend("bob", 1, later).await, Err(EngineError::Refused(Refusal::SelfApproval)));
    let stranger = extend("alice", 1, later).await.unwrap_err();
    assert!(matches!(stranger, EngineError::Refused(Refusal::NotEligible { .. })), "{stranger:?}");
    let earlier = extend("fiona", 1, now).await.unwrap_err();
    assert!(matches!(earlier, EngineError::Refused(Refusal::ExtensionOutOfRange { .. })), "{earlier:?}");
    extend("fiona", 1, later).await.unwrap();
    let gate = script.facts().await.instance.gate().unwrap().clone();
    assert_eq!((gate.asked.version, gate.deadline), (2, later));
    script.is_valid().await;
}
