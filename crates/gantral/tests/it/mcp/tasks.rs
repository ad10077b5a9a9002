//! A client that takes tasks holds one in place of the result, looks how far it is, and may take the call back.

use super::governed::by_command;
use super::governed::listening;
use super::*;

const DECLARES: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"tasks":{}},"clientInfo":{"name":"lines","version":"1"}}}"#;

/// Starts a client that declares tasks; returns what it was told of the server.
fn declares(command: &[String], folder: &Path) -> (Lines, Value) {
    let mut client = Lines::start(command, folder);
    client.send(DECLARES);
    let told = client.answer("0")["result"].clone();
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    (client, told)
}

fn ask(client: &mut Lines, id: &str, method: &str, params: &Value) -> Value {
    client.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
    client.answer(&format!("\"{id}\""))
}

fn task_of(client: &mut Lines, id: &str, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments, "task": {"ttl": 60000}});
    ask(client, id, "tools/call", &params)["result"]["task"].clone()
}

fn transfer(client: &mut Lines, id: &str) -> String {
    let task = task_of(client, id, "transfer", json!({"amount": 5, "to": "bob"}));
    assert_eq!(task["status"], "working", "{task}");
    let message = task["statusMessage"].as_str().unwrap();
    assert!(message.contains("approval by RISK_OFFICER until 2"), "{message}");
    assert!(message.contains("http://127.0.0.1"), "{message}");
    task["taskId"].as_str().unwrap().to_owned()
}

/// Runs the client in TypeScript; `work` happens while it waits.
fn typescript(command: &[String], tool: &str, arguments: &Value, work: impl FnOnce()) -> Vec<Value> {
    let sdk = part("mcp-node/node_modules/@modelcontextprotocol/sdk/dist/esm").display().to_string();
    let asked = json!({"sdk": sdk, "command": command, "tool": tool, "arguments": arguments});
    let child = Command::new("node")
        .args([&ours("tasks.mjs"), &asked.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    work();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn client_that_others_wrote_holds_a_task_until_a_human_has_approved() {
    let world = world();
    let said = typescript(&before_pay(&world, "1"), "transfer", &json!({"amount": 5, "to": "bob"}), || {
        let gate = gate_of_next(&world);
        assert_eq!(world.text("ledger"), "");
        world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]).status(0);
    });
    assert!(said[0]["tools"].as_array().unwrap().contains(&json!(["transfer", "optional"])), "{said:?}");
    assert_eq!(said[1]["type"], "taskCreated", "{said:?}");
    let task = said[1]["task"]["taskId"].as_str().unwrap();
    let result = said.iter().find(|line| line["type"] == "result").unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(result["result"]["content"][0]["text"], "5 EUR to bob");
    assert_eq!(said.last().unwrap()["listed"], json!([[task, "completed"]]));
    assert_eq!(world.text("ledger"), "5 EUR to bob\n");
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}

#[test]
fn call_that_is_allowed_comes_as_a_task_to_who_asked_for_one() {
    let world = world();
    let words = ["--name", "time", "--", &part("mcp/bin/mcp-server-time").display().to_string()];
    let said =
        typescript(&interceptor(&world, &words), "get_current_time", &json!({"timezone": "UTC"}), || {});
    let result = said.iter().find(|line| line["type"] == "result").unwrap_or_else(|| panic!("{said:?}"));
    assert!(result["result"]["content"][0]["text"].as_str().unwrap().contains("UTC"), "{said:?}");
}

#[test]
fn tool_that_is_only_a_task_runs_after_approval_and_its_result_is_the_outcome() {
    let world = world();
    let words = ["--name", "everything", "--", &node("mcp-server-everything")];
    let arguments = json!({"topic": "fences"});
    let said = typescript(&interceptor(&world, &words), "simulate-research-query", &arguments, || {
        approve_next(&world);
    });
    assert!(said[0]["tools"].as_array().unwrap().contains(&json!(["simulate-research-query", "required"])));
    assert!(said[1]["task"]["taskId"].as_str().unwrap().starts_with("gantral-task-"), "{said:?}");
    let result = said.iter().find(|line| line["type"] == "result").unwrap_or_else(|| panic!("{said:?}"));
    assert!(result["result"]["content"][0]["text"].as_str().unwrap().contains("fences"), "{said:?}");
    let outcomes = outcomes(&world, 1);
    assert_eq!(outcomes[0]["status"], "SUCCEEDED");
}

#[test]
fn tasks_of_the_server_pass_unharmed_and_are_listed_beside_ours() {
    // Who may call it without a human gets the task of the server.
    let world = world_where_passes("simulate-research-query");
    let words = ["--name", "everything", "--", &node("mcp-server-everything")];
    let (mut client, told) = declares(&interceptor(&world, &words), world.folder());
    assert_eq!(told["capabilities"]["tasks"]["requests"]["tools"]["call"], json!({}), "{told}");
    let theirs = task_of(&mut client, "a", "simulate-research-query", json!({"topic": "walls"}));
    let theirs = theirs["taskId"].as_str().unwrap().to_owned();
    assert!(!theirs.starts_with("gantral"), "{theirs}");
    let ours = task_of(&mut client, "b", "toggle-simulated-logging", json!({}));
    let ours = ours["taskId"].as_str().unwrap().to_owned();
    let listed = ask(&mut client, "c", "tasks/list", &json!({}));
    let ids: Vec<_> = listed["result"]["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["taskId"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&theirs.as_str()) && ids.contains(&ours.as_str()), "{listed}");
    let result = ask(&mut client, "d", "tasks/result", &json!({"taskId": theirs}));
    assert!(result["result"]["content"][0]["text"].as_str().unwrap().contains("walls"), "{result}");
    assert_eq!(result["result"]["_meta"]["io.modelcontextprotocol/related-task"]["taskId"], theirs);
    let cancelled = ask(&mut client, "e", "tasks/cancel", &json!({"taskId": ours}));
    assert_eq!(cancelled["result"]["status"], "cancelled", "{cancelled}");
}

#[test]
fn task_that_is_cancelled_withdraws_its_call_and_nothing_runs() {
    let world = world();
    let (mut client, told) = declares(&before_pay(&world, "1"), world.folder());
    assert_eq!(told["capabilities"]["tasks"]["cancel"], json!({}), "{told}");
    let task = transfer(&mut client, "a");
    // Asking for the same joins it.
    assert_eq!(transfer(&mut client, "b"), task);
    let gate = gate_of_next(&world);
    let cancelled = ask(&mut client, "c", "tasks/cancel", &json!({"taskId": task}));
    assert_eq!(cancelled["result"]["status"], "cancelled", "{cancelled}");
    let late = world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]);
    assert_ne!(late.status, 0, "{}", late.data);
    let result = ask(&mut client, "d", "tasks/result", &json!({"taskId": task}));
    assert_eq!(result["result"]["structuredContent"]["code"], "withdrawn", "{result}");
    let again = ask(&mut client, "e", "tasks/cancel", &json!({"taskId": task}));
    assert_eq!(again["error"]["code"], -32602, "{again}");
    // The same call is a new one.
    assert_ne!(transfer(&mut client, "f"), task);
    assert_eq!(world.text("ledger"), "");
}

