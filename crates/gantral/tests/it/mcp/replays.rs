//! What was granted once is of no use a second time, to nobody else, and for nothing else.

use super::*;

const TRANSFER: &str = "5 EUR to bob\n";

/// Sends a request to Gantral with the token of the interceptor; returns the code of the refusal.
fn refused(world: &World, path: &str, body: &str) -> String {
    let token = world.text(".gantral-dev/tokens/dev-gate.token");
    let output = Command::new("curl")
        .args(["-sS", "-H", &format!("Authorization: Bearer {}", token.trim())])
        .args(["-H", "Content-Type: application/json", "-H", &format!("Idempotency-Key: again-{path}")])
        .args(["--data", body, &format!("{}/v1/calls/{path}", world.url())])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn grant_that_was_used_is_refused_to_whoever_brings_it_and_the_refusal_is_written_down() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    client.call("1", "transfer", json!({"amount": 5, "to": "bob"}));
    let gate = approve_next(&world);
    assert_eq!(client.answer("1")["result"]["content"][0]["text"], "5 EUR to bob");
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
    let all = world.run(&["instances", "ls", "--json"]).status(0).json();
    let id = all["items"][0]["instance_id"].as_str().unwrap().to_owned();
    let before = world.instance(&id)["head"].clone();
    // It is not begun again, and what came of it is not said anew.
    for (path, body, code) in [
        ("take", "{}", "instance_ended"),
        ("settle", r#"{"status":"FAILED"}"#, "instance_ended"),
        ("heartbeat", "{}", "lease_lost"),
    ] {
        assert_eq!(refused(&world, &format!("{id}/{path}"), body), code, "{path}");
        let written = world.text("server.log");
        let line = written.lines().find(|line| line.contains(path) && line.contains(code));
        assert!(line.is_some(), "{path} {code}: {written}");
    }
    // The gate says nothing to the session that it was, since its result was read, nor to another one.
    let mut elsewhere = before_pay(&world, "1");
    let spool = elsewhere.iter().position(|word| word == "--spool").unwrap();
    elsewhere[spool + 1] = world.path("spool-of-another").display().to_string();
    let mut other = Lines::ready(&elsewhere, world.folder());
    for (client, tool) in [(&mut client, "gantral_result"), (&mut other, "gantral_result")] {
        client.call("2", tool, json!({"gate_id": gate}));
        let told = client.answer("2");
        assert_eq!(told["result"]["structuredContent"]["code"], "call_unknown", "{told}");
    }
    assert_eq!(world.text("ledger"), TRANSFER);
    assert_eq!(world.instance(&id)["head"], before);
    let verdict = world.verified(&id, "replayed.gantral").status(0).json();
    assert_eq!(verdict["verdict"], "VALID", "{verdict}");
}

#[test]
fn gate_of_a_call_that_waits_is_of_no_use_in_another_session() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "1"), world.folder());
    client.call("1", "transfer", json!({"amount": 5, "to": "bob"}));
    let waits = client.answer("1")["result"]["structuredContent"].clone();
    let gate = waits["gate_id"].as_str().unwrap().to_owned();
    let mut elsewhere = before_pay(&world, "1");
    let spool = elsewhere.iter().position(|word| word == "--spool").unwrap();
    elsewhere[spool + 1] = world.path("spool-of-another").display().to_string();
    let mut other = Lines::ready(&elsewhere, world.folder());
    for (id, tool) in [("1", "gantral_wait"), ("2", "gantral_result")] {
        other.call(id, tool, json!({"gate_id": gate}));
        let told = other.answer(id);
        assert_eq!(told["result"]["structuredContent"]["code"], "call_unknown", "{told}");
    }
    // One argument more of what was approved: it is another call, and asks.
    assert_eq!(approve_next(&world), gate);
    client.call("2", "transfer", json!({"amount": 500, "to": "bob"}));
    let told = client.answer("2")["result"]["structuredContent"].clone();
    assert_eq!(told["status"], "WAITING_FOR_HUMAN", "{told}");
    assert_ne!(told["gate_id"], gate.as_str());
    assert!(wait_until(|| world.text("ledger") == TRANSFER), "{}", world.text("ledger"));
}

#[test]
fn retries_that_race_carry_the_call_out_once() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    let ids = ["1", "2", "3", "4"];
    for id in ids {
        client.call(id, "transfer", json!({"amount": 5, "to": "bob"}));
    }
    approve_next(&world);
    let said: Vec<Value> = ids.iter().map(|_| serde_json::from_str(&client.line()).unwrap()).collect();
    let done = said.iter().filter(|answer| answer["result"]["content"][0]["text"] == "5 EUR to bob");
    assert!(done.count() >= 1, "{said:?}");
    assert_eq!(world.text("ledger"), TRANSFER);
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}
