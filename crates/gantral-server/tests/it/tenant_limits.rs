//! What a tenant may send, begin and keep, over HTTP.

use gantral_api::problem::Code;
use gantral_api::wire::{AuthorityAnswer, ReportOutcome};
use gantral_server::tenant_limits::{LimitSettings, TenantLimitSettings};
use gantral_testkit::AGENT;
use serde_json::json;

use crate::place::{FOREIGNER, Place, action, code, decision, freeze, problem, refund, refused, to};

const CREATE: &str = r#"{"workflow":"refund"}"#;

fn limits(of: TenantLimitSettings) -> LimitSettings {
    LimitSettings { tenants: [("dev".to_owned(), of)].into(), ..LimitSettings::default() }
}

#[tokio::test]
async fn commands_that_come_too_fast_are_refused_until_there_is_room_again() {
    let mut place = Place::start().await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, attached) = place.begin(id).await;
    let ask = to(json!({"action": action(480), "consume": true}));
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &ask).await.unwrap() else { panic!("not allowed") };
    place
        .set_limits(limits(TenantLimitSettings { rate: Some(1), burst: Some(2), ..Default::default() }))
        .await;
    let attempt = place.bearing(&attached.token);
    let agent = place.client_token(AGENT);
    let create = || place.write("POST", "/v1/instances", &agent, CREATE);
    for _ in 0..2 {
        assert_eq!(create().send().await.unwrap().status(), 201);
    }
    let again = create();
    let response = again.try_clone().unwrap().send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(refused(again).await.code(), Code::RateExceeded);
    // Neither people nor another tenant nor whoever only looks are refused for it; nor is what has begun kept from ending.
    let elsewhere = freeze(&json!({"kind": "team", "name": "logistics"}), true);
    place.human("dave").set_freeze(&elsewhere).await.unwrap();
    assert_eq!(
        code(place.machine(FOREIGNER).create_instance(&to(json!({"workflow": "refund"}))).await),
        Code::WorkflowUnknown
    );
    assert_eq!(place.request("GET", "/v1/me", Some(&agent)).send().await.unwrap().status(), 200);
    let done: ReportOutcome = to(json!({"status": "SUCCEEDED"}));
    attempt.report_outcome(id, allowed.grant_id.unwrap(), &done).await.unwrap();
    let metrics = place.request("GET", "/metrics", None).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("gantral_tenant_rate_exceeded_total{tenant=\"dev\"} 2"), "{metrics}");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(create().send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn no_instance_begins_beyond_the_limit_and_what_waits_is_decided_all_the_same() {
    let mut place = Place::start().await;
    let waits = place.waiting().await;
    place.set_limits(limits(TenantLimitSettings { open_instances: Some(2), ..Default::default() })).await;
    let agent = place.machine(AGENT);
    let create = to(json!({"workflow": "refund"}));
    let second = agent.create_instance(&create).await.unwrap().instance;
    let full = problem(agent.create_instance(&create).await);
    assert_eq!((full.code(), full.member("most")), (Code::InstancesFull, Some(&json!(2))));
    let metrics = place.request("GET", "/metrics", None).send().await.unwrap().text().await.unwrap();
    for line in [
        "gantral_tenant_open_instances{tenant=\"dev\"} 2",
        "gantral_tenant_open_instances_max{tenant=\"dev\"} 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    place.human("fiona").decide(waits.gate, &decision("REJECT", 1)).await.unwrap();
    agent.create_instance(&create).await.unwrap();
    assert_eq!(code(agent.create_instance(&create).await), Code::InstancesFull);
    // The second one goes on.
    let (attempt, _) = place.begin(second.instance_id).await;
    attempt.ask(second.instance_id, &refund(48_000)).await.unwrap();
}

#[tokio::test]
async fn nothing_new_begins_where_as_much_is_kept_as_may_be_and_what_has_begun_goes_on() {
    let mut place = Place::start().await;
    let waits = place.waiting().await;
    place.set_limits(limits(TenantLimitSettings { stored_bytes: Some(1_000), ..Default::default() })).await;
    let full = problem(place.machine(AGENT).create_instance(&to(json!({"workflow": "refund"}))).await);
    assert_eq!((full.code(), full.member("most")), (Code::StorageFull, Some(&json!(1_000))));
    place.human("fiona").decide(waits.gate, &decision("APPROVE", 1)).await.unwrap();
    let (_, attached) = place.begin(waits.id).await;
    assert!(attached.grant.is_some());
    // Another tenant has limits of its own.
    let foreign = place.machine(FOREIGNER).create_instance(&to(json!({"workflow": "refund"}))).await;
    assert_eq!(code(foreign), Code::WorkflowUnknown);
}
