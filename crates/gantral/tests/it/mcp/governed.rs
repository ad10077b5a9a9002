//! Calls of tools: allowed, waiting, denied, and over each kind of connection.

use super::*;

/// Describes a client that starts the interceptor.
pub fn by_command(command: &[String], calls: &Value) -> Value {
    json!({"command": command, "env": {"PATH": std::env::var("PATH").unwrap()}, "calls": calls})
}

#[test]
fn read_is_done_at_once_and_a_write_waits_is_approved_and_happens_once() {
    let world = world();
    std::fs::create_dir(world.path("files")).unwrap();
    std::fs::write(world.path("files/a.txt"), "what is there").unwrap();
    let place = |name: &str| world.path("files").join(name).display().to_string();
    let words = [
        "--name",
        "filesystem",
        "--",
        &node("mcp-server-filesystem"),
        &world.path("files").display().to_string(),
    ];
    let calls = json!([
        ["read_text_file", {"path": place("a.txt")}],
        ["write_file", {"path": place("b.txt"), "content": "once"}],
    ]);
    let said = python_client(&by_command(&interceptor(&world, &words), &calls), world.folder(), || {
        let gate = gate_of_next(&world);
        assert!(!world.path("files/b.txt").exists());
        let shown = world.run(&["approvals", "show", &gate]).status(0).data;
        assert!(shown.contains("filesystem/write_file") && shown.contains(&place("b.txt")), "{shown}");
        world.run(&["approvals", "approve", &gate, "--reason", "it is wanted"]).status(0);
    });
    assert_eq!(said[1]["text"], "what is there");
    assert_eq!(said.last().unwrap()["error"], false, "{said:?}");
    assert_eq!(world.text("files/b.txt"), "once");
    let outcomes = outcomes(&world, 2);
    assert!(outcomes.iter().all(|outcome| outcome["status"] == "SUCCEEDED"), "{outcomes:?}");
    let all = world.run(&["instances", "ls", "--json"]).status(0).json();
    for item in all["items"].as_array().unwrap() {
        let id = item["instance_id"].as_str().unwrap();
        let verdict = world.verified(id, &format!("{id}.gantral")).status(0).json();
        assert_eq!(verdict["verdict"], "VALID", "{verdict}");
    }
}

#[test]
fn denied_call_reaches_the_model_as_a_result_that_says_so() {
    let world = world();
    let words = ["--name", "memory", "--", &node("mcp-server-memory")];
    let calls = json!([["delete_entities", {"entityNames": ["x"]}]]);
    let said = python_client(&by_command(&interceptor(&world, &words), &calls), world.folder(), || {});
    let result = &said[1];
    assert_eq!((&result["error"], &result["structured"]["status"]), (&json!(true), &json!("DENIED")));
    assert_eq!(result["structured"]["retry"], false);
    let text = result["text"].as_str().unwrap();
    assert!(
        text.contains("delete_entities of memory is never done by an agent") && text.contains("Do not retry"),
        "{text}"
    );
}

#[test]
fn call_that_waits_longer_than_the_hold_is_kept_joined_and_its_result_read_once() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "1"), world.folder());
    let transfer = json!({"amount": 5, "to": "bob"});
    client.call("1", "transfer", transfer.clone());
    let waits = client.answer("1")["result"].clone();
    assert_eq!(waits["structuredContent"]["status"], "WAITING_FOR_HUMAN", "{waits}");
    assert_eq!(waits["structuredContent"]["executed"], false);
    let gate = waits["structuredContent"]["gate_id"].as_str().unwrap().to_owned();
    // The same call joins; other arguments are another call, and defaults that are written out are not.
    client.call("2", "transfer", json!({"to": "bob", "currency": "EUR", "amount": 5}));
    assert_eq!(client.answer("2")["result"]["structuredContent"]["gate_id"], gate.as_str());
    client.call("3", "gantral_result", json!({"gate_id": gate}));
    assert_eq!(client.answer("3")["result"]["structuredContent"]["status"], "WAITING_FOR_HUMAN");
    assert_eq!(approve_next(&world), gate);
    client.call("4", "gantral_wait", json!({"gate_id": gate, "seconds": 40}));
    let done = client.answer("4");
    assert_eq!(done["result"]["content"][0]["text"], "5 EUR to bob", "{done}");
    assert_eq!(world.text("ledger"), "5 EUR to bob\n");
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
    // It has been read: the same call is a new one, and asks again.
    client.call("5", "gantral_result", json!({"gate_id": gate}));
    assert_eq!(client.answer("5")["result"]["structuredContent"]["code"], "call_unknown");
    client.call("6", "transfer", transfer);
    assert_ne!(client.answer("6")["result"]["structuredContent"]["gate_id"], gate.as_str());
    assert_eq!(world.text("ledger"), "5 EUR to bob\n");
}

