//! Breaking the glass: one human decides alone in an emergency, and nothing but votes is skipped.

use gantral_core::command::Refusal;
use gantral_core::event::{Ballot, Event};
use gantral_core::ids::{Name, Role};
use gantral_core::state::{DecisionKind, EventKind, State};
use gantral_engine::{
    Answer, DecisionRequest, Done, EngineConfig, EngineError, NoticeKind, Recipient, Recipients,
};
use gantral_evidence::report::to_text;
use gantral_testkit::workflows::{REFUND, read, refund};
use gantral_testkit::{World, WorldOptions, policy};

use crate::governance::exported;
use crate::notices::{told, words};
use crate::script::{LARGE, Learned, REDUCED, Script, Step, decision, statements};

const WHY: &str = "the site is down and nobody of finance answers the phone";

/// Refunds that need two of finance, where a CFO may decide alone in an emergency.
fn emergency() -> String {
    REFUND.replace(
        "\"timeout\": \"30m\"",
        "\"required_approvals\": 2, \"break_glass_roles\": [\"CFO\", \"DEVELOPER\"], \"timeout\": \"30m\"",
    )
}

async fn at_gate_of(definition: &str) -> Script {
    let recipient = Recipient {
        name: Name::parse("pager").unwrap(),
        tenant: gantral_core::ids::TenantId::parse(gantral_identity::DEV_TENANT).unwrap(),
        roles: Vec::new(),
        teams: Vec::new(),
        workflows: Vec::new(),
        kinds: vec![NoticeKind::GlassBroken, NoticeKind::Decided],
    };
    let config = EngineConfig { recipients: Recipients(vec![recipient]), ..EngineConfig::default() };
    let world = World::with(WorldOptions { config, ..WorldOptions::default() });
    world.apply(read(definition), &policy::example("refunds")).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in [Step::Create, Step::Begin, Step::Ask { amount: LARGE, consume: false }] {
        script.step(step).await.unwrap();
    }
    script
}

async fn says(script: &Script, who: &str, request: DecisionRequest) -> Result<Done, EngineError> {
    let world = &script.world;
    let approver = world.people.approver(who, world.clock.now());
    world.engine().decide_gate(world.call(), &approver, script.learned.gate.unwrap(), request).await
}

fn alone(step: Step) -> DecisionRequest {
    DecisionRequest { break_glass: true, justification: WHY.to_owned(), ..decision(step) }
}

async fn breaks(script: &Script, who: &str) -> Result<Done, EngineError> {
    says(script, who, alone(Step::Approve)).await
}