#[test]
fn rejection_ends_the_task_and_its_result_says_so() {
    let world = world();
    let (mut client, _) = declares(&before_pay(&world, "1"), world.folder());
    let task = transfer(&mut client, "a");
    let gate = gate_of_next(&world);
    world.run(&["approvals", "reject", &gate, "--reason", "not owed"]).status(0);
    let result = ask(&mut client, "b", "tasks/result", &json!({"taskId": task}));
    assert_eq!(result["result"]["isError"], true, "{result}");
    assert_eq!(result["result"]["structuredContent"]["code"], "rejected");
    assert_eq!(result["result"]["_meta"]["io.modelcontextprotocol/related-task"]["taskId"], task);
    let looked = ask(&mut client, "c", "tasks/get", &json!({"taskId": task}));
    assert_eq!(looked["result"]["status"], "failed", "{looked}");
    assert_eq!(world.text("ledger"), "");
}

#[test]
fn task_is_found_after_the_interceptor_was_killed_and_its_call_runs_once() {
    let world = world();
    let command = before_pay(&world, "1");
    let (mut client, _) = declares(&command, world.folder());
    let task = transfer(&mut client, "a");
    client.child.kill();
    approve_next(&world);
    assert_eq!(world.text("ledger"), "");
    let (mut client, _) = declares(&command, world.folder());
    let result = ask(&mut client, "a", "tasks/result", &json!({"taskId": task}));
    assert_eq!(result["result"]["content"][0]["text"], "5 EUR to bob", "{result}");
    client.child.kill();
    // Its result has been read, and can be read again.
    let (mut client, _) = declares(&command, world.folder());
    let result = ask(&mut client, "a", "tasks/result", &json!({"taskId": task}));
    assert_eq!(result["result"]["content"][0]["text"], "5 EUR to bob", "{result}");
    let listed = ask(&mut client, "b", "tasks/list", &json!({}));
    assert_eq!(listed["result"]["tasks"][0]["taskId"], task, "{listed}");
    assert_eq!(world.text("ledger"), "5 EUR to bob\n");
}

