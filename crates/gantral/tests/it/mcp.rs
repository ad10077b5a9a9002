//! Clients and servers of the Model Context Protocol that others wrote, with the interceptor between them.

mod away;
mod batches;
mod conformance;
mod crashes;
mod governed;
mod newcomer;
mod peers;
mod replays;
mod rounds;
mod seams;
mod several;
mod tasks;
mod transparent;
mod withheld;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::{Killed, PATIENCE, World, gantral, part, repository, start, wait_until};

fn interpreter() -> String {
    part("mcp/bin/python").display().to_string()
}

/// Returns a program of the servers and clients in Node.js.
fn node(name: &str) -> String {
    part("mcp-node/node_modules/.bin").join(name).display().to_string()
}

/// Returns a file of these tests.
fn ours(name: &str) -> String {
    repository().join("crates/gantral/tests/mcp").join(name).display().to_string()
}

/// Starts a world in which the workflow of the interceptor is applied.
fn world() -> World {
    let world = World::start();
    let workflow = repository().join("policies/mcp/workflow.toml").display().to_string();
    world.run(&["workflows", "apply", &workflow]).status(0);
    world
}

/// Starts a world in which a tool of `everything` passes that does not elsewhere.
fn world_where_passes(tool: &str) -> World {
    world_with_policy(&[("\"get-sum\"", &format!("\"get-sum\", \"{tool}\""))])
}

/// Starts a world in which every call passes without a human.
fn world_that_allows_all() -> World {
    world_with_policy(&[("default decision := \"REQUIRE_HUMAN\"", "default decision := \"ALLOW\"")])
}

/// Starts a world whose policy says something else in some places.
fn world_with_policy(changes: &[(&str, &str)]) -> World {
    let world = World::start();
    let folder = world.path("policy");
    std::fs::create_dir(&folder).unwrap();
    let text = |name: &str| std::fs::read_to_string(repository().join("policies/mcp").join(name)).unwrap();
    let mut policy = text("policy.rego");
    for (said, says) in changes {
        assert!(policy.contains(said), "{said}");
        policy = policy.replace(said, says);
    }
    std::fs::write(folder.join("policy.rego"), policy).unwrap();
    std::fs::write(folder.join("workflow.toml"), text("workflow.toml")).unwrap();
    world.run(&["workflows", "apply", &folder.join("workflow.toml").display().to_string()]).status(0);
    world
}

/// Returns the command of the interceptor; what follows are its own arguments.
fn interceptor(world: &World, arguments: &[&str]) -> Vec<String> {
    let binary = env!("CARGO_BIN_EXE_gantral").to_owned();
    let url = world.url().to_owned();
    let place = |name: &str| world.path(name).display().to_string();
    let (token, trust) = (place(".gantral-dev/tokens/dev-gate.token"), place(".gantral-dev/trust.json"));
    let own = [
        "--url",
        &url,
        "--token-file",
        &token,
        "--trust",
        &trust,
        "--tenant",
        "dev",
        "--spool",
        &place("spool"),
    ];
    let words = [binary, "mcp".to_owned()].into_iter().chain(own.map(ToOwned::to_owned));
    words.chain(arguments.iter().map(|word| (*word).to_owned())).collect()
}

/// Returns the command of an interceptor before the server with an effect that can be counted.
fn before_pay(world: &World, hold: &str) -> Vec<String> {
    let ledger = world.path("ledger").display().to_string();
    interceptor(
        world,
        &["--name", "pay", "--hold", hold, "--", &interpreter(), "-B", &ours("pay.py"), &ledger],
    )
}

/// Approves what waits next, and returns its gate.
fn approve_next(world: &World) -> String {
    let gate = gate_of_next(world);
    world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]).status(0);
    gate
}

fn gate_of_next(world: &World) -> String {
    let mut gate = None;
    let found = wait_until(|| {
        let open = world.run(&["approvals", "ls", "--json"]).status(0).json();
        gate = open["items"][0]["gate_id"].as_str().map(ToOwned::to_owned);
        gate.is_some()
    });
    assert!(found, "nothing waits");
    gate.unwrap()
}

/// Waits until nothing of the workflow is under way, and returns the outcomes of all, the last first.
fn outcomes(world: &World, count: usize) -> Vec<Value> {
    let mut seen = Vec::new();
    let told = wait_until(|| {
        let all = world.run(&["instances", "ls", "--json"]).status(0).json();
        let ids = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["instance_id"].as_str().unwrap().to_owned());
        let shown: Vec<Value> = ids.map(|id| world.instance(&id)).collect();
        seen = shown.iter().flat_map(|instance| instance["outcomes"].as_array().unwrap().clone()).collect();
        seen.len() == count && seen.iter().all(|outcome| outcome["status"].is_string())
    });
    assert!(told, "{seen:?}");
    seen
}

/// A client that writes lines itself, so that each byte is seen.
struct Lines {
    child: Killed,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Lines {
    fn start(command: &[String], folder: &Path) -> Self {
        let mut child = launch(command, folder);
        let input = child.stdin.take();
        let output = lines(child.stdout.take().unwrap());
        Self { child: Killed::of(child), input, output }
    }

    /// Starts a client and shakes hands.
    fn ready(command: &[String], folder: &Path) -> Self {
        let mut client = Self::start(command, folder);
        client.send(INITIALIZE);
        client.answer("0");
        client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        client
    }

    fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    fn call(&mut self, id: &str, tool: &str, arguments: Value) {
        let params = json!({"name": tool, "arguments": arguments});
        self.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#));
    }

    fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Returns the answer to a request; what else is said before it is passed over.
    fn answer_line(&self, id: &str) -> String {
        loop {
            let line = self.line();
            let said: Value = serde_json::from_str(&line).unwrap();
            let named = said["id"].to_string();
            if named.as_str() == id && said.get("method").is_none() {
                return line;
            }
        }
    }

    fn answer(&self, id: &str) -> Value {
        serde_json::from_str(&self.answer_line(id)).unwrap()
    }

    /// Closes our side and waits for the end.
    fn leave(mut self) {
        self.input.take();
        while self.output.recv_timeout(PATIENCE).is_ok() {}
    }
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"lines","version":"1"}}}"#;

fn launch(command: &[String], folder: &Path) -> Child {
    let (program, words) = command.split_first().unwrap();
    let log = std::fs::File::options().create(true).append(true).open(folder.join("mcp.log")).unwrap();
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    command.spawn().unwrap()
}

fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs the Python client; `work` happens while it waits. Returns what it said.
fn python_client(asked: &Value, folder: &Path, work: impl FnOnce()) -> Vec<Value> {
    python("client.py", asked, folder, work)
}

/// Runs a client in Python.
fn python(program: &str, asked: &Value, folder: &Path, work: impl FnOnce()) -> Vec<Value> {
    let mut client = Command::new(interpreter());
    client.args(["-B", &ours(program), &asked.to_string()]);
    client_of_others(client, folder, work)
}

/// Runs a client that prints lines of JSON; `work` happens while it waits.
fn client_of_others(mut client: Command, folder: &Path, work: impl FnOnce()) -> Vec<Value> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("client.log")).unwrap();
    let child = client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    work();
    let output = child.wait_with_output().unwrap();
    let log = || std::fs::read_to_string(folder.join("client.log")).unwrap();
    assert!(output.status.success(), "{}", log());
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
