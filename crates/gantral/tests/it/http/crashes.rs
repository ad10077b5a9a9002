//! Whatever dies, and whenever: a request is carried out once at most, and what is said of it is true.

use serde_json::json;

use super::*;

const PATH: &str = "/orders/7";
const DONE: &str = "DELETE /orders/7 \n";

#[test]
fn proxy_killed_while_a_request_waits_goes_on_when_the_request_comes_again() {
    let mut shop = Shop::open(&["--hold", "100ms"]);
    let waiting = shop.curl("DELETE", PATH, &[]).problem(202, "waiting_for_human");
    shop.kill_proxy();
    assert_eq!(shop.approve(), waiting["gate_id"]);
    shop.start_proxy();
    assert_eq!(shop.curl("DELETE", PATH, &[]).status, 201);
    assert_eq!((shop.ledger().as_str(), &shop.outcomes(1)[0]["status"]), (DONE, &json!("SUCCEEDED")));
}

#[test]
fn proxy_killed_while_the_service_has_the_request_makes_it_unknown_and_nothing_is_sent_again() {
    let mut shop = Shop::open(&[]);
    shop.switch("slow", "");
    let client = shop.send("DELETE", PATH, &[]);
    shop.approve();
    assert!(wait_until(|| shop.ledger() == DONE));
    shop.kill_proxy();
    drop(client.wait_with_output());
    shop.switch_off("slow");
    shop.start_proxy();
    let told = shop.curl("DELETE", PATH, &[]).problem(409, "call_key_taken");
    assert_eq!(told["executed"], Value::Null, "nobody knows: {told}");
    assert_eq!((shop.ledger().as_str(), &shop.outcomes(1)[0]["status"]), (DONE, &json!("UNKNOWN")));
    let id = told["instance_id"].as_str().unwrap();
    let grant = shop.world.instance(id)["outcomes"][0]["grant_id"].as_str().unwrap().to_owned();
    let found = ["--status", "SUCCEEDED", "--next", "terminate", "--reason", "the order is gone"];
    shop.world.run(&[&["instances", "reconcile", id, &grant][..], &found].concat()).status(0);
    // What came of it is known: the same request is a new one.
    let client = shop.send("DELETE", PATH, &[]);
    shop.approve();
    assert_eq!((got(client).status, shop.ledger().lines().count()), (201, 2));
}

#[test]
fn proxy_killed_with_an_answer_that_nobody_read_hands_it_to_the_first_who_comes() {
    let mut shop = Shop::open(&["--hold", "100ms"]);
    shop.curl("DELETE", PATH, &[]).problem(202, "waiting_for_human");
    shop.approve();
    assert_eq!(shop.outcomes(1)[0]["status"], "SUCCEEDED");
    shop.kill_proxy();
    shop.start_proxy();
    let answer = shop.curl("DELETE", PATH, &[]);
    assert_eq!((answer.status, &answer.json()["path"]), (201, &json!(PATH)));
    assert!(!answer.headers.contains("set-cookie"), "no credential is kept: {answer:?}");
    shop.curl("DELETE", PATH, &[]).problem(202, "waiting_for_human");
    assert_eq!(shop.ledger(), DONE);
}

#[test]
fn client_that_leaves_withdraws_nothing() {
    let shop = Shop::open(&[]);
    let mut client = shop.send("DELETE", PATH, &[]);
    shop.gate();
    client.kill().unwrap();
    client.wait().unwrap();
    shop.approve();
    assert!(wait_until(|| shop.ledger() == DONE));
    assert_eq!(shop.curl("DELETE", PATH, &[]).status, 201);
    assert_eq!((shop.ledger().as_str(), &shop.outcomes(1)[0]["status"]), (DONE, &json!("SUCCEEDED")));
}

#[test]
fn service_killed_while_it_has_the_request_makes_it_unknown() {
    let mut shop = Shop::open(&[]);
    shop.switch("slow", "");
    let client = shop.send("DELETE", PATH, &[]);
    shop.approve();
    assert!(wait_until(|| shop.ledger() == DONE));
    shop.service.kill();
    let told = got(client).problem(502, "outcome_unknown");
    assert_eq!(told["executed"], Value::Null);
    assert_eq!(shop.outcomes(1)[0]["status"], "UNKNOWN");
    shop.start_service();
    shop.curl("DELETE", PATH, &[]).problem(409, "call_key_taken");
    assert_eq!(shop.ledger(), DONE);
}

#[test]
fn service_that_is_gone_makes_it_failed_and_it_may_be_asked_for_again() {
    let mut shop = Shop::open(&[]);
    shop.service.kill();
    let client = shop.send("DELETE", PATH, &[]);
    shop.approve();
    let told = got(client).problem(502, "service_unreachable");
    assert_eq!(told["executed"], false);
    let outcome = &shop.outcomes(1)[0];
    assert_eq!(outcome["status"], "FAILED");
    assert!(shop.disclosed().contains(r#""executed":false"#));
    shop.start_service();
    let client = shop.send("DELETE", PATH, &[]);
    shop.approve();
    assert_eq!((got(client).status, shop.ledger().as_str()), (201, DONE));
}

#[test]
fn answer_that_breaks_off_is_no_whole_one() {
    let shop = Shop::open(&[]);
    shop.switch("cut", "");
    let client = shop.send("DELETE", PATH, &[]);
    shop.approve();
    let output = client.wait_with_output().unwrap();
    assert!(!output.status.success(), "curl must notice");
    let outcome = &shop.outcomes(1)[0];
    assert_eq!(outcome["status"], "SUCCEEDED");
    assert!(shop.disclosed().contains(r#""complete":false"#));
    assert_eq!(shop.ledger(), DONE);
}

#[test]
fn gantral_killed_while_the_service_has_the_request_learns_the_outcome_late() {
    let mut shop = Shop::open(&[]);
    shop.switch("slow", "");
    let client = shop.send("DELETE", PATH, &[]);
    shop.approve();
    assert!(wait_until(|| shop.ledger() == DONE));
    shop.world.kill_server();
    shop.switch_off("slow");
    assert_eq!(got(client).status, 201, "the client need not wait for the report");
    // The report outlives the proxy too.
    assert!(wait_until(|| {
        let folder = shop.world.path(".gantral-dev/proxy/dev-gate/shop");
        let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.unwrap().path());
        std::fs::read_dir(folder)
            .unwrap()
            .any(|entry| read(entry).is_ok_and(|text| text.contains(r#""over""#)))
    }));
    shop.kill_proxy();
    shop.world.start_server();
    shop.start_proxy();
    assert_eq!(shop.outcomes(1)[0]["status"], "SUCCEEDED");
    assert_eq!(shop.ledger(), DONE);
}

#[test]
fn gantral_killed_while_a_request_waits_loses_nothing() {
    let mut shop = Shop::open(&["--hold", "100ms"]);
    let waiting = shop.curl("DELETE", PATH, &[]).problem(202, "waiting_for_human");
    shop.world.kill_server();
    shop.curl("DELETE", "/orders/8", &[]).problem(503, "gantral_unreachable");
    shop.world.start_server();
    assert_eq!(shop.approve(), waiting["gate_id"]);
    assert!(wait_until(|| shop.ledger() == DONE));
    assert_eq!(shop.curl("DELETE", PATH, &[]).status, 201);
    assert_eq!((shop.ledger().as_str(), &shop.outcomes(1)[0]["status"]), (DONE, &json!("SUCCEEDED")));
}
