//! `gantral hook`: a coding agent asks before it uses a tool, and says afterwards what came of it. Messages are those that agents send.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Ran, World, gantral};

/// Sends one message to a hook.
fn hook(world: &World, words: &[&str], message: &str) -> Ran {
    let mut command = gantral(world.folder());
    command.arg("hook").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A hook that refuses early does not read all of it.
    let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
    Ran::of(child.wait_with_output().unwrap())
}

/// What an agent says about one use of a tool.
fn uses(event: &str, id: &str, tool: &str, input: &Value) -> String {
    let message = json!({
        "session_id": "5f9c", "transcript_path": "/t.jsonl", "cwd": "/project", "hook_event_name": event, "tool_name": tool,
        "tool_input": input, "tool_use_id": id, "tool_response": {"stdout": "done"},
    });
    message.to_string()
}

fn bash(event: &str, id: &str) -> String {
    uses(event, id, "Bash", &json!({"command": "git push --force"}))
}

fn decision(ran: &Ran) -> (String, String) {
    let said = &ran.json()["hookSpecificOutput"];
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    assert_eq!(text("hookEventName"), "PreToolUse");
    (text("permissionDecision"), text("permissionDecisionReason"))
}

/// The newest execution of a tool.
fn newest(world: &World) -> Value {
    let all = world.run(&["instances", "ls", "--workflow", "tools", "--json"]).status(0).json();
    world.instance(all["items"][0]["instance_id"].as_str().unwrap())
}

fn open_gate(world: &World) -> String {
    let open = world.run(&["approvals", "ls", "--json"]).status(0).json();
    assert_eq!(open["items"].as_array().unwrap().len(), 1, "{open}");
    open["items"][0]["gate_id"].as_str().unwrap().to_owned()
}

#[test]
fn what_policy_allows_goes_on_in_silence_and_is_settled_afterwards() {
    let world = World::start();
    let read = json!({"file_path": "/project/a"});
    let before = hook(&world, &[], &uses("PreToolUse", "t1", "Read", &read)).status(0);
    assert_eq!(before.data, "", "the agent's own rules go on");
    assert_eq!(newest(&world)["state"], "RUNNING");
    hook(&world, &[], &uses("PostToolUse", "t1", "Read", &read)).status(0);
    let instance = newest(&world);
    assert_eq!(
        (&instance["state"], &instance["outcomes"][0]["status"]),
        (&json!("COMPLETED"), &json!("SUCCEEDED"))
    );
    hook(&world, &[], &uses("PostToolUse", "never-begun", "Read", &read)).status(0);
    hook(&world, &[], &uses("PreToolUse", "t2", "Read", &read)).status(0);
    hook(&world, &[], &uses("PostToolUseFailure", "t2", "Read", &read)).status(0);
    assert_eq!(newest(&world)["outcomes"][0]["status"], "FAILED");
}

#[test]
fn a_tool_waits_for_a_human_and_the_agent_is_told_where() {
    let world = World::start();
    let (word, why) = decision(&hook(&world, &[], &bash("PreToolUse", "t1")).status(0));
    let gate = open_gate(&world);
    assert!(word == "deny" && why.contains(&gate) && why.starts_with("NOT EXECUTED"), "{word} {why}");
    let (word, _) = decision(&hook(&world, &["--headless"], &bash("PreToolUse", "t2")).status(0));
    assert_eq!((word.as_str(), open_gate(&world)), ("defer", gate.clone()), "the same use joins");
    world.run(&["approvals", "approve", &gate, "--reason", "the branch is mine"]).status(0);
    let may = hook(&world, &[], &bash("PreToolUse", "t3")).status(0);
    assert_eq!(may.data, "");
    let meanwhile = hook(&world, &[], &bash("PreToolUse", "t4"));
    assert_eq!(meanwhile.status, 2, "it was approved once: {meanwhile:?}");
    hook(&world, &[], &bash("PostToolUse", "t3")).status(0);
    assert_eq!(newest(&world)["state"], "COMPLETED");
}

