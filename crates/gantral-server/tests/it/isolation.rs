//! Who sees and does what: tenants, teams, kinds of principals, and tokens that are none.

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{Ask, Attach, Claim, GateList, InstanceList, PageQuery, ShowInstance};
use gantral_identity::{DevIssuer, TokenKey};
use gantral_testkit::{AGENT, OTHER_AGENT, RUNNER};
use serde_json::json;

use crate::place::{
    FOREIGN_RUNNER, FOREIGNER, Place, STRANGER, Waits, code, decision, problem, refund, refused, to,
};

/// Calls everything that names an instance, a gate or a workflow, as somebody who holds no attempt.
async fn codes(client: &Client, waits: &Waits) -> Vec<(&'static str, Code)> {
    let (id, gate) = (waits.id, waits.gate);
    let grant = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let found = json!({"status": "FAILED", "next": "terminate", "justification": "asked the bank"});
    let later = json!({"gate_version": 1, "deadline": "2026-01-01T00:40:00.000Z"});
    let mut codes = vec![
        ("show", code(client.instance(id, &ShowInstance::default()).await)),
        ("evidence", code(client.evidence(id).await)),
        ("gate", code(client.gate(gate).await)),
        ("workflow", code(client.workflow(&"refund".parse().unwrap()).await)),
        ("decide", code(client.decide(gate, &decision("APPROVE", 1)).await)),
        ("extend", code(client.extend(gate, &to(later)).await)),
        ("withdraw", code(client.withdraw(id).await)),
        ("cancel", code(client.cancel(id).await)),
        ("reconcile", code(client.reconcile(id, grant, &to(found)).await)),
        ("attach", code(client.attach(id, Attach::SelfRun).await)),
    ];
    codes.push(("attach-runner", code(client.attach(id, Attach::Assigned { attempt: 1 }).await)));
    codes.push(("heartbeat", code(client.heartbeat(id, 1).await)));
    codes.push(("ask", code(client.ask(id, &refund(1)).await)));
    codes.push(("complete", code(client.complete(id).await)));
    codes
}

async fn untouched(place: &Place, waits: &Waits, before: u64) {
    assert_eq!(place.show(waits.id).await.head.sequence, before, "somebody moved the instance");
}

#[tokio::test]
async fn nothing_exists_for_another_tenant() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let before = place.show(waits.id).await.head.sequence;
    for client in [place.human("mallory"), place.machine(FOREIGNER)] {
        for (call, code) in codes(&client, &waits).await {
            let hidden = matches!(code, Code::NotFound | Code::GateUnknown | Code::WorkflowUnknown);
            assert!(hidden || code == Code::Forbidden, "{call}: {code}");
        }
        assert!(client.instances(&InstanceList::default()).await.unwrap().items.is_empty());
        assert!(client.workflows(&PageQuery::default()).await.unwrap().items.is_empty());
        assert!(client.policies(&PageQuery::default()).await.unwrap().items.is_empty());
        assert!(client.gates(&GateList::default()).await.unwrap().items.is_empty());
    }
    let admin = place.human("mallory");
    for (call, expected) in [
        ("show", Code::NotFound),
        ("evidence", Code::NotFound),
        ("gate", Code::GateUnknown),
        ("workflow", Code::WorkflowUnknown),
        ("decide", Code::GateUnknown),
        ("extend", Code::GateUnknown),
        ("withdraw", Code::NotFound),
        ("cancel", Code::NotFound),
        ("reconcile", Code::NotFound),
        ("attach", Code::NotFound),
    ] {
        let found = codes(&admin, &waits).await.into_iter().find(|(name, _)| *name == call);
        assert_eq!(found, Some((call, expected)));
    }
    let runner = place.machine(FOREIGN_RUNNER);
    assert_eq!(code(runner.attach(waits.id, Attach::Assigned { attempt: 1 }).await), Code::LeaseLost);
    untouched(&place, &waits, before).await;
}