async fn decided(script: &Script) -> Vec<Ballot> {
    let sealed = statements(&script.world, script.id()).await.into_iter();
    sealed
        .filter_map(|statement| match statement.entry.event {
            Event::Approved(granted) | Event::Overridden(granted) => Some(granted.ballot),
            Event::Rejected(rejected) => rejected.ballot,
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn one_human_of_a_role_for_it_decides_alone_and_the_evidence_says_so_for_ever() {
    let mut script = at_gate_of(&emergency()).await;
    let done = breaks(&script, "cora").await.unwrap();
    assert!(matches!(done.answer, Answer::Voted { grant: Some(_) }), "{done:?}");
    let ballot = decided(&script).await.remove(0);
    assert!(ballot.break_glass && ballot.role == Role::parse("CFO").unwrap(), "{ballot:?}");
    assert_eq!(
        words(&told(&script.world).await),
        [("gate.glass_broken", None, 1), ("gate.decided", None, 1)]
    );
    script.learned.amount = LARGE;
    script.step(Step::Begin).await.unwrap();
    script.step(Step::Consume).await.unwrap();
    script.is_valid().await;
    let text = to_text(&exported(&script.world, script.id()).await);
    assert!(text.contains("BROKE THE GLASS"), "{text}");
}

#[tokio::test]
async fn what_is_decided_alone_may_be_a_change_or_a_refusal_too() {
    for (step, expected) in
        [(Step::Override { amount: REDUCED }, State::Overridden), (Step::Reject, State::Terminated)]
    {
        let script = at_gate_of(&emergency()).await;
        assert_eq!(says(&script, "cora", alone(step)).await.unwrap().state, expected);
        assert!(decided(&script).await.remove(0).break_glass);
        script.is_valid().await;
    }
}

#[tokio::test]
async fn only_the_roles_that_the_gate_sealed_break_the_glass_and_only_when_they_say_so() {
    let script = at_gate_of(&emergency()).await;
    for who in ["fiona", "rachel"] {
        let refused = breaks(&script, who).await.unwrap_err();
        assert!(matches!(refused, EngineError::Refused(Refusal::NotEligible { .. })), "{who}: {refused:?}");
    }
    let unsaid = says(&script, "cora", decision(Step::Approve)).await.unwrap_err();
    assert!(matches!(unsaid, EngineError::Refused(Refusal::NotEligible { .. })), "{unsaid:?}");
    let usual = at_gate_of(REFUND).await;
    let refused = breaks(&usual, "cora").await.unwrap_err();
    assert!(matches!(refused, EngineError::Refused(Refusal::NotEligible { .. })), "{refused:?}");
    for script in [&script, &usual] {
        assert_eq!(script.facts().await.instance.state(), State::WaitingForHuman);
    }
}

#[tokio::test]
async fn it_needs_a_longer_justification_and_no_delegation_carries_it() {
    let script = at_gate_of(&emergency()).await;
    let short = DecisionRequest { justification: "x".repeat(49), ..alone(Step::Approve) };
    let refused = says(&script, "cora", short).await.unwrap_err();
    assert_eq!(refused, EngineError::JustificationRequired { least: 50 });
    let by = DecisionRequest {
        delegation: Some(gantral_core::digest::Digest::of(b"any")),
        ..alone(Step::Approve)
    };
    let refused = says(&script, "cora", by).await.unwrap_err();
    assert!(matches!(refused, EngineError::Forbidden { .. }), "{refused:?}");
    let longer = emergency().replace("\"justification_min\": 3", "\"justification_min\": 90");
    let refused = breaks(&at_gate_of(&longer).await, "cora").await.unwrap_err();
    assert_eq!(refused, EngineError::JustificationRequired { least: 90 });
}

#[tokio::test]
async fn it_passes_no_separation_of_duties() {
    let script = at_gate_of(&emergency()).await;
    // Bob owns the agent that asks, and holds a role for emergencies.
    let request = DecisionRequest { role: Some(Role::parse("DEVELOPER").unwrap()), ..alone(Step::Approve) };
    assert_eq!(says(&script, "bob", request).await.unwrap_err(), EngineError::Refused(Refusal::SelfApproval));
}

#[tokio::test]
async fn it_passes_no_required_evidence() {
    let strict = emergency().replace("\"development\"", "\"operator\"");
    let script = at_gate_of(&strict).await;
    let refused = breaks(&script, "cora").await.unwrap_err();
    assert_eq!(refused, EngineError::Refused(Refusal::EvidenceTooWeak));
}

#[tokio::test]
async fn it_passes_no_evidence_that_policy_asks_for_when_the_grant_is_used() {
    let mut script = at_gate_of(&emergency()).await;
    breaks(&script, "cora").await.unwrap();
    let stricter = "decision := \"REQUIRE_HUMAN\"\nrequired_evidence := \"operator\"";
    put_in_force(&script, stricter).await;
    script.step(Step::Begin).await.unwrap();
    script.learned.amount = LARGE;
    let said = script.step(Step::Consume).await.unwrap();
    assert!(matches!(said.answer, Answer::Waiting { .. }), "{said:?}");
    assert!(!script.events().await.contains(&EventKind::Consumed));
    script.is_valid().await;
}

#[tokio::test]
async fn it_passes_no_freeze() {
    let mut script = at_gate_of(&emergency()).await;
    script.world.set_frozen(true).await;
    breaks(&script, "cora").await.expect("gates are decided while it is frozen");
    assert_eq!(script.step(Step::Begin).await, Err(EngineError::Frozen));
    script.world.set_frozen(false).await;
    script.step(Step::Begin).await.unwrap();
    script.world.set_frozen(true).await;
    script.learned.amount = LARGE;
    assert_eq!(script.step(Step::Consume).await, Err(EngineError::Frozen));
}

/// Puts other rules in force than those under which the gate was asked.
async fn put_in_force(script: &Script, rules: &str) {
    let world = &script.world;
    let version = world.publish(&policy::rules(rules)).await;
    let (tenant, by) = (world.tenant(), world.governor());
    let scope = gantral_evidence::governance::Scope::Workflow(read(REFUND).id);
    let activation = gantral_engine::Activation::Version(version);
    let mut call = world.call();
    let done = world.engine().activate_policy(&mut call, &tenant, (&by).into(), &scope, activation, None);
    done.await.unwrap();
}

#[tokio::test]
async fn it_passes_no_denial() {
    let mut script = at_gate_of(&emergency()).await;
    breaks(&script, "cora").await.unwrap();
    put_in_force(&script, "decision := \"DENY\"").await;
    script.step(Step::Begin).await.unwrap();
    script.learned.amount = LARGE;
    let said = script.step(Step::Consume).await.unwrap();
    assert!(matches!(said.answer, Answer::Denied { .. }), "{said:?}");
    let events = script.events().await;
    assert!(!events.contains(&EventKind::Consumed), "{events:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn whoever_rejected_breaks_no_glass_afterwards() {
    let two = emergency().replace("[\"CFO\", \"DEVELOPER\"]", "[\"FINANCE_LEAD\"]");
    let world = World::new();
    let bundle = policy::rules(
        r#"decision := "REQUIRE_HUMAN"
        approver_roles := ["FINANCE_LEAD"]
        required_rejections := 2"#,
    );
    world.apply(read(&two), &bundle).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in [Step::Create, Step::Begin, Step::Ask { amount: LARGE, consume: false }] {
        script.step(step).await.unwrap();
    }
    says(&script, "fiona", decision(Step::Reject)).await.unwrap();
    assert_eq!(breaks(&script, "fiona").await.unwrap_err(), EngineError::Refused(Refusal::AlreadyVoted));
    let other = DecisionRequest {
        decision: DecisionKind::Override,
        action: Some(refund(REDUCED)),
        ..alone(Step::Approve)
    };
    assert_eq!(says(&script, "frank", other).await.unwrap().state, State::Overridden);
}
