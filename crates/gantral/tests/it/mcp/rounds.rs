//! A client of the revision without a handshake is told to come again, with a state that is good for one call, one agent and one time.

use super::governed::{by_command, listening};
use super::*;

const TRANSFER: &str = "5 EUR to bob\n";

fn transfer() -> Value {
    json!([["transfer", {"amount": 5, "to": "bob"}]])
}

/// Returns the metadata of a request of this revision.
fn meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "lines", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    })
}

/// Sends a call, with what else there is.
fn call(client: &mut Lines, id: u32, amount: u32, more: &Value) -> Value {
    let mut params =
        json!({"name": "transfer", "arguments": {"amount": amount, "to": "bob"}, "_meta": meta(&json!({}))});
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string());
    client.answer(&id.to_string())["result"].clone()
}

fn state_of(result: &Value) -> Value {
    assert_eq!(result["resultType"], "input_required", "{result}");
    let state = result["requestState"].as_str().unwrap();
    assert!(state.starts_with("gantral1."), "{state}");
    json!({"requestState": state})
}

/// Comes again until there is a result; returns the last state that was brought, and that.
fn until_done(client: &mut Lines, mut id: u32, state: &Value) -> (Value, Value) {
    let mut state = state.clone();
    loop {
        let result = call(client, id, 5, &state);
        if result["resultType"] != "input_required" {
            return (state, result);
        }
        state = state_of(&result);
        id += 1;
    }
}

fn refused(result: &Value, code: &str) {
    assert_eq!(result["structuredContent"]["code"], code, "{result}");
    assert_eq!((&result["isError"], &result["structuredContent"]["executed"]), (&json!(true), &json!(false)));
}

#[test]
fn client_that_others_wrote_comes_again_until_a_human_has_approved() {
    let world = world();
    let ledger = world.path("ledger").display().to_string();
    let words = ["--name", "pay", "--hold", "1", "--", &interpreter(), "-B", &ours("pay.py"), &ledger];
    let (_interceptor, url) = listening(&world, &words);
    for asked in [by_command(&before_pay(&world, "1"), &transfer()), json!({"url": url, "calls": transfer()})]
    {
        std::fs::write(world.path("ledger"), "").unwrap();
        let said = python_client(&asked, world.folder(), || {
            gate_of_next(&world);
            std::thread::sleep(std::time::Duration::from_millis(1500));
            approve_next(&world);
        });
        assert_eq!(said[0]["version"], "2026-07-28", "{said:?}");
        assert_eq!(said.last().unwrap()["text"], "5 EUR to bob", "{said:?}");
        assert_eq!(world.text("ledger"), TRANSFER);
    }
    assert!(outcomes(&world, 2).iter().all(|outcome| outcome["status"] == "SUCCEEDED"));
}

#[test]
fn person_at_a_client_is_led_to_the_console_and_decides_nothing_there() {
    let world = world();
    let mut asked = by_command(&before_pay(&world, "1"), &transfer());
    asked["elicits"] = "accept".into();
    let said = python_client(&asked, world.folder(), || {
        approve_next(&world);
    });
    let led = said.iter().find(|line| line["elicit"] == "url").unwrap_or_else(|| panic!("{said:?}"));
    assert!(led["url"].as_str().unwrap().starts_with(world.url()), "{led}");
    assert!(led["message"].as_str().unwrap().contains("RISK_OFFICER"), "{led}");
    assert_eq!(said.last().unwrap()["text"], "5 EUR to bob", "{said:?}");
    // Who declines has withdrawn nothing, and approved nothing.
    asked["calls"] = json!([["transfer", {"amount": 6, "to": "bob"}]]);
    asked["elicits"] = "decline".into();
    let said = python_client(&asked, world.folder(), || {});
    assert_eq!(said.last().unwrap()["structured"]["status"], "WAITING_FOR_HUMAN", "{said:?}");
    assert_eq!(world.text("ledger"), TRANSFER);
    let mut client = Lines::start(&before_pay(&world, "1"), world.folder());
    approve_next(&world);
    assert!(wait_until(|| world.text("ledger").contains("6 EUR")));
    client.input.take();
}

