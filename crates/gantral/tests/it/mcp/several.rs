//! Several servers behind one interceptor, each under its prefix.

use super::crashes::processes;
use super::governed::{by_command, everything_over_http, listening};
use super::*;

const TRANSFER: &str = "5 EUR to bob\n";

/// Writes a file of servers.
fn servers(world: &World, servers: &[(&str, Value)]) -> String {
    let tables = servers.iter().map(|(name, what)| {
        let (key, value) = what.as_object().unwrap().iter().next().unwrap();
        // Texts and lists of texts are written alike in both languages.
        format!("[servers.{name}]\n{key} = {value}\n")
    });
    std::fs::write(world.path("servers.toml"), tables.collect::<String>()).unwrap();
    world.path("servers.toml").display().to_string()
}

/// The server `pay`, as a file that a test can take away.
fn pay(world: &World) -> Value {
    std::fs::copy(ours("pay.py"), world.path("pay.py")).unwrap();
    let [script, ledger] = ["pay.py", "ledger"].map(|name| world.path(name).display().to_string());
    json!({"command": [interpreter(), "-B".to_owned(), script, ledger]})
}

/// Starts a client before the servers `pay` and `memory`.
fn before_two(world: &World, hold: &str) -> Vec<String> {
    let file =
        servers(world, &[("pay", pay(world)), ("memory", json!({"command": [node("mcp-server-memory")]}))]);
    interceptor(world, &["--hold", hold, "--servers", &file])
}

