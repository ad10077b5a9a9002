//! What a request may be: media types, sizes, members, parameters; and how many there may be.

use std::time::Duration;

use gantral_api::problem::Code;
use gantral_api::wire::BODY_BYTES_MAX;
use gantral_server::Capacity;
use gantral_testkit::{AGENT, RUNNER};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::place::{Place, fresh_key, refused};

/// Sends bodies to the route that creates instances and returns code and path of each refusal.
async fn check(place: &Place, body: &str, code: Code, path: Option<&str>) {
    let token = place.client_token(AGENT);
    let problem = refused(place.write("POST", "/v1/instances", &token, body)).await;
    let shown: String = body.chars().take(80).collect();
    assert_eq!(problem.code(), code, "{shown}");
    assert_eq!(problem.member("path").and_then(|path| path.as_str()), path, "{shown}");
}

#[tokio::test]
async fn a_body_that_is_not_what_the_route_takes_is_refused_with_its_place() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let deep = format!(r#"{{"workflow":"refund","input":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    for (body, path) in [
        ("", None),
        ("[]", None),
        (r#"{"workflow":"refund"} {}"#, None),
        (r#"{"workflow":"refund","worfklow":"x"}"#, Some("worfklow")),
        (r#"{"workflow":"refund","workflow":"refund"}"#, Some("workflow")),
        (r#"{"workflow":7}"#, Some("workflow")),
        (r#"{"workflow":"with space"}"#, Some("workflow")),
        (r#"{"workflow":"refund","parent":{"instance_id":"x"}}"#, Some("parent.instance_id")),
        (r#"{"workflow":"refund","input":{"a":1,"a":2}}"#, Some("input")),
        (r#"{"workflow":"refund","trigger":"MOON"}"#, Some("trigger")),
        (deep.as_str(), Some("input")),
    ] {
        check(&place, body, Code::InvalidBody, path).await;
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let filler = "x".repeat(BODY_BYTES_MAX);
    let body = json!({"workflow": "refund", "input": filler}).to_string();
    check(&place, &body, Code::BodyTooLarge, None).await;
    // Nobody unknown makes the server read it at all.
    let problem = refused(place.write("POST", "/v1/instances", "nobody", &body)).await;
    assert_eq!(problem.code(), Code::TokenRejected);
}

#[tokio::test]
async fn another_media_type_is_refused() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (agent, bob) = (place.client_token(AGENT), place.human_token("bob"));
    let send = |method: &str, path: &str, token: &str, kind: Option<&str>| {
        let request = place.request(method, path, Some(token)).header("idempotency-key", fresh_key());
        let request = request.body(r#"{"workflow":"refund"}"#);
        if let Some(kind) = kind { request.header("content-type", kind) } else { request }
    };
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let problem = refused(send("POST", "/v1/instances", &agent, kind)).await;
        assert_eq!(problem.code(), Code::UnsupportedMediaType, "{kind:?}");
    }
    let problem = refused(send("PUT", "/v1/policies", &bob, Some("application/json"))).await;
    assert_eq!(problem.code(), Code::UnsupportedMediaType);
    let kind = Some("application/json; charset=utf-8");
    assert_eq!(send("POST", "/v1/instances", &agent, kind).send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_parameter_that_is_none_is_refused_by_name() {
    let place = Place::start().await;
    let token = place.human_token("dave");
    for (path, parameter) in [
        ("/v1/instances?limit=0", "limit"),
        ("/v1/instances?limit=201", "limit"),
        ("/v1/instances?limit=many", "limit"),
        ("/v1/instances?cursor=moon", "cursor"),
        ("/v1/instances?state=ASLEEP", "state"),
        ("/v1/instances?stat=RUNNING", "stat"),
        ("/v1/gates?state=closed", "state"),
        ("/v1/me?verbose=1", "verbose"),
        ("/v1/instances/not-a-uuid", "id"),
        ("/v1/gates/00000000-0000-1000-8000-000000000000", "gate_id"),
        ("/v1/policies/abc", "version"),
        ("/v1/instances/00000000-0000-4000-8000-000000000000?wait=forever", "wait"),
        ("/v1/instances/00000000-0000-4000-8000-000000000000/evidence?format=zip", "format"),
    ] {
        let problem = refused(place.request("GET", path, Some(&token))).await;
        assert_eq!(problem.code(), Code::InvalidParameter, "{path}");
        assert_eq!(problem.member("parameter").unwrap(), parameter, "{path}: {}", problem.detail());
    }
    let runner = place.client_token(RUNNER);
    let path = "/v1/instances/00000000-0000-4000-8000-000000000000/attempts/first/heartbeat";
    let problem = refused(place.write("POST", path, &runner, "{}")).await;
    assert_eq!((problem.code(), problem.member("parameter").unwrap()), (Code::InvalidParameter, &json!("n")));
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(place.create("refund").await.instance_id);
    }
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let query = gantral_api::wire::InstanceList { cursor, limit: Some(2), ..Default::default() };
        let page = place.human("bob").instances(&query).await.unwrap();
        seen.extend(page.items.iter().map(|item| item.instance_id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    seen.sort_unstable_by_key(ToString::to_string);
    made.sort_unstable_by_key(ToString::to_string);
    assert_eq!(seen, made);
}

/// Starts a claim that finds nothing for a minute, and gives it time to arrive.
async fn held_claim(place: &Place) -> JoinHandle<u16> {
    let token = place.client_token(RUNNER);
    let claim = place.write("POST", "/v1/runner/claims?wait=60s", &token, r#"{"queue":"default"}"#);
    let held = tokio::spawn(async move { claim.send().await.unwrap().status().as_u16() });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!held.is_finished());
    held
}

/// Sends a request that is one too many.
async fn one_too_many(request: reqwest::RequestBuilder) {
    let response = request.try_clone().unwrap().send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(refused(request).await.code(), Code::TooManyRequests);
}

#[tokio::test]
async fn whoever_waits_too_many_is_refused_and_nobody_else_is() {
    let place = Place::with_capacity(Capacity { waits: 1, ..Capacity::default() }).await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (bob, runner) = (place.human_token("bob"), place.client_token(RUNNER));
    let held = held_claim(&place).await;
    let claim = |wait: &str| {
        let path = format!("/v1/runner/claims{wait}");
        place.write("POST", &path, &runner, r#"{"queue":"default"}"#)
    };
    let show = |query: &str| place.request("GET", &format!("/v1/instances/{id}{query}"), Some(&bob));
    one_too_many(claim("?wait=1s")).await;
    one_too_many(show("?wait=1s&after=0")).await;
    // Who finds an answer at once waits for nothing.
    assert_eq!(claim("").send().await.unwrap().status(), 204);
    assert_eq!(show("").send().await.unwrap().status(), 200);
    assert_eq!(show("?wait=1s").send().await.unwrap().status(), 200);
    place.create("refund").await;
    // The place of a caller who gave up is free again.
    held.abort();
    let mut status = 429;
    for _ in 0..100 {
        status = claim("?wait=1s").send().await.unwrap().status().as_u16();
        if status != 429 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 204);
}

#[tokio::test]
async fn a_full_server_refuses_whatever_comes_and_still_says_how_it_is() {
    let place = Place::with_capacity(Capacity { requests: 1, ..Capacity::default() }).await;
    place.ready().await;
    let held = held_claim(&place).await;
    let token = place.client_token(AGENT);
    one_too_many(place.request("GET", "/v1/me", Some(&token))).await;
    one_too_many(place.write("POST", "/v1/instances", &token, r#"{"workflow":"refund"}"#)).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(place.request("GET", path, None).send().await.unwrap().status(), 200, "{path}");
    }
    held.abort();
}