#[test]
fn human_changes_the_arguments_and_the_server_gets_those() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    client.call("1", "transfer", json!({"amount": 4800, "to": "bob"}));
    let gate = gate_of_next(&world);
    let change = r#"arguments={"amount":480,"to":"bob","currency":"EUR"}"#;
    world.run(&["approvals", "override", &gate, "--set", change, "--reason", "one month is owed"]).status(0);
    assert_eq!(client.answer("1")["result"]["content"][0]["text"], "480 EUR to bob");
    assert_eq!(world.text("ledger"), "480 EUR to bob\n");
}

#[test]
fn result_that_looks_like_a_secret_reaches_the_client_and_is_reported_by_its_digest() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    client.call("1", "token", json!({}));
    approve_next(&world);
    let answer = client.answer("1");
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().starts_with("ghp_"), "{answer}");
    let outcomes = outcomes(&world, 1);
    assert_eq!(outcomes[0]["status"], "SUCCEEDED");
    assert!(!outcomes[0].to_string().contains("ghp_"), "{outcomes:?}");
}

#[test]
fn rejection_is_told_and_nothing_happens() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    client.call("1", "transfer", json!({"amount": 5, "to": "bob"}));
    let gate = gate_of_next(&world);
    world.run(&["approvals", "reject", &gate, "--reason", "not owed"]).status(0);
    let answer = client.answer("1");
    assert_eq!(answer["result"]["structuredContent"]["code"], "rejected", "{answer}");
    assert_eq!(answer["result"]["isError"], true);
    assert_eq!(world.text("ledger"), "");
}

#[test]
fn client_that_waits_is_told_of_progress_and_one_that_cancels_has_withdrawn_nothing() {
    let world = world();
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    let params = json!({"name": "transfer", "arguments": {"amount": 5, "to": "bob"}, "_meta": {"progressToken": "p-1"}});
    client.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#));
    let told: Value = serde_json::from_str(&client.line()).unwrap();
    assert_eq!(
        (&told["method"], &told["params"]["progressToken"]),
        (&json!("notifications/progress"), &json!("p-1"))
    );
    client.send(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"bored"}}"#,
    );
    let gate = approve_next(&world);
    client.call("2", "gantral_wait", json!({"gate_id": gate, "seconds": 40}));
    assert_eq!(client.answer("2")["result"]["content"][0]["text"], "5 EUR to bob");
    assert_eq!(world.text("ledger"), "5 EUR to bob\n");
}

#[test]
fn without_gantral_nothing_governed_runs_and_everything_else_does() {
    let mut world = world();
    let mut client = Lines::ready(&before_pay(&world, "5"), world.folder());
    client.call("1", "balance", json!({}));
    gate_of_next(&world);
    world.kill_server();
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    assert!(client.answer("2")["result"]["tools"].is_array());
    client.call("3", "transfer", json!({"amount": 5, "to": "bob"}));
    let answer = client.answer("3");
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(answer["result"]["structuredContent"]["executed"], false, "{answer}");
    assert_eq!(world.text("ledger"), "");
}

/// Starts an interceptor that listens, and returns its address.
pub fn listening(world: &World, words: &[&str]) -> (Killed, String) {
    let arguments = [&["--json", "--listen", "127.0.0.1:0"][..], words].concat();
    let command = interceptor(world, &arguments);
    let mut process = gantral(world.folder());
    process.args(&command[1..]);
    start(process, &world.path("mcp.log"))
}

