//! Governed calls of an interceptor, against a real server; and answers that somebody changed on the way.

use std::time::Duration;

use gantral_api::problem::Code;
use gantral_api::wire::{AskCall, CallAllowed, CallAnswer, Document};
use gantral_core::ids::{InstanceId, SessionId, TenantId, WorkflowId};
use gantral_core::state::{DecisionKind, OutcomeStatus, State};
use gantral_edge::call::{Answer, CallError, Caller, CallerConfig, Permit, Unbelieved, Wanted, verify};
use gantral_edge::journal::Journal;
use gantral_edge::runner::Pinned;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::trust::{Require, Trust, TrustedKey};

use crate::place::{Place, refund};

const GATE: &str = "dev-gate";
const SMALL: u64 = 100;
const LARGE: u64 = 4_800;

async fn place() -> Place {
    let place = Place::open().await;
    place.apply_calls().await;
    place
}

fn workflow() -> WorkflowId {
    WorkflowId::parse("refund").unwrap()
}

async fn caller(place: &Place) -> Caller {
    let config = CallerConfig {
        workflow: workflow(),
        session: Some(SessionId::parse("s-1").unwrap()),
        pinned: place.pinned().await,
        journal: Some(Journal::new(place.folder.path().join("calls.jsonl"))),
    };
    Caller::new(place.client(GATE), config)
}

fn wanted(amount: u64) -> Wanted {
    Wanted::of(refund(amount))
}

fn ask(amount: u64) -> AskCall {
    AskCall {
        workflow: workflow().into(),
        version: None,
        session_id: None,
        action: refund(amount),
        step: None,
        trigger: None,
        cost_estimate: None,
        attributes: None,
    }
}

fn may_go(answer: Answer) -> Permit {
    match answer {
        Answer::Go(permit) => *permit,
        other => panic!("{other:?}"),
    }
}

async fn waits(caller: &Caller, amount: u64) -> InstanceId {
    match caller.ask(wanted(amount)).await.unwrap() {
        Answer::Waits(waiting) => *waiting.instance_id,
        other => panic!("{other:?}"),
    }
}

fn parameters(permit: &Permit) -> serde_json::Value {
    serde_json::from_str(permit.action().parameters.as_str()).unwrap()
}

#[tokio::test]
async fn what_policy_allows_goes_at_once_with_its_defaults_and_is_settled() {
    let place = place().await;
    let permit = may_go(caller(&place).await.ask(wanted(SMALL)).await.unwrap());
    assert_eq!(parameters(&permit), serde_json::json!({"amount_minor": SMALL, "currency": "EUR"}));
    assert!(permit.is_enforced() && permit.grant().is_some());
    let result = Some(Document::from_text("{\"ok\":true}".to_owned()).unwrap());
    let moved = permit.settle(OutcomeStatus::Succeeded, result.clone()).await.unwrap();
    assert_eq!(*moved.state, State::Completed);
    let again = permit.settle(OutcomeStatus::Succeeded, result).await.unwrap();
    assert_eq!(again.artifacts, moved.artifacts, "a report that is sent again is sealed once");
    let journal = std::fs::read_to_string(place.folder.path().join("calls.jsonl")).unwrap();
    assert!(journal.lines().count() >= 8, "every receipt is kept");
}

#[tokio::test]
async fn a_call_waits_for_a_human_and_goes_as_it_was_changed() {
    let place = place().await;
    let caller = caller(&place).await;
    let id = waits(&caller, LARGE).await;
    assert_eq!(waits(&caller, LARGE).await, id, "the same call joins");
    assert!(matches!(caller.take(id, Duration::ZERO).await.unwrap(), Answer::Waits(_)));
    let (taken, ()) = tokio::join!(
        caller.take(id, Duration::from_secs(30)),
        place.decide(DecisionKind::Override, Some(480))
    );
    let permit = may_go(taken.unwrap());
    assert_eq!(parameters(&permit)["amount_minor"], 480);
    let running = caller.ask(wanted(LARGE)).await.unwrap_err();
    assert!(matches!(running, CallError::Running { instance: Some(open) } if open == id), "{running}");
    permit.settle(OutcomeStatus::Failed, None).await.unwrap();
    assert_eq!(*place.show(id).await.state, State::Terminated);
}