#[test]
fn a_human_changes_what_a_tool_does_and_the_agent_is_told() {
    let world = World::start();
    hook(&world, &[], &bash("PreToolUse", "t1")).status(0);
    let set = r#"input={"command":"git push"}"#;
    let gate = open_gate(&world);
    world.run(&["approvals", "override", &gate, "--set", set, "--reason", "without force"]).status(0);
    let ran = hook(&world, &[], &bash("PreToolUse", "t2")).status(0);
    assert_eq!(decision(&ran).0, "allow");
    assert_eq!(ran.json()["hookSpecificOutput"]["updatedInput"], json!({"command": "git push"}));
    hook(&world, &[], &uses("PostToolUse", "t2", "Bash", &json!({"command": "git push"}))).status(0);
    assert_eq!(newest(&world)["state"], "COMPLETED");
}

#[test]
fn a_refusal_reaches_the_agent_with_its_reason() {
    let world = World::start();
    hook(&world, &[], &bash("PreToolUse", "t1")).status(0);
    world.run(&["approvals", "reject", &open_gate(&world), "--reason", "never with force"]).status(0);
    let ended = newest(&world);
    assert_eq!((&ended["state"], &ended["cause"]), (&json!("TERMINATED"), &json!("rejected")));
    let (word, why) = decision(&hook(&world, &[], &bash("PreToolUse", "t2")).status(0));
    assert!(word == "deny" && why.contains("rejected") && why.contains("Do not try again"), "{word} {why}");
    assert_eq!(newest(&world)["instance_id"], ended["instance_id"], "nobody was asked again");
}

#[test]
fn the_other_dialect_is_answered_in_its_words() {
    let world = World::start();
    let says = |event: &str, command: &str| {
        json!({"conversation_id": "c 1", "hook_event_name": event, "command": command, "cwd": "/project", "output": ""})
            .to_string()
    };
    let may = hook(&world, &[], &says("beforeShellExecution", "git status")).status(0);
    assert_eq!(may.json(), json!({"permission": "allow"}));
    hook(&world, &[], &says("afterShellExecution", "git status")).status(0);
    assert_eq!(newest(&world)["state"], "COMPLETED");
    let waits = hook(&world, &["--hold", "1s"], &says("beforeShellExecution", "git push")).status(0).json();
    assert_eq!(waits["permission"], "deny");
    let gate = open_gate(&world);
    assert!(waits["agent_message"].as_str().unwrap().contains(&gate), "{waits}");
    let set = r#"input={"command":"git fetch"}"#;
    world.run(&["approvals", "override", &gate, "--set", set, "--reason", "look first"]).status(0);
    let changed = hook(&world, &[], &says("beforeShellExecution", "git push")).status(0).json();
    assert_eq!(changed["permission"], "deny", "it cannot be told of the change");
    assert_eq!(newest(&world)["outcomes"][0]["status"], "FAILED");
    let left: Vec<_> = std::fs::read_dir(world.path(".gantral-dev/hook")).unwrap().collect();
    assert!(left.is_empty(), "nothing was begun, and nothing is kept: {left:?}");
}

#[test]
fn whatever_goes_wrong_blocks_the_tool() {
    let mut world = World::start();
    for message in ["", "not json", "{}", r#"{"hook_event_name":"Stop"}"#] {
        let ran = hook(&world, &[], message);
        assert_eq!((ran.status, ran.data.as_str()), (2, ""), "{message}: {ran:?}");
        assert!(ran.talk.contains("error: "), "{ran:?}");
    }
    let large = uses("PreToolUse", "t1", "Write", &json!({"content": "x".repeat(5 << 20)}));
    assert_eq!(hook(&world, &[], &large).status, 2);
    let unknown = hook(&world, &["--workflow", "none"], &bash("PreToolUse", "t1"));
    assert_eq!(unknown.status, 2, "{unknown:?}");
    world.kill_server();
    let gone = hook(&world, &[], &uses("PreToolUse", "t1", "Read", &json!({})));
    assert_eq!((gone.status, gone.data.as_str()), (2, ""), "{gone:?}");
}