#[tokio::test]
async fn nothing_exists_for_another_team() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let before = place.show(waits.id).await.head.sequence;
    for client in [place.human("eve"), place.machine(STRANGER)] {
        for (call, code) in codes(&client, &waits).await {
            let hidden = matches!(code, Code::NotFound | Code::GateUnknown | Code::WorkflowUnknown);
            assert!(hidden || code == Code::Forbidden, "{call}: {code}");
        }
        assert!(client.instances(&InstanceList::default()).await.unwrap().items.is_empty());
        assert!(client.gates(&GateList::default()).await.unwrap().items.is_empty());
        let asked: InstanceList = to(json!({"team": "payments"}));
        assert!(client.instances(&asked).await.unwrap().items.is_empty());
    }
    untouched(&place, &waits, before).await;
}

#[tokio::test]
async fn no_machine_decides_whatever_it_holds() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let before = place.show(waits.id).await.head.sequence;
    for client in
        [place.machine(AGENT), place.machine(OTHER_AGENT), place.machine(RUNNER), waits.attempt.clone()]
    {
        for word in ["APPROVE", "REJECT"] {
            let refusal = problem(client.decide(waits.gate, &decision(word, 1)).await);
            assert_eq!(refusal.code(), Code::Forbidden);
            assert_eq!(refusal.member("reason").unwrap(), "human_needed");
        }
        let later = json!({"gate_version": 1, "deadline": "2026-01-01T00:40:00.000Z"});
        assert_eq!(code(client.extend(waits.gate, &to(later)).await), Code::Forbidden);
        assert_eq!(code(client.cancel(waits.id).await), Code::Forbidden);
    }
    untouched(&place, &waits, before).await;
}

#[tokio::test]
async fn an_attempts_token_is_good_for_its_instance_and_nothing_else() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let other = place.create("refund").await.instance_id;
    assert_eq!(code(waits.attempt.ask(other, &refund(1)).await), Code::NotFound);
    assert_eq!(code(waits.attempt.instance(other, &ShowInstance::default()).await), Code::NotFound);
    assert_eq!(code(waits.attempt.gates(&GateList::default()).await), Code::Forbidden);
    assert_eq!(
        code(waits.attempt.create_instance(&to(json!({"workflow": "refund"}))).await),
        Code::Forbidden
    );
    assert_eq!(code(waits.attempt.withdraw(waits.id).await), Code::Forbidden);
    assert_eq!(waits.attempt.gate(waits.gate).await.unwrap().gate_id, waits.gate);
    let me = waits.attempt.me().await.unwrap();
    assert_eq!((me.instance_id, me.attempt), (Some(waits.id), Some(1)));
    let claim: Claim = to(json!({"queue": "default"}));
    assert_eq!(code(waits.attempt.claim(&claim, "1s".parse().unwrap()).await), Code::Forbidden);
}

#[tokio::test]
async fn only_an_attempt_asks() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    for client in [place.machine(AGENT), place.machine(RUNNER), place.human("dave")] {
        let refusal = problem(client.ask(waits.id, &refund(1)).await);
        assert_eq!(
            (refusal.code(), refusal.member("reason").unwrap()),
            (Code::Forbidden, &json!("attempt_token_needed"))
        );
    }
}

#[tokio::test]
async fn policies_and_workflows_are_for_developers_and_administrators() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let definition: serde_json::Value = serde_json::from_str(gantral_testkit::workflows::REFUND).unwrap();
    let version =
        place.human("bob").policies(&PageQuery::default()).await.unwrap().items[0].policy_version_id;
    let body = to(json!({"definition": definition, "policy_version_id": version}));
    let id = "refund".parse().unwrap();
    for client in [place.human("fiona"), place.machine(AGENT), place.machine(RUNNER), waits.attempt.clone()] {
        assert_eq!(code(client.publish_policy(vec![1]).await), Code::Forbidden);
        assert_eq!(code(client.apply_workflow(&id, &body).await), Code::Forbidden);
    }
    let dave = place.human("dave");
    let applied = dave.apply_workflow(&id, &body).await.unwrap();
    let mut other = definition.clone();
    other["materiality"] = json!("LOW");
    let body = to(json!({"definition": other, "policy_version_id": version}));
    let refusal = problem(dave.apply_workflow(&id, &body).await);
    assert_eq!(refusal.code(), Code::WorkflowVersionExists);
    assert_eq!(refusal.member("workflow_version_id").unwrap(), &json!(applied.workflow_version_id));
    other["materiality"] = json!("HUGE");
    let body = to(json!({"definition": other, "policy_version_id": version}));
    let refusal = problem(dave.apply_workflow(&id, &body).await);
    assert_eq!(
        (refusal.code(), refusal.member("path").unwrap()),
        (Code::WorkflowInvalid, &json!("materiality"))
    );
}

