//! What happens to requests that pass, wait, are changed and are refused.

use serde_json::json;

use super::*;

const REFUND: &str = r#"{"amount_minor":480000,"note":"late"}"#;
const PATH: &str = "/orders/7/refunds";
const DONE: &str = "POST /orders/7/refunds {\"amount_minor\":480000,\"note\":\"late\"}\n";

#[test]
fn what_policy_allows_goes_through_at_once_and_its_outcome_is_sealed() {
    let shop = Shop::open(&["--rule", "ask POST /orders/{order}/refunds"]);
    let sent = r#"{ "note":"a",  "amount_minor":5000 }"#;
    let more = ["-H", "content-type: application/json", "-H", "authorization: Bearer agent", "-d", sent];
    let got = shop.curl("POST", PATH, &more);
    assert_eq!(got.status, 201, "{got:?}");
    let seen = got.json();
    assert_eq!(seen["body"], sent, "it is sent byte for byte");
    assert_eq!(seen["headers"]["authorization"], "Bearer agent");
    assert!(seen["headers"]["gantral-grant"].as_str().is_some_and(|grant| !grant.is_empty()), "{seen}");
    assert!(got.headers.contains("set-cookie: shop=secret") && !got.headers.contains("forged"), "{got:?}");
    assert_eq!(shop.outcomes(1)[0]["status"], "SUCCEEDED");
    let piped = format!("printf '%s' '{}' | sha256sum", got.body.replace('\'', r"'\''"));
    let summed = Command::new("sh").args(["-c", &piped]).output().unwrap();
    let digest = String::from_utf8(summed.stdout).unwrap().split(' ').next().unwrap().to_owned();
    let disclosed = shop.disclosed();
    assert!(disclosed.contains(&format!(r#""body_sha256":"{digest}","status":201"#)), "{disclosed}");
    assert!(!disclosed.contains("Bearer agent"));
}

#[test]
fn request_is_held_until_a_human_approves_and_sent_once() {
    let shop = Shop::open(&[]);
    let client = shop.send("POST", PATH, &["-H", "content-type: application/json", "-d", REFUND]);
    let gate = shop.gate();
    let shown = shop.world.run(&["approvals", "show", &gate]).status(0).data;
    assert!(shown.contains("480000") && shown.contains("POST shop/orders/7/refunds"), "{shown}");
    assert_eq!(shop.ledger(), "");
    shop.approve();
    let got = got(client);
    assert_eq!((got.status, &got.json()["body"]), (201, &json!(REFUND)));
    assert_eq!(shop.ledger(), DONE);
    assert_eq!(shop.outcomes(1)[0]["status"], "SUCCEEDED");
}

#[test]
fn client_that_is_told_to_wait_gets_the_answer_once_when_it_comes_again() {
    let shop = Shop::open(&["--hold", "100ms"]);
    let got = shop.json("POST", PATH, REFUND);
    let waiting = got.problem(202, "waiting_for_human");
    assert!(got.headers.contains("retry-after: 5") && got.headers.contains("gantral-executed: false"));
    assert_eq!(waiting["executed"], false);
    for member in ["url", "expires_at", "instance_id"] {
        assert!(waiting[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {waiting}");
    }
    let again = shop.json("POST", PATH, REFUND).problem(202, "waiting_for_human");
    assert_eq!(again["gate_id"], waiting["gate_id"], "it joins");
    assert_eq!(shop.approve(), waiting["gate_id"]);
    // Nobody waits for it: it is sent all the same.
    assert!(wait_until(|| shop.ledger() == DONE));
    let answer = shop.json("POST", PATH, REFUND);
    assert_eq!((answer.status, &answer.json()["body"]), (201, &json!(REFUND)));
    // Now it is another one.
    let next = shop.json("POST", PATH, REFUND).problem(202, "waiting_for_human");
    assert_ne!(next["gate_id"], waiting["gate_id"]);
    assert_eq!(shop.ledger(), DONE);
}

#[test]
fn who_shows_other_credentials_gets_no_answer_of_somebody_else() {
    let shop = Shop::open(&["--hold", "100ms", "--pending-status", "503"]);
    let as_whom = |who: &str| {
        let header = format!("authorization: Bearer {who}");
        shop.curl("POST", PATH, &["-H", &header, "-H", "content-type: application/json", "-d", REFUND])
    };
    let alice = as_whom("alice").problem(503, "waiting_for_human");
    let bob = as_whom("bob").problem(503, "waiting_for_human");
    assert_ne!(alice["gate_id"], bob["gate_id"]);
    let kept =
        Command::new("grep").args(["-ra", "Bearer alice"]).arg(shop.world.path(".gantral-dev")).output();
    assert_eq!(String::from_utf8(kept.unwrap().stdout).unwrap(), "", "no credential is kept");
}

#[test]
fn human_changes_the_body_and_the_service_gets_that_one() {
    let shop = Shop::open(&[]);
    let client = shop.send("POST", PATH, &["-H", "content-type: application/json", "-d", REFUND]);
    let set = r#"body={"amount_minor":100}"#;
    let words = ["approvals", "override", &shop.gate(), "--set", set, "--reason", "less will do"];
    shop.world.run(&words).status(0);
    assert_eq!(got(client).json()["body"], r#"{"amount_minor":100}"#);
    assert_eq!(shop.ledger(), "POST /orders/7/refunds {\"amount_minor\":100}\n");
}

#[test]
fn human_cannot_make_it_another_request() {
    let shop = Shop::open(&[]);
    let client = shop.send("DELETE", "/orders/7", &[]);
    let words = ["approvals", "override", &shop.gate(), "--set", "path=/orders/8", "--reason", "the other"];
    shop.world.run(&words).status(0);
    got(client).problem(409, "action_differs");
    assert_eq!((shop.ledger().as_str(), &shop.outcomes(1)[0]["status"]), ("", &json!("FAILED")));
}

#[test]
fn refused_request_is_not_sent_and_says_why() {
    let shop = Shop::open(&[]);
    let denied = shop.curl("POST", "/internal/users", &["-d", "a=1"]).problem(403, "denied");
    assert_eq!(denied["cause"], "denied");
    assert_eq!(denied["reasons"][0], "/internal/users is not for agents");
    let client = shop.send("DELETE", "/orders/7", &[]);
    let gate = shop.gate();
    shop.world.run(&["approvals", "reject", &gate, "--reason", "not today"]).status(0);
    let rejected = got(client).problem(403, "denied");
    assert_eq!(rejected["cause"], "rejected");
    shop.curl("DELETE", "/orders/7", &[]).problem(403, "denied");
    assert_eq!(shop.ledger(), "");
}

#[test]
fn rules_say_what_passes_without_gantral_and_what_goes_nowhere() {
    let mut shop = Shop::open(&["--rule", "refuse * /admin/**", "--rule", "pass GET,HEAD,POST /public/**"]);
    shop.world.kill_server();
    let got = shop.curl("POST", "/public/a?b=1", &["-H", "transfer-encoding: chunked", "-d", "some text"]);
    assert_eq!((got.status, &got.json()["body"]), (201, &json!("some text")));
    assert_eq!(shop.curl("HEAD", "/public", &["--head"]).status, 200);
    shop.curl("GET", "/admin/users", &[]).problem(403, "refused_by_rule");
    shop.curl("GET", "/elsewhere", &[]).problem(503, "gantral_unreachable");
    shop.curl("DELETE", "/public/a", &[]).problem(503, "gantral_unreachable");
    assert_eq!(shop.ledger(), "POST /public/a?b=1 some text\n");
}

#[test]
fn large_body_is_named_by_its_digest_and_sent_as_it_was() {
    let shop = Shop::open(&[]);
    let file = shop.world.path("large");
    std::fs::write(&file, vec![b'x'; 3 << 20]).unwrap();
    let data = format!("@{}", file.display());
    let client = shop.send("PUT", "/files/a", &["--data-binary", &data]);
    let shown = shop.world.run(&["approvals", "show", &shop.gate(), "--json"]).status(0).json();
    let parameters = &shown["action"]["parameters"];
    let summed = Command::new("sha256sum").arg(&file).output().unwrap();
    let digest = String::from_utf8(summed.stdout).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!((&parameters["body_sha256"], &parameters["body_bytes"]), (&json!(digest), &json!(3 << 20)));
    shop.approve();
    assert_eq!(got(client).status, 201);
    assert_eq!(shop.ledger(), "PUT /files/a 3145728 bytes\n");
}

#[test]
fn policy_is_told_what_was_chosen_and_the_idempotency_key_makes_another_call() {
    let parts = ["--attribute", "header:x-team", "--attribute", "query:dry", "--attribute", "body:/note"];
    let shop = Shop::open(&[&parts[..], &["--hold", "100ms"]].concat());
    let send = |key: &str| {
        let key = format!("idempotency-key: {key}");
        let headers = ["-H", "content-type: application/json", "-H", "x-team: payments", "-H", &key];
        shop.curl("POST", &format!("{PATH}?dry=1"), &[&headers[..], &["-d", REFUND]].concat())
    };
    let one = send("one").problem(202, "waiting_for_human");
    let other = send("other").problem(202, "waiting_for_human");
    assert_ne!(one["gate_id"], other["gate_id"]);
    let gate = one["gate_id"].as_str().unwrap();
    let shown = shop.world.run(&["approvals", "show", gate, "--json"]).status(0).json();
    let attributes = json!({"body:/note": "late", "header:idempotency-key": "one", "header:x-team": "payments", "query:dry": "1"});
    assert!(shown.to_string().contains(&attributes.to_string()), "{shown}");
    assert_eq!(shown["action"]["parameters"]["headers"]["x-team"], "payments");
    let chosen = ["proxy", "--upstream", "http://127.0.0.1:1", "--attribute", "header:authorization"];
    let refused = shop.world.run(&chosen).status(1);
    assert!(refused.talk.contains("carries a credential"), "{refused:?}");
}

#[test]
fn service_that_refuses_has_failed_and_a_gateway_that_does_not_know_leaves_it_open() {
    let shop = Shop::open(&["--rule", "ask POST /orders/{order}/refunds"]);
    shop.switch("status", "422");
    assert_eq!(shop.json("POST", PATH, r#"{"amount_minor":1}"#).status, 422);
    assert_eq!(shop.outcomes(1)[0]["status"], "FAILED");
    shop.switch("status", "504");
    assert_eq!(shop.json("POST", PATH, r#"{"amount_minor":2}"#).status, 504);
    assert_eq!(shop.outcomes(2)[0]["status"], "UNKNOWN");
    shop.json("POST", PATH, r#"{"amount_minor":2}"#).problem(409, "call_key_taken");
    assert_eq!(shop.ledger().lines().count(), 2);
}

#[test]
fn two_alike_that_policy_allows_are_two() {
    let shop = Shop::open(&[]);
    shop.switch("slow", "");
    let body = ["-H", "content-type: application/json", "-d", r#"{"amount_minor":1}"#];
    let one = shop.send("POST", PATH, &body);
    assert!(wait_until(|| shop.ledger().lines().count() == 1));
    let other = shop.send("POST", PATH, &body);
    shop.switch_off("slow");
    assert_eq!((got(one).status, got(other).status), (201, 201));
    assert_eq!(shop.ledger().lines().count(), 2);
}