#[tokio::test]
async fn a_call_that_was_decided_while_nobody_waited_goes_when_it_is_asked_for_again() {
    let place = place().await;
    let caller = caller(&place).await;
    let id = waits(&caller, LARGE).await;
    place.decide(DecisionKind::Approve, None).await;
    let permit = may_go(caller.ask(wanted(LARGE)).await.unwrap());
    assert_eq!(permit.instance(), id);
    permit.settle(OutcomeStatus::Succeeded, None).await.unwrap();
}

#[tokio::test]
async fn a_refused_or_withdrawn_call_says_why_it_ended() {
    let place = place().await;
    let caller = caller(&place).await;
    let id = waits(&caller, LARGE).await;
    place.decide(DecisionKind::Reject, None).await;
    match caller.take(id, Duration::from_secs(5)).await.unwrap() {
        Answer::Denied(denied) => assert_eq!(denied.cause.as_str(), "rejected"),
        other => panic!("{other:?}"),
    }
    match caller.ask(wanted(LARGE)).await.unwrap() {
        Answer::Denied(denied) => {
            assert!(denied.remembered && *denied.instance_id == id, "nobody is asked again")
        }
        other => panic!("{other:?}"),
    }
    let id = waits(&caller, LARGE + 1).await;
    caller.withdraw(id).await.unwrap();
    match caller.take(id, Duration::ZERO).await.unwrap() {
        Answer::Denied(denied) => assert_eq!(denied.cause.as_str(), "withdrawn"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_workloads_make_calls() {
    let place = place().await;
    let refused = place.human("bob").ask_call(&ask(SMALL)).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().code(), Code::Forbidden);
}

/// The answer to a call that may go, as it came.
async fn allowed(place: &Place, amount: u64) -> CallAllowed {
    match place.client(GATE).ask_call(&ask(amount)).await.unwrap() {
        CallAnswer::Allow(allowed) => allowed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_somebody_changed_is_not_believed() {
    let place = place().await;
    let pinned = place.pinned().await;
    let good = allowed(&place, SMALL).await;
    verify(&good, &pinned, &workflow()).unwrap();
    let refused = |change: &dyn Fn(&mut CallAllowed)| {
        let mut changed = good.clone();
        change(&mut changed);
        verify(&changed, &pinned, &workflow()).unwrap_err()
    };
    let more = refused(&|it| it.action = refund(LARGE));
    assert!(matches!(more, Unbelieved::Action), "{more}");
    let elsewhere = refused(&|it| it.action.target = "order/other".to_owned());
    assert!(matches!(elsewhere, Unbelieved::Action), "{elsewhere}");
    let observed = refused(&|it| it.enforced = false);
    assert!(matches!(observed, Unbelieved::Grant), "{observed}");
    let grant = refused(&|it| it.grant_id = Some("00000000-0000-4000-8000-000000000000".parse().unwrap()));
    assert!(matches!(grant, Unbelieved::Grant), "{grant}");
    let later = refused(&|it| it.act_by = Some("2100-01-01T00:00:00.000Z".parse().unwrap()));
    assert!(matches!(later, Unbelieved::Grant), "{later}");
    let cut = refused(&|it| it.artifacts.truncate(3));
    assert!(matches!(cut, Unbelieved::Grant), "nothing was used up: {cut}");
    let gap = refused(&|it| drop(it.artifacts.remove(1)));
    assert!(matches!(gap, Unbelieved::Chain(_)), "{gap}");
    let other = allowed(&place, SMALL - 1).await;
    let replayed = refused(&|it| it.artifacts.clone_from(&other.artifacts));
    assert!(matches!(replayed, Unbelieved::Other { what: "call" }), "{replayed}");
}

#[tokio::test]
async fn an_answer_under_another_key_tenant_or_workflow_is_not_believed() {
    let place = place().await;
    let good = allowed(&place, SMALL).await;
    let pinned = place.pinned().await;
    let key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    let key = TrustedKey::issuer(PublicKey::parse(key).unwrap());
    let strange = Trust::new([key], Some(Require::signed())).unwrap();
    let other = Pinned { trust: strange, tenant: pinned.tenant.clone() };
    assert!(matches!(verify(&good, &other, &workflow()), Err(Unbelieved::Chain(_))));
    let other = Pinned { tenant: TenantId::parse("other").unwrap(), ..pinned.clone() };
    assert!(matches!(verify(&good, &other, &workflow()), Err(Unbelieved::Other { what: "tenant" })));
    let other = WorkflowId::parse("transfer").unwrap();
    assert!(matches!(verify(&good, &pinned, &other), Err(Unbelieved::Other { what: "workflow" })));
}