#[tokio::test]
async fn the_actor_never_comes_from_a_body() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let token = place.human_token("fiona");
    let path = format!("/v1/gates/{}/decisions", waits.gate);
    for member in ["actor", "person", "decided_by", "acts_for", "evidence"] {
        let mut body = serde_json::to_value(decision("APPROVE", 1)).unwrap();
        body[member] = json!("frank");
        let problem = refused(place.write("POST", &path, &token, &body.to_string())).await;
        assert_eq!(problem.code(), Code::InvalidBody);
        assert_eq!(problem.member("path").unwrap(), member);
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_and_never_repeated() {
    let place = Place::start().await;
    let now = place.clock.now();
    let forger = DevIssuer::new(TokenKey::generate().unwrap(), place.issuer.directory().clone());
    let forged = forger.human_token("dave", now).unwrap().expose().to_owned();
    let old = place.human_token("dave");
    let (head, tail) = old.rsplit_once('.').unwrap();
    let unsigned = format!("{head}.");
    let swapped = format!("{head}.{}", tail.chars().rev().collect::<String>());
    let long = "a".repeat(9_000);
    place.clock.advance(gantral_core::time::DurationMs::from_secs(3 * 3_600));
    for (token, reason) in [
        (old.as_str(), Some("token_expired")),
        (&forged, None),
        (&unsigned, None),
        (&swapped, None),
        ("canary", Some("token_malformed")),
        (&long, Some("token_too_long")),
    ] {
        let response = place.request("GET", "/v1/me", Some(token)).send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
        let text = response.text().await.unwrap();
        assert!(!text.contains(token), "{text}");
        let problem: gantral_api::problem::Problem = serde_json::from_str(&text).unwrap();
        assert_eq!(problem.code(), Code::TokenRejected, "{text}");
        if let Some(reason) = reason {
            assert_eq!(problem.member("reason").unwrap(), reason);
        }
    }
    for header in ["Basic ZGF2ZTpkYXZl", "Bearer", ""] {
        let request = place.request("GET", "/v1/me", None).header("authorization", header);
        assert_eq!(refused(request).await.code(), Code::Unauthenticated, "{header}");
    }
    let twice = place.request("GET", "/v1/me", Some(&old)).header("authorization", "Bearer other");
    assert_eq!(refused(twice).await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_development_token_never_passes_a_proxy() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    for token in [place.human_token("fiona"), place.client_token(AGENT), waits.token.clone()] {
        for header in ["x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip"] {
            let request = place.request("GET", "/v1/me", Some(&token)).header(header, "127.0.0.1");
            assert_eq!(refused(request).await.code(), Code::TokenRejected, "{header}");
        }
    }
}

#[tokio::test]
async fn a_workload_reads_its_own_gate_and_no_other() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    assert_eq!(place.machine(AGENT).gate(waits.gate).await.unwrap().gate_id, waits.gate);
    assert_eq!(code(place.machine(OTHER_AGENT).gate(waits.gate).await), Code::GateUnknown);
    assert!(place.machine(OTHER_AGENT).gates(&GateList::default()).await.unwrap().items.is_empty());
    assert_eq!(code(place.machine(RUNNER).gates(&GateList::default()).await), Code::Forbidden);
    let ask: Ask = refund(1);
    assert_eq!(code(place.machine(OTHER_AGENT).ask(waits.id, &ask).await), Code::Forbidden);
}
