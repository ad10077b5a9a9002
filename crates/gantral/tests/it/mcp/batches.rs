//! The revision 2025-03-26, and its batches. No client at hand sends batches: these are written by the test.

use super::governed::listening;
use super::*;

const BEGINS: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"lines","version":"1"}}}"#;

/// Starts a client of this revision.
fn ready(command: &[String], folder: &Path) -> Lines {
    let mut client = Lines::start(command, folder);
    client.send(BEGINS);
    assert_eq!(client.answer("0")["result"]["protocolVersion"], "2025-03-26");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    client
}

fn request(id: u32, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

/// Returns the answer of a batch to one of its requests.
fn of(batch: &Value, id: u32) -> Value {
    let all = batch.as_array().unwrap_or_else(|| panic!("{batch}"));
    all.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("{batch}")).clone()
}

/// Writes a batch of all there is: a read, two writes, something that is not governed, a notification and a tool that is never called.
fn mixed(world: &World) -> Value {
    std::fs::create_dir_all(world.path("files")).unwrap();
    std::fs::write(world.path("files/a.txt"), "what is there").unwrap();
    let place = |name: &str| world.path("files").join(name).display().to_string();
    json!([
        request(1, "read_text_file", &json!({"path": place("a.txt")})),
        {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"},
        request(2, "write_file", &json!({"path": place("b.txt"), "content": "approved"})),
        request(3, "write_file", &json!({"path": place("c.txt"), "content": "rejected"})),
        {"jsonrpc": "2.0", "id": 4, "method": "ping"},
    ])
}

/// Approves the write of `b.txt` and rejects the other.
fn decide(world: &World) {
    for _ in 0..2 {
        let gate = gate_of_next(world);
        let approves = world.run(&["approvals", "show", &gate]).status(0).data.contains("b.txt");
        let decision = if approves { "approve" } else { "reject" };
        world.run(&["approvals", decision, &gate, "--reason", "it was looked at"]).status(0);
        let open = || {
            world.run(&["approvals", "ls", "--json"]).status(0).json()["items"][0]["gate_id"] != gate.as_str()
        };
        assert!(wait_until(open));
    }
}

fn check(world: &World, batch: &Value) {
    assert_eq!(of(batch, 1)["result"]["content"][0]["text"], "what is there", "{batch}");
    assert_eq!(of(batch, 2)["result"].get("isError"), None, "{batch}");
    assert_eq!(of(batch, 3)["result"]["structuredContent"]["code"], "rejected", "{batch}");
    assert_eq!(of(batch, 4)["result"], json!({}), "{batch}");
    assert_eq!(batch.as_array().unwrap().len(), 4, "{batch}");
    assert_eq!(world.text("files/b.txt"), "approved");
    assert!(!world.path("files/c.txt").exists());
}

fn filesystem(world: &World) -> Vec<String> {
    let folder = world.path("files").display().to_string();
    vec!["--name".into(), "filesystem".into(), "--".into(), node("mcp-server-filesystem"), folder]
}

#[test]
fn each_call_of_a_batch_is_governed_and_all_are_answered_in_one() {
    let world = world();
    let batch = mixed(&world);
    let words = filesystem(&world);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut client = ready(&interceptor(&world, &words), world.folder());
    client.send(&batch.to_string());
    decide(&world);
    let answers = loop {
        let said: Value = serde_json::from_str(&client.line()).unwrap();
        if said.is_array() {
            break said;
        }
        assert!(said.get("method").is_some(), "{said}");
    };
    check(&world, &answers);
    let outcomes = outcomes(&world, 2);
    assert!(outcomes.iter().all(|outcome| outcome["status"] == "SUCCEEDED"), "{outcomes:?}");
}

#[test]
fn batch_over_http_is_governed_as_well() {
    let world = world();
    let batch = mixed(&world);
    let words = filesystem(&world);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (_interceptor, url) = listening(&world, &words);
    let post = |more: &[&str], body: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-H", "Content-Type: application/json", "-d", body]).args(more).arg(&url);
        command.args(["-H", "Accept: application/json, text/event-stream"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let begun = post(&["-i"], BEGINS);
    let session =
        begun.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().trim().to_owned();
    let session = format!("Mcp-Session-Id: {session}");
    post(&["-H", &session], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let nothing = r#"[{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}]"#;
    assert_eq!(post(&["-H", &session, "-o", "/dev/null", "-w", "%{http_code}"], nothing), "202");
    let said = std::thread::scope(|scope| {
        let asked = scope.spawn(|| post(&["-H", &session], &batch.to_string()));
        decide(&world);
        asked.join().unwrap()
    });
    let data = said
        .lines()
        .map(|line| line.strip_prefix("data: ").unwrap_or(line))
        .find(|line| line.starts_with('['));
    check(&world, &serde_json::from_str(data.unwrap_or_else(|| panic!("{said}"))).unwrap());
}

#[test]
fn batch_of_a_revision_that_has_none_is_refused_if_it_holds_a_call() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "1"), world.folder());
    client.send(&json!([request(1, "transfer", &json!({"amount": 5, "to": "bob"}))]).to_string());
    let said: Value = serde_json::from_str(&client.line()).unwrap();
    assert_eq!((&said["error"]["code"], &said["id"]), (&json!(-32600), &Value::Null), "{said}");
    assert_eq!(world.run(&["approvals", "ls", "--json"]).status(0).json()["items"], json!([]));
    assert_eq!(world.text("ledger"), "");
}

#[test]
fn call_of_a_batch_that_is_cancelled_holds_up_no_other_answer_and_is_not_withdrawn() {
    let world = world();
    let mut client = ready(&before_pay(&world, "40"), world.folder());
    let batch = json!([request(1, "transfer", &json!({"amount": 5, "to": "bob"})), {"jsonrpc": "2.0", "id": 2, "method": "ping"}]);
    client.send(&batch.to_string());
    gate_of_next(&world);
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    let said: Value = serde_json::from_str(&client.line()).unwrap();
    assert_eq!(said, json!([{"jsonrpc": "2.0", "id": 2, "result": {}}]));
    approve_next(&world);
    assert!(wait_until(|| world.text("ledger") == "5 EUR to bob\n"));
}