#[test]
fn task_that_is_none_of_ours_or_never_was_is_an_error_and_reaches_nobody() {
    let world = world();
    let (mut client, _) = declares(&before_pay(&world, "1"), world.folder());
    for task in ["gantral-task-00000000000000000000000000000000", "gantral-task-../../session"] {
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let answer = ask(&mut client, "a", method, &json!({"taskId": task}));
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
        }
    }
    let listed = ask(&mut client, "b", "tasks/list", &json!({"cursor": "gantral:x"}));
    assert_eq!(listed["error"]["code"], -32602, "{listed}");
}

#[test]
fn client_that_declares_no_tasks_is_told_of_none() {
    let world = world();
    let command = before_pay(&world, "1");
    let mut client = Lines::start(&command, world.folder());
    client.send(INITIALIZE);
    assert_eq!(client.answer("0")["result"]["capabilities"].get("tasks"), None);
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(!client.answer_line("1").contains("taskSupport"));
}

#[test]
fn extension_of_the_revision_without_a_handshake_is_spoken_over_both_connections() {
    let world = world();
    let transfer = json!([["balance", {}], ["transfer", {"amount": 5, "to": "bob"}]]);
    let check = |asked: &Value| {
        std::fs::write(world.path("ledger"), "").unwrap();
        let said = python("extension.py", asked, world.folder(), || {
            approve_next(&world);
            approve_next(&world);
        });
        assert_eq!(said[0]["version"], "2026-07-28", "{said:?}");
        let task = said.iter().find(|line| line["status"] == "working").unwrap();
        assert!(
            task["message"].as_str().unwrap().contains("Waiting for approval by RISK_OFFICER"),
            "{said:?}"
        );
        assert_eq!(said.last().unwrap()["text"], "5 EUR to bob", "{said:?}");
        assert_eq!(world.text("ledger"), "5 EUR to bob\n");
    };
    check(&by_command(&before_pay(&world, "1"), &transfer));
    let ledger = world.path("ledger").display().to_string();
    let (_interceptor, url) =
        listening(&world, &["--name", "pay", "--", &interpreter(), "-B", &ours("pay.py"), &ledger]);
    check(&json!({"url": url, "calls": transfer}));
}

#[test]
fn task_of_the_extension_is_told_only_to_who_declares_it() {
    let world = world();
    let mut client = Lines::start(&before_pay(&world, "1"), world.folder());
    let meta = |capabilities: Value| json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": "lines", "version": "1"}, "io.modelcontextprotocol/clientCapabilities": capabilities});
    let declares = meta(json!({"extensions": {"io.modelcontextprotocol/tasks": {}}}));
    let found = ask(&mut client, "a", "server/discover", &json!({"_meta": declares}));
    assert_eq!(
        found["result"]["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"],
        json!({}),
        "{found}"
    );
    let params = json!({"name": "transfer", "arguments": {"amount": 5, "to": "bob"}, "_meta": declares});
    let created = ask(&mut client, "b", "tools/call", &params)["result"].clone();
    assert_eq!((&created["resultType"], &created["ttlMs"]), (&json!("task"), &Value::Null), "{created}");
    let task = created["taskId"].as_str().unwrap();
    let silent = ask(&mut client, "c", "tasks/get", &json!({"taskId": task, "_meta": meta(json!({}))}));
    assert_eq!(silent["error"]["code"], -32021, "{silent}");
    let updated = ask(
        &mut client,
        "d",
        "tasks/update",
        &json!({"taskId": task, "inputResponses": {}, "_meta": declares}),
    );
    assert_eq!(updated["result"], json!({"resultType": "complete"}), "{updated}");
    let cancelled = ask(&mut client, "e", "tasks/cancel", &json!({"taskId": task, "_meta": declares}));
    assert_eq!(cancelled["result"], json!({"resultType": "complete"}), "{cancelled}");
    let looked = ask(&mut client, "f", "tasks/get", &json!({"taskId": task, "_meta": declares}));
    assert_eq!(looked["result"]["status"], "cancelled", "{looked}");
    assert_eq!(world.text("ledger"), "");
}
