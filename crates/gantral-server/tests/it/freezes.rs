//! The emergency brake: who pulls it, for what, and who lets go.

use gantral_api::problem::Code;
use gantral_api::wire::{Attach, Scope, SetFreeze};
use gantral_testkit::{AGENT, policy::rules, workflows};
use serde_json::{Value, json};

use crate::governance::events;
use crate::place::{Place, STRANGER, action, code, decision, freeze, refund, to};

fn tenant() -> Value {
    json!({"kind": "tenant"})
}

fn team(name: &str) -> Value {
    json!({"kind": "team", "name": name})
}

fn workflow(name: &str) -> Value {
    json!({"kind": "workflow", "name": name})
}

#[tokio::test]
async fn nothing_is_consumed_until_the_freeze_is_lifted_and_gates_are_decided_meanwhile() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let dave = place.human("dave");
    for scope in [tenant(), team("payments"), workflow("refund")] {
        assert_eq!(dave.set_freeze(&freeze(&scope, true)).await.unwrap().sealed.len(), 1, "{scope}");
        assert_eq!(dave.set_freeze(&freeze(&scope, true)).await.unwrap().sealed, [], "{scope}");
    }
    place.human("fiona").decide(waits.gate, &decision("APPROVE", 1)).await.unwrap();
    for scope in [tenant(), workflow("refund"), team("payments")] {
        assert_eq!(code(place.machine(AGENT).attach(waits.id, Attach::SelfRun).await), Code::Frozen);
        dave.set_freeze(&freeze(&scope, false)).await.unwrap();
    }
    let (attempt, attached) = place.begin(waits.id).await;
    let grant = attached.grant.unwrap().grant_id;
    dave.set_freeze(&freeze(&workflow("refund"), true)).await.unwrap();
    let consume = to(json!({"action": action(48_000)}));
    assert_eq!(code(attempt.consume(waits.id, grant, &consume).await), Code::Frozen);
    dave.set_freeze(&freeze(&workflow("refund"), false)).await.unwrap();
    attempt.consume(waits.id, grant, &consume).await.unwrap();
    let expected =
        ["policy_activated", "frozen", "frozen", "frozen", "lifted", "lifted", "lifted", "frozen", "lifted"];
    assert_eq!(events(&place).await, expected);
}

#[tokio::test]
async fn other_workflows_and_teams_go_on() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let other = workflows::REFUND.replace("\"refund\", \"version\"", "\"other\", \"version\"");
    place.apply(&other, &rules("decision := \"ALLOW\"")).await;
    let dave = place.human("dave");
    for scope in [workflow("other"), team("logistics")] {
        dave.set_freeze(&freeze(&scope, true)).await.unwrap();
    }
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    attempt.ask(id, &refund(480)).await.unwrap();
    let id = place.create("other").await.instance_id;
    assert_eq!(code(place.machine(AGENT).attach(id, Attach::SelfRun).await), Code::Frozen);
}

#[tokio::test]
async fn the_owning_team_freezes_what_is_its_own_and_only_administrators_lift() {
    let place = Place::start().await;
    place.apply_refunds().await;
    for (who, scope, expected) in [
        ("fiona", team("payments"), None),
        ("grace", workflow("refund"), None),
        ("fiona", tenant(), Some(Code::Forbidden)),
        ("fiona", team("logistics"), Some(Code::Forbidden)),
        ("eve", team("payments"), Some(Code::Forbidden)),
        ("eve", workflow("refund"), Some(Code::WorkflowUnknown)),
        ("fiona", workflow("nothing"), Some(Code::WorkflowUnknown)),
        ("heidi", workflow("nothing"), Some(Code::WorkflowUnknown)),
        ("mallory", workflow("refund"), Some(Code::WorkflowUnknown)),
        ("heidi", tenant(), None),
    ] {
        let answer = place.human(who).set_freeze(&freeze(&scope, true)).await;
        assert_eq!(
            answer.as_ref().err().and_then(|error| error.code()),
            expected,
            "{who} {scope}: {answer:?}"
        );
    }
    for machine in [AGENT, STRANGER] {
        let answer = place.machine(machine).set_freeze(&freeze(&team("payments"), true)).await;
        assert_eq!(code(answer), Code::Forbidden);
    }
    for (who, scope) in [("fiona", team("payments")), ("grace", workflow("refund")), ("bob", tenant())] {
        let lift = place.human(who).set_freeze(&freeze(&scope, false)).await;
        assert_eq!(code(lift), Code::Forbidden, "{who} {scope}");
        assert_eq!(place.human("dave").set_freeze(&freeze(&scope, false)).await.unwrap().sealed.len(), 1);
    }
}

#[tokio::test]
async fn a_human_without_any_role_freezes_nothing() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let roleless = place.human_under("fiona", "no such role");
    assert_eq!(code(roleless.set_freeze(&freeze(&team("payments"), true)).await), Code::Forbidden);
}

#[tokio::test]
async fn what_is_frozen_is_listed_with_who_since_when_and_why() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let fiona = place.human("fiona");
    assert_eq!(fiona.freezes().await.unwrap().items, []);
    fiona.set_freeze(&freeze(&team("payments"), true)).await.unwrap();
    place.human("dave").set_freeze(&freeze(&tenant(), true)).await.unwrap();
    let listed = place.machine(AGENT).freezes().await.unwrap().items;
    let scopes: Vec<Scope> = listed.iter().map(|freeze| freeze.scope.clone()).collect();
    assert_eq!(scopes, [Scope::Tenant, to(team("payments"))]);
    assert_eq!(listed[1].actor, fiona.me().await.unwrap().id);
    assert_eq!((listed[1].sequence, listed[1].at.into_inner()), (1, place.clock.now()));
    assert_eq!(listed[1].justification.as_deref(), Some("looking into it"));
    assert_eq!(place.human("mallory").freezes().await.unwrap().items, [], "another tenant");
    place.human("dave").set_freeze(&freeze(&tenant(), false)).await.unwrap();
    assert_eq!(fiona.freezes().await.unwrap().items, listed[1..]);
}

#[tokio::test]
async fn a_freeze_says_why() {
    let place = Place::start().await;
    let silent = SetFreeze { justification: "  ".parse().unwrap(), ..freeze(&tenant(), true) };
    assert_eq!(code(place.human("dave").set_freeze(&silent).await), Code::JustificationRequired);
    assert_eq!(place.human("dave").freezes().await.unwrap().items, []);
}