fn tools(client: &mut Lines, id: &str) -> Vec<String> {
    client.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#));
    let listed = client.answer(id);
    let all = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    all.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn kill(words: &[&str]) {
    for pid in processes(words) {
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    }
}

#[test]
fn tools_of_processes_and_of_a_server_over_http_are_offered_together_and_governed_by_their_own_names() {
    let world = world();
    let (_server, url) = everything_over_http(&world);
    std::fs::create_dir(world.path("files")).unwrap();
    std::fs::write(world.path("files/a.txt"), "what is there").unwrap();
    let place = |name: &str| world.path("files").join(name).display().to_string();
    let file = servers(
        &world,
        &[
            (
                "filesystem",
                json!({"command": [node("mcp-server-filesystem"), world.path("files").display().to_string()]}),
            ),
            ("everything", json!({"url": url})),
            ("pay", pay(&world)),
        ],
    );
    let calls = json!([
        ["filesystem__read_text_file", {"path": place("a.txt")}],
        ["everything__echo", {"message": "hi"}],
        ["filesystem__write_file", {"path": place("b.txt"), "content": "once"}],
    ]);
    let said = python_client(
        &by_command(&interceptor(&world, &["--servers", &file]), &calls),
        world.folder(),
        || {
            let gate = gate_of_next(&world);
            let shown = world.run(&["approvals", "show", &gate]).status(0).data;
            assert!(shown.contains("filesystem/write_file") && shown.contains(&place("b.txt")), "{shown}");
            world.run(&["approvals", "approve", &gate, "--reason", "it is wanted"]).status(0);
        },
    );
    let offered = said[0]["tools"].as_array().unwrap();
    for tool in ["filesystem__read_text_file", "everything__get-sum", "pay__transfer", "gantral_wait"] {
        assert!(offered.contains(&json!(tool)), "{said:?}");
    }
    let texts: Vec<_> = said.iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(texts[..2], ["what is there", "Echo: hi"], "{said:?}");
    assert_eq!(world.text("files/b.txt"), "once");
    assert!(outcomes(&world, 3).iter().all(|outcome| outcome["status"] == "SUCCEEDED"));
}

#[test]
fn revision_without_a_handshake_is_spoken_if_all_servers_do() {
    let world = world();
    let time = part("mcp/bin/mcp-server-time").display().to_string();
    let file = servers(&world, &[("time", json!({"command": [time]})), ("pay", pay(&world))]);
    let calls = json!([["time__get_current_time", {"timezone": "UTC"}], ["pay__transfer", {"amount": 5, "to": "bob"}]]);
    let good = |asked: &Value| {
        let said = python_client(asked, world.folder(), || {
            approve_next(&world);
        });
        assert_eq!(said[0]["version"], "2026-07-28", "{said:?}");
        assert_eq!(said.last().unwrap()["text"], "5 EUR to bob", "{said:?}");
    };
    good(&by_command(&interceptor(&world, &["--servers", &file]), &calls));
    let (_interceptor, url) = listening(&world, &["--servers", &file]);
    good(&json!({"url": url, "calls": calls}));
    assert_eq!(world.text("ledger"), TRANSFER.repeat(2));
}

#[test]
fn prompts_and_resources_are_offered_under_a_prefix_and_found_again() {
    let world = world();
    let everything = json!({"command": [node("mcp-server-everything")]});
    let file = servers(&world, &[("one", everything.clone()), ("two", everything)]);
    let mut client = Lines::ready(&interceptor(&world, &["--servers", &file]), world.folder());
    let mut ask = |id: u32, method: &str, params: Value| {
        client.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        let answer = client.answer(&id.to_string());
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    };
    let prompts = ask(1, "prompts/list", json!({}));
    let names: Vec<_> =
        prompts["prompts"].as_array().unwrap().iter().map(|prompt| prompt["name"].clone()).collect();
    assert!(
        names.contains(&json!("one__simple-prompt")) && names.contains(&json!("two__simple-prompt")),
        "{names:?}"
    );
    let got = ask(2, "prompts/get", json!({"name": "two__simple-prompt"}));
    assert!(got["messages"][0]["content"]["text"].is_string(), "{got}");
    let resources = ask(3, "resources/list", json!({}));
    let uri = resources["resources"][0]["uri"].as_str().unwrap().to_owned();
    assert!(uri.starts_with("one+"), "{resources}");
    let read = ask(4, "resources/read", json!({"uri": uri}));
    assert_eq!(read["contents"][0]["uri"], uri, "{read}");
    let templates = ask(5, "resources/templates/list", json!({}));
    assert!(
        templates["resourceTemplates"][0]["uriTemplate"].as_str().unwrap().starts_with("one+"),
        "{templates}"
    );
    let done = ask(
        6,
        "completion/complete",
        json!({"ref": {"type": "ref/prompt", "name": "one__completable-prompt"}, "argument": {"name": "department", "value": "E"}}),
    );
    assert_eq!(done["completion"]["values"], json!(["Engineering"]), "{done}");
}

#[test]
fn death_of_one_server_is_a_clear_result_and_leaves_the_others() {
    let world = world();
    let mut client = Lines::ready(&before_two(&world, "40"), world.folder());
    assert!(tools(&mut client, "1").contains(&"memory__read_graph".to_owned()));
    std::fs::remove_file(world.path("pay.py")).unwrap();
    kill(&["pay.py", &world.path("ledger").display().to_string()]);
    assert!(wait_until(|| !tools(&mut client, "2").contains(&"pay__transfer".to_owned())));
    client.call("3", "pay__transfer", json!({"amount": 5, "to": "bob"}));
    let answer = client.answer("3");
    assert_eq!(answer["result"]["structuredContent"]["code"], "tool_unknown", "{answer}");
    client.call("4", "memory__read_graph", json!({}));
    assert_eq!(client.answer("4")["result"].get("isError"), None);
    // Nobody was asked to approve what cannot be done.
    assert_eq!(world.run(&["approvals", "ls", "--json"]).status(0).json()["items"], json!([]));
}

#[test]
fn server_that_died_is_started_again_and_does_what_is_approved_once() {
    let world = world();
    let mut client = Lines::ready(&before_two(&world, "40"), world.folder());
    assert!(tools(&mut client, "1").contains(&"pay__transfer".to_owned()));
    std::fs::rename(world.path("pay.py"), world.path("away.py")).unwrap();
    kill(&["pay.py", &world.path("ledger").display().to_string()]);
    let offered = |client: &mut Lines| tools(client, "2").contains(&"pay__transfer".to_owned());
    assert!(wait_until(|| !offered(&mut client)));
    std::fs::rename(world.path("away.py"), world.path("pay.py")).unwrap();
    assert!(wait_until(|| offered(&mut client)));
    client.call("3", "pay__transfer", json!({"amount": 5, "to": "bob"}));
    approve_next(&world);
    let answer = client.answer("3");
    assert_eq!(answer["result"]["content"][0]["text"], "5 EUR to bob", "{answer}");
    assert_eq!(world.text("ledger"), TRANSFER);
}

#[test]
fn server_that_dies_with_a_call_makes_that_unknown_and_no_other() {
    let world = world();
    std::fs::write(world.path("ledger.slow"), "").unwrap();
    let mut client = Lines::ready(&before_two(&world, "40"), world.folder());
    client.call("1", "pay__transfer", json!({"amount": 5, "to": "bob"}));
    approve_next(&world);
    assert!(wait_until(|| world.text("ledger") == TRANSFER));
    kill(&["pay.py", &world.path("ledger").display().to_string()]);
    let answer = client.answer("1");
    assert_eq!(answer["result"]["structuredContent"]["status"], "UNKNOWN", "{answer}");
    client.call("2", "memory__read_graph", json!({}));
    assert_eq!(client.answer("2")["result"].get("isError"), None);
    let outcomes = outcomes(&world, 2);
    assert!(outcomes.iter().any(|outcome| outcome["status"] == "UNKNOWN"), "{outcomes:?}");
    assert_eq!(world.text("ledger"), TRANSFER);
}

#[test]
fn call_of_a_server_that_died_while_humans_decided_runs_once_in_a_new_one() {
    let world = world();
    let command = before_two(&world, "1");
    let mut client = Lines::ready(&command, world.folder());
    client.call("1", "pay__transfer", json!({"amount": 5, "to": "bob"}));
    let gate = client.answer("1")["result"]["structuredContent"]["gate_id"].as_str().unwrap().to_owned();
    kill(&["pay.py", &world.path("ledger").display().to_string()]);
    assert_eq!(approve_next(&world), gate);
    client.call("2", "gantral_wait", json!({"gate_id": gate, "seconds": 40}));
    let answer = client.answer("2");
    assert_eq!(answer["result"]["content"][0]["text"], "5 EUR to bob", "{answer}");
    assert_eq!(world.text("ledger"), TRANSFER);
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}

#[test]
fn server_that_cannot_be_started_leaves_the_others() {
    let world = world();
    let file = servers(&world, &[("pay", pay(&world)), ("none", json!({"command": ["/nowhere/no-server"]}))]);
    let mut client = Lines::ready(&interceptor(&world, &["--servers", &file]), world.folder());
    assert!(tools(&mut client, "1").contains(&"pay__balance".to_owned()));
}