/// Starts a server over HTTP that others wrote, on this machine only.
pub fn everything_over_http(world: &World) -> (Killed, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = std::fs::File::create(world.path("everything.log")).unwrap();
    let child = Command::new("node")
        .args(["--import", &ours("loopback.mjs"), &node("mcp-server-everything"), "streamableHttp"])
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Killed::of(child);
    assert!(wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
    (server, format!("http://127.0.0.1:{port}/mcp"))
}

#[test]
fn every_pair_of_connections_serves_a_client_that_others_wrote() {
    let world = world();
    let (_server, url) = everything_over_http(&world);
    let everything = node("mcp-server-everything");
    let echo =
        json!([["echo", {"message": "hi"}], ["echo", {"message": "hi"}], ["get-sum", {"a": 2, "b": 3}]]);
    let good = |said: &[Value]| {
        assert!(said[0]["tools"].as_array().unwrap().contains(&json!("gantral_wait")), "{said:?}");
        let texts: Vec<_> = said.iter().filter_map(|line| line["text"].as_str()).collect();
        assert_eq!(texts[..2], ["Echo: hi", "Echo: hi"], "{said:?}");
        assert!(texts[2].contains('5'), "{said:?}");
    };
    let over = |words: &[&str]| by_command(&interceptor(&world, words), &echo);
    good(&python_client(&over(&["--name", "everything", "--", &everything]), world.folder(), || {}));
    good(&python_client(&over(&["--name", "everything", "--upstream", &url]), world.folder(), || {}));
    for words in
        [&["--name", "everything", "--", &everything][..], &["--name", "everything", "--upstream", &url]]
    {
        let (_interceptor, listens) = listening(&world, words);
        good(&python_client(&json!({"url": listens, "calls": echo}), world.folder(), || {}));
    }
}

#[test]
fn revision_without_a_handshake_is_spoken_over_both_connections() {
    let world = world();
    let time = part("mcp/bin/mcp-server-time").display().to_string();
    let words = ["--name", "time", "--", &time];
    let calls = json!([["get_current_time", {"timezone": "UTC"}], ["get_current_time", {"timezone": "UTC"}]]);
    let good = |said: &[Value]| {
        assert_eq!(said[0]["version"], "2026-07-28", "{said:?}");
        assert!(
            said[1..].iter().filter(|line| line.get("text").is_some()).all(|line| line["error"] == false),
            "{said:?}"
        );
        assert_eq!(said.iter().filter(|line| line.get("text").is_some()).count(), 2, "{said:?}");
    };
    good(&python_client(&by_command(&interceptor(&world, &words), &calls), world.folder(), || {}));
    let (_interceptor, url) = listening(&world, &words);
    good(&python_client(&json!({"url": url, "calls": calls}), world.folder(), || {}));
    // Two that share the conversation have the same ids, and get their own answers.
    let other = json!({"url": url, "calls": [["convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}]]});
    let mut said = Vec::new();
    good(&python_client(&json!({"url": url, "calls": calls}), world.folder(), || {
        said = python_client(&other, world.folder(), || {});
    }));
    assert!(said[1]["text"].as_str().unwrap().contains("21:00"), "{said:?}");
}

#[test]
fn inspector_calls_through_the_interceptor() {
    let world = world();
    let words = ["--name", "everything", "--", &node("mcp-server-everything")];
    let command = interceptor(&world, &words);
    // It takes the options of a command for its own.
    let words: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
    std::fs::write(world.path("start.sh"), format!("exec {}", words.join(" "))).unwrap();
    let place = world.path("start.sh").display().to_string();
    let output = Command::new(node("mcp-inspector"))
        .args(["--cli", "sh", &place, "--method", "tools/call"])
        .args(["--tool-name", "echo", "--tool-arg", "message=hi"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Echo: hi"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn page_of_another_origin_and_a_client_without_the_token_are_turned_away() {
    let world = world();
    std::fs::write(world.path("token"), "s3cret").unwrap();
    std::os::unix::fs::chown(world.path("token"), None, None).unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(world.path("token"), mode).unwrap();
    let token = world.path("token").display().to_string();
    let words = ["--listen-token", &token, "--name", "memory", "--", &node("mcp-server-memory")];
    let (_interceptor, url) = listening(&world, &words);
    let status = |more: &[&str]| {
        let output = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json"])
            .args(["-H", "Accept: application/json, text/event-stream", "-d", INITIALIZE])
            .args(more)
            .arg(&url)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let bearer = "Authorization: Bearer s3cret";
    assert_eq!(status(&["-H", bearer]), "200");
    assert_eq!(status(&[]), "401");
    assert_eq!(status(&["-H", "Authorization: Bearer other"]), "401");
    assert_eq!(status(&["-H", bearer, "-H", "Origin: https://evil.example"]), "403");
    assert_eq!(status(&["-H", bearer, "-H", "Host: rebound.example"]), "403");
    assert_eq!(status(&["-H", bearer, "-H", "Mcp-Session-Id: none"]), "404");
}
