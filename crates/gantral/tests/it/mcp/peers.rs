//! Each server of others with each of their clients: what only looks is done at once, what changes something waits and happens once, and
//! what is denied is told.

use super::governed::{everything_over_http, listening};
use super::*;
use crate::console::{nothing_wrong, play_at};

/// A server, and three of its tools. `RUN` in arguments is the number of the run.
struct Peer {
    name: &'static str,
    command: Vec<String>,
    read: (&'static str, Value),
    waits: (&'static str, Value),
    denied: (&'static str, Value),
    /// How often the call that waits has had its effect, where that leaves a trace outside the server.
    effects: Option<fn(&World) -> usize>,
}

/// What these tests say in place of the policy's own words: for each server, something that no agent may do.
const POLICY: &[(&str, &str)] = &[
    (", \"convert_time\"", ""),
    (
        r#"never := {"memory": {"delete_entities"}}"#,
        r#"never := {
	"everything": {"get-env"},
	"filesystem": {"move_file"},
	"git": {"git_reset"},
	"memory": {"delete_entities"},
	"sqlite": {"create_table"},
}

forbidden if input.action.parameters.arguments.timezone == "Antarctica/Troll""#,
    ),
];

fn git(world: &World, words: &[&str]) -> String {
    let me = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-C"];
    let output = Command::new("git").args(me).arg(world.path("repository")).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn sqlite(world: &World, statement: &str) -> usize {
    let program = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: print(len(db.execute(sys.argv[2]).fetchall()))";
    let output =
        Command::new("python3").args(["-c", program]).arg(world.path("pay.db")).arg(statement).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().parse().unwrap()
}

fn peers(world: &World) -> Vec<Peer> {
    let place = |name: &str| world.path(name).display().to_string();
    let python = |name: &str| part("mcp/bin").join(name).display().to_string();
    std::fs::create_dir(world.path("files")).unwrap();
    std::fs::write(world.path("files/a.txt"), "+").unwrap();
    std::fs::create_dir(world.path("repository")).unwrap();
    git(world, &["init", "--quiet"]);
    git(world, &["commit", "--quiet", "--allow-empty", "--message", "first"]);
    sqlite(world, "CREATE TABLE payments (line TEXT)");
    vec![
        Peer {
            name: "filesystem",
            command: vec![node("mcp-server-filesystem"), place("files")],
            read: ("read_text_file", json!({"path": place("files/a.txt")})),
            waits: (
                "edit_file",
                json!({"path": place("files/a.txt"), "edits": [{"oldText": "+", "newText": "+\nonce"}]}),
            ),
            denied: (
                "move_file",
                json!({"source": place("files/a.txt"), "destination": place("files/c.txt")}),
            ),
            effects: Some(|world| world.text("files/a.txt").matches("once").count()),
        },
        Peer {
            name: "git",
            command: vec![python("mcp-server-git"), "--repository".to_owned(), place("repository")],
            read: ("git_status", json!({"repo_path": place("repository")})),
            waits: (
                "git_create_branch",
                json!({"repo_path": place("repository"), "branch_name": "agent-RUN"}),
            ),
            denied: ("git_reset", json!({"repo_path": place("repository")})),
            effects: Some(|world| git(world, &["branch"]).matches("agent-").count()),
        },
        Peer {
            name: "memory",
            command: vec![
                "env".to_owned(),
                format!("MEMORY_FILE_PATH={}", place("memory.json")),
                node("mcp-server-memory"),
            ],
            read: ("read_graph", json!({})),
            waits: (
                "create_entities",
                json!({"entities": [{"name": "RUN", "entityType": "debtor", "observations": []}]}),
            ),
            denied: ("delete_entities", json!({"entityNames": ["1"]})),
            effects: Some(|world| world.text("memory.json").matches("debtor").count()),
        },
        Peer {
            name: "sqlite",
            command: vec![
                part("sqlite/bin/mcp-server-sqlite").display().to_string(),
                "--db-path".to_owned(),
                place("pay.db"),
            ],
            read: ("read_query", json!({"query": "SELECT count(*) FROM payments"})),
            waits: ("write_query", json!({"query": "INSERT INTO payments VALUES ('5 EUR to bob')"})),
            denied: ("create_table", json!({"query": "CREATE TABLE other (line TEXT)"})),
            effects: Some(|world| sqlite(world, "SELECT * FROM payments")),
        },
        Peer {
            name: "time",
            command: vec![python("mcp-server-time")],
            read: ("get_current_time", json!({"timezone": "UTC"})),
            waits: (
                "convert_time",
                json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
            ),
            denied: ("get_current_time", json!({"timezone": "Antarctica/Troll"})),
            effects: None,
        },
        Peer {
            name: "everything",
            command: vec![node("mcp-server-everything")],
            read: ("echo", json!({"message": "hi"})),
            waits: ("toggle-simulated-logging", json!({})),
            denied: ("get-env", json!({})),
            effects: None,
        },
    ]
}

/// Runs the official client in Rust.
fn rmcp_client(asked: &Value, folder: &Path, work: impl FnOnce()) -> Vec<Value> {
    let mut client = Command::new(part("rmcp/bin/rmcp-client"));
    client.arg(asked.to_string());
    client_of_others(client, folder, work)
}

impl Peer {
    /// Returns what a client is to call.
    fn calls(&self, run: usize) -> Value {
        let call = |(tool, arguments): &(&str, Value)| {
            let arguments = arguments.to_string().replace("RUN", &run.to_string());
            json!([tool, serde_json::from_str::<Value>(&arguments).unwrap()])
        };
        json!([call(&self.read), call(&self.waits), call(&self.denied)])
    }

    /// Approves what waits, before which nothing has happened.
    fn approve(&self, world: &World, run: usize) {
        let gate = gate_of_next(world);
        assert_eq!(self.effects.map_or(run - 1, |effects| effects(world)), run - 1, "{}", self.name);
        let shown = world.run(&["approvals", "show", &gate]).status(0).data;
        assert!(shown.contains(&format!("{}/{}", self.name, self.waits.0)), "{shown}");
        world.run(&["approvals", "approve", &gate, "--reason", "it is wanted"]).status(0);
    }

    /// Demands that the first was done, the second too, once, and the third not.
    fn holds(&self, world: &World, run: usize, said: &[Value]) {
        let results: Vec<_> = said.iter().filter(|line| line.get("error").is_some()).collect();
        let [read, waited, denied] = results[..] else { panic!("{}: {said:?}", self.name) };
        assert_eq!((&read["error"], &waited["error"]), (&json!(false), &json!(false)), "{said:?}");
        let status = &denied["structured"]["status"];
        assert_eq!((&denied["error"], status), (&json!(true), &json!("DENIED")), "{denied}");
        assert!(denied["text"].as_str().unwrap().contains("Do not retry"), "{denied}");
        assert_eq!(self.effects.map_or(run, |effects| effects(world)), run, "{}", self.name);
    }
}

#[test]
fn with_each_server_a_read_is_done_a_write_waits_and_happens_once_and_a_denial_is_told() {
    let world = world_with_policy(POLICY);
    let (_everything, url) = everything_over_http(&world);
    let peers = peers(&world);
    for peer in &peers {
        let words = peer.command.iter().map(String::as_str);
        let words: Vec<_> = ["--name", peer.name, "--"].into_iter().chain(words).collect();
        let asked = json!({
            "command": interceptor(&world, &words),
            "env": {"PATH": std::env::var("PATH").unwrap()},
            "calls": peer.calls(1),
        });
        peer.holds(&world, 1, &python_client(&asked, world.folder(), || peer.approve(&world, 1)));
        // Another client, over HTTP, and to the server too where that listens.
        let over_http = ["--name", peer.name, "--upstream", &url];
        let words = if peer.name == "everything" { &over_http[..] } else { &words };
        let (_interceptor, url) = listening(&world, words);
        let asked = json!({"url": url, "calls": peer.calls(2)});
        peer.holds(&world, 2, &rmcp_client(&asked, world.folder(), || peer.approve(&world, 2)));
    }
    // A denied call has no outcome; the others have theirs.
    let outcomes = outcomes(&world, 4 * peers.len());
    assert!(outcomes.iter().all(|outcome| outcome["status"] == "SUCCEEDED"), "{outcomes:?}");
}

#[test]
fn write_that_a_person_approves_in_the_console_happens_once() {
    let world = world();
    std::fs::create_dir(world.path("files")).unwrap();
    let place = |name: &str| world.path(name).display().to_string();
    let words = ["--name", "filesystem", "--", &node("mcp-server-filesystem"), &place("files")];
    let asked = json!({
        "command": interceptor(&world, &words),
        "env": {"PATH": std::env::var("PATH").unwrap()},
        "calls": [["write_file", {"path": place("files/b.txt"), "content": "once"}]],
    });
    let said = python_client(&asked, world.folder(), || {
        let seen = play_at("calls.mjs", world.url(), "filesystem/write_file", |at| {
            assert_eq!((at, world.path("files/b.txt").exists()), ("gate", false));
        });
        nothing_wrong(&seen);
    });
    assert_eq!(said.last().unwrap()["error"], false, "{said:?}");
    assert_eq!(world.text("files/b.txt"), "once");
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}
