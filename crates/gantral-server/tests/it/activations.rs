//! Putting policies in force over HTTP: for which scope, by whom, and what is in the way.

use gantral_api::problem::Code;
use gantral_api::wire::{Activate, AuthorityAnswer, Governed, PageQuery, PoliciesInForce, Scope, text};
use gantral_policy::bundle::Bundle;
use gantral_testkit::AGENT;
use gantral_testkit::policy::rules;
use serde_json::json;

use crate::place::{Place, code, problem, refund, to};

/// Publishes a policy that denies everything.
async fn denying(place: &Place) -> text::PolicyVersionId {
    let bundle: Bundle = rules("decision := \"DENY\"\nreasons contains \"nothing today\"");
    let archive = bundle.to_archive().unwrap();
    place.human("bob").publish_policy(archive).await.unwrap().policy_version_id
}

fn body(scope: serde_json::Value, version: Option<text::PolicyVersionId>) -> Activate {
    let version = version.map_or(serde_json::Value::Null, |version| json!(version));
    to(json!({"scope": scope, "policy_version_id": version}))
}

fn workflow() -> serde_json::Value {
    json!({"kind": "workflow", "name": "refund"})
}

#[tokio::test]
async fn what_is_put_in_force_decides_the_next_ask_and_can_be_taken_back() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (bob, version) = (place.human("bob"), denying(&place).await);
    let before = bob.activations().await.unwrap().items;
    assert_eq!(before.len(), 1);
    let first = before[0].policy_version_id;
    let mut activate = body(workflow(), Some(version));
    activate.justification = Some(to(json!("the auditors asked for it")));
    let sealed = bob.activate(&activate).await.unwrap().sealed;
    assert_eq!(sealed[0].justification.as_deref(), Some("the auditors asked for it"));
    // In force already: nothing is sealed.
    assert_eq!(bob.activate(&activate).await.unwrap(), Governed { sealed: vec![], proposal: None });

    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let answer = attempt.ask(id, &refund(1)).await.unwrap();
    assert!(matches!(answer, AuthorityAnswer::Deny(_)), "{answer:?}");

    bob.activate(&body(workflow(), None)).await.unwrap();
    let PoliciesInForce { items } = bob.activations().await.unwrap();
    assert_eq!((items[0].policy_version_id, items[0].before), (first, Some(version)));
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let answer = attempt.ask(id, &refund(1)).await.unwrap();
    assert!(matches!(answer, AuthorityAnswer::Allow(_)), "{answer:?}");
    let history = bob.governance(&PageQuery::default()).await.unwrap().items;
    let why: Vec<_> = history.iter().map(|event| event.justification.as_deref()).collect();
    assert_eq!(why, [None, Some("the auditors asked for it"), None]);
}

#[tokio::test]
async fn a_scope_is_changed_by_its_owners_and_administrators_only() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let version = denying(&place).await;
    let (team, tenant) = (json!({"kind": "team", "name": "payments"}), json!({"kind": "tenant"}));
    let elsewhere = json!({"kind": "team", "name": "support"});
    // Fiona approves and writes no policies; machines never do.
    for caller in [place.human("fiona"), place.machine(AGENT)] {
        assert_eq!(code(caller.activate(&body(workflow(), Some(version))).await), Code::Forbidden);
    }
    let bob = place.human("bob");
    for scope in [tenant.clone(), elsewhere.clone()] {
        assert_eq!(code(bob.activate(&body(scope, Some(version))).await), Code::Forbidden);
    }
    bob.activate(&body(team, Some(version))).await.unwrap();
    let dave = place.human("dave");
    for scope in [tenant, elsewhere] {
        dave.activate(&body(scope, Some(version))).await.unwrap();
    }
    let scopes: Vec<Scope> =
        dave.activations().await.unwrap().items.into_iter().map(|item| item.scope).collect();
    let expected = [
        json!({"kind": "tenant"}),
        json!({"kind": "team", "name": "payments"}),
        json!({"kind": "team", "name": "support"}),
        workflow(),
    ];
    assert_eq!(scopes, expected.map(to::<Scope>));
}

#[tokio::test]
async fn what_is_unknown_or_has_moved_changes_nothing() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (bob, version) = (place.human("bob"), denying(&place).await);
    let present = bob.activations().await.unwrap().items[0].policy_version_id;
    let nobodys: text::PolicyVersionId = "0".repeat(64).parse().unwrap();
    assert_eq!(code(bob.activate(&body(workflow(), Some(nobodys))).await), Code::PolicyUnknown);
    assert_eq!(code(bob.activate(&body(workflow(), None)).await), Code::NoPolicyBefore);
    let missing = json!({"kind": "workflow", "name": "nothing"});
    assert_eq!(code(bob.activate(&body(missing, Some(version))).await), Code::WorkflowUnknown);
    let mut stale = body(workflow(), Some(version));
    stale.present = Some(version);
    let refused = problem(bob.activate(&stale).await);
    assert_eq!(refused.code(), Code::PolicyMoved);
    assert_eq!(refused.member("present"), Some(&json!(present)));
    let mallory = place.human("mallory");
    assert_eq!(mallory.activations().await.unwrap().items, []);
    assert_eq!(code(mallory.activate(&body(workflow(), Some(version))).await), Code::WorkflowUnknown);
    assert_eq!(bob.governance(&PageQuery::default()).await.unwrap().items.len(), 1);
}