#[test]
fn client_that_came_often_is_given_a_result_that_says_that_it_waits() {
    let world = world();
    let mut client = Lines::start(&before_pay(&world, "1"), world.folder());
    let mut result = call(&mut client, 1, 5, &json!({}));
    let mut rounds = 0;
    while result["resultType"] == "input_required" {
        rounds += 1;
        result = call(&mut client, rounds + 1, 5, &state_of(&result));
    }
    assert_eq!(rounds, 6, "{result}");
    assert_eq!(result["structuredContent"]["status"], "WAITING_FOR_HUMAN", "{result}");
    assert_eq!(result["resultType"], "complete");
}

#[test]
fn state_that_is_forged_altered_or_of_another_call_is_refused_and_written_down() {
    let world = world();
    let mut client = Lines::start(&before_pay(&world, "1"), world.folder());
    let state = state_of(&call(&mut client, 1, 5, &json!({})));
    let altered = format!("{}A", state["requestState"].as_str().unwrap());
    refused(&call(&mut client, 2, 5, &json!({"requestState": "gantral1.AAAA"})), "state_forged");
    refused(&call(&mut client, 3, 5, &json!({"requestState": altered})), "state_forged");
    // One argument is another one: the state is good for what was asked.
    refused(&call(&mut client, 4, 500, &state), "state_foreign");
    // Another interceptor has other keys.
    let mut elsewhere = before_pay(&world, "1");
    let spool = elsewhere.iter().position(|word| word == "--spool").unwrap();
    elsewhere[spool + 1] = world.path("spool-of-another").display().to_string();
    let mut other = Lines::start(&elsewhere, world.folder());
    refused(&call(&mut other, 5, 5, &state), "state_forged");
    let written = world.text("spool/refused.jsonl");
    let codes: Vec<_> = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["state_forged", "state_forged", "state_foreign"]);
    // Nobody was asked for any of these, and the call itself waits as before.
    let open = world.run(&["approvals", "ls", "--json"]).status(0).json();
    assert_eq!(open["items"].as_array().unwrap().len(), 1, "{open}");
    approve_next(&world);
    let (_, result) = until_done(&mut client, 6, &state);
    assert_eq!(result["content"][0]["text"], "5 EUR to bob", "{result}");
    assert_eq!(world.text("ledger"), TRANSFER);
}

#[test]
fn state_is_taken_once_also_by_two_who_bring_it_at_a_time_and_after_a_crash() {
    let world = world();
    let command = before_pay(&world, "1");
    let mut client = Lines::start(&command, world.folder());
    let first = state_of(&call(&mut client, 1, 5, &json!({})));
    let second = state_of(&call(&mut client, 2, 5, &first));
    refused(&call(&mut client, 3, 5, &first), "state_spent");
    client.child.kill();
    let mut client = Lines::start(&command, world.folder());
    refused(&call(&mut client, 4, 5, &first), "state_spent");
    // The one that was not taken is good in the next process too; of two at a time one is taken.
    for id in [5, 6] {
        let mut params =
            json!({"name": "transfer", "arguments": {"amount": 5, "to": "bob"}, "_meta": meta(&json!({}))});
        params["requestState"] = second["requestState"].clone();
        client
            .send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string());
    }
    let answers: Vec<Value> = (0..2).map(|_| serde_json::from_str(&client.line()).unwrap()).collect();
    let spent =
        answers.iter().filter(|answer| answer["result"]["structuredContent"]["code"] == "state_spent");
    assert_eq!(spent.count(), 1, "{answers:?}");
    let third = answers.iter().find(|answer| answer["result"]["resultType"] == "input_required").unwrap();
    approve_next(&world);
    let third = state_of(&third["result"]);
    let (last, result) = until_done(&mut client, 7, &third);
    assert_eq!(result["content"][0]["text"], "5 EUR to bob", "{result}");
    // Its call is over: nothing runs again.
    refused(&call(&mut client, 20, 5, &last), "state_spent");
    assert_eq!(world.text("ledger"), TRANSFER);
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}

#[test]
fn keys_of_states_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = world();
    let mut client = Lines::start(&before_pay(&world, "1"), world.folder());
    state_of(&call(&mut client, 1, 5, &json!({})));
    let mode = std::fs::metadata(world.path("spool/states.keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
