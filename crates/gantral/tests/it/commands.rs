//! `gantral run`: commands that pass, wait, are changed, refused, killed, and what is known of them afterwards.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Killed, Ran, World, gantral, run, wait_until};

/// Appends a line, so that it shows how often it ran.
pub const APPEND: &str = "echo ran >> effect; echo hello; exit 7";

pub fn ran(world: &World) -> usize {
    world.text("effect").lines().count()
}

/// Asks for a command that waits, and returns its gate.
pub fn waits(world: &World, words: &[&str]) -> String {
    world.run(&[&["run"], words].concat()).status(3).word()
}

pub fn approve(world: &World, gate: &str) {
    world.run(&["approvals", "approve", gate, "--reason", "looked at it"]).status(0);
}

/// The newest execution.
pub fn newest(world: &World) -> Value {
    let all = world.run(&["instances", "ls", "--workflow", "commands", "--json"]).status(0).json();
    let id = all["items"][0]["instance_id"].as_str().unwrap().to_owned();
    world.instance(&id)
}

fn background(world: &World, words: &[&str]) -> Child {
    let mut command = gantral(world.folder());
    command.arg("run").args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The gate that is open, once one is.
fn open_gate(world: &World) -> String {
    let mut gate = None;
    wait_until(|| {
        let open = world.run(&["approvals", "ls", "--json"]).status(0).json();
        gate = open["items"][0]["gate_id"].as_str().map(str::to_owned);
        gate.is_some()
    });
    gate.expect("a gate opens")
}

#[test]
fn what_only_looks_runs_at_once_and_its_output_is_proved() {
    let world = World::start();
    let looked = world.run(&["run", "--", "/bin/echo", "one", "two"]).status(0);
    assert_eq!(looked.data, "one two\n");
    let instance = newest(&world);
    assert_eq!(
        (&instance["state"], &instance["outcomes"][0]["status"]),
        (&"COMPLETED".into(), &"SUCCEEDED".into())
    );
    let id = instance["instance_id"].as_str().unwrap();
    let report = world.verified(id, "b.gantral").status(0).json();
    assert_eq!(report["verdict"], "VALID");
    assert_eq!(report["assurance"]["enforcement"], "enforced", "{report}");
    let missing = world.run(&["run", "--", "/bin/ls", "no-such-file"]);
    assert_eq!(missing.status, 2, "the status is that of the command: {missing:?}");
    assert_eq!(newest(&world)["outcomes"][0]["status"], "FAILED");
}

#[test]
fn a_command_waits_and_the_same_command_runs_it_once_when_it_is_approved() {
    let world = World::start();
    let gate = waits(&world, &["--because", "the disk is full", "--", "sh", "-c", APPEND]);
    let again = world.run(&["run", "--", "sh", "-c", APPEND]).status(3);
    assert_eq!(again.word(), gate, "the same command joins");
    assert!(
        again.talk.contains("gantral run -- sh -c 'echo ran >> effect; echo hello; exit 7'"),
        "{}",
        again.talk
    );
    let shown = world.run(&["approvals", "show", &gate]).status(0).data;
    let said = shown.split_once("What the agent says").map(|(_, said)| said).unwrap_or_default();
    let said = said.split_once("What policy was told").map(|(said, _)| said).unwrap_or_default();
    assert!(said.contains("  because     the disk is full\n"), "{shown}");
    assert_eq!(ran(&world), 0);
    approve(&world, &gate);
    let done = world.run(&["run", "--", "sh", "-c", APPEND]);
    assert_eq!((done.status, done.data.as_str(), ran(&world)), (7, "hello\n", 1));
    let other = waits(&world, &["--", "sh", "-c", APPEND]);
    assert_ne!(other, gate, "it was approved once");
    assert_eq!(ran(&world), 1);
}

#[test]
fn a_human_decides_in_another_terminal_while_it_waits() {
    let world = World::start();
    let words = ["--wait", "60s", "--", "sh", "-c", APPEND];
    let child = background(&world, &words);
    let gate = open_gate(&world);
    let changed = ["approvals", "override", &gate, "--set", r#"arguments=["-c","echo less; exit 5"]"#];
    world.run(&[&changed[..], &["--reason", "less will do"]].concat()).status(0);
    let done = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((done.status, done.data.as_str(), ran(&world)), (5, "less\n", 0));

    let child = background(&world, &words);
    world.run(&["approvals", "reject", &open_gate(&world), "--reason", "not today"]).status(0);
    let done = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((done.status, done.data.as_str(), ran(&world)), (4, "rejected\n", 0));
}

/// Reads a saved plan and makes it so: each line of the plan is added to the state.
const APPLY: &str = "#!/bin/sh\nset -eu\ntest \"$1\" = apply\nwhile read -r line; do echo \"$line\" >> state; echo \"created $line\"; done < \"$2\"\n";

#[test]
fn saved_plan_is_applied_once_by_who_waited_for_a_human_in_another_terminal() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start();
    std::fs::write(world.path("infra"), APPLY).unwrap();
    std::fs::set_permissions(world.path("infra"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(world.path("plan.out"), "network\nmachine\n").unwrap();
    let words = ["--wait", "60s", "--input", "plan.out", "--", "./infra", "apply", "plan.out"];
    let child = background(&world, &words);
    let gate = open_gate(&world);
    assert_eq!(world.text("state"), "", "nothing happens while it waits");
    let shown = world.run(&["approvals", "show", &gate, "--json"]).status(0).json();
    let plan = gantral_core::digest::Digest::of(b"network\nmachine\n").to_hex();
    assert!(shown["action"]["parameters"]["inputs"].to_string().contains(&plan), "{shown}");
    approve(&world, &gate);
    let done = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((done.status, done.data.as_str()), (0, "created network\ncreated machine\n"), "{done:?}");
    assert_eq!(world.text("state"), "network\nmachine\n");
    assert_eq!(newest(&world)["outcomes"][0]["status"], "SUCCEEDED");
    // The same plan again is another question.
    let again = waits(&world, &["--input", "plan.out", "--", "./infra", "apply", "plan.out"]);
    assert_ne!(again, gate);
    assert_eq!(world.text("state"), "network\nmachine\n");
}

#[test]
fn humans_who_let_the_time_pass_have_refused_and_who_waits_is_told() {
    let world = World::start();
    let from = crate::support::repository().join("policies/commands");
    std::fs::create_dir(world.path("hasty")).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text
            .replace("timeout := \"30m\"", "timeout := \"2s\"")
            .replace("id = \"commands\"", "id = \"hasty\"");
        std::fs::write(world.path("hasty").join(path.file_name().unwrap()), text).unwrap();
    }
    world.run(&["workflows", "apply", "hasty/workflow.toml"]).status(0);
    let words = ["run", "--workflow", "hasty", "--wait", "60s", "--json", "--", "sh", "-c", APPEND];
    let told = world.run(&words).status(4).json();
    assert_eq!((&told["executed"], &told["cause"]), (&Value::Bool(false), &"timeout".into()), "{told}");
    assert_eq!(ran(&world), 0);
}

#[test]
fn nobody_comes_and_nothing_has_run() {
    let world = World::start();
    let done = world.run(&["run", "--wait", "1s", "--json", "--", "sh", "-c", APPEND]).status(3).json();
    assert_eq!((&done["executed"], &done["status"]), (&Value::Bool(false), &"WAITING_FOR_HUMAN".into()));
    assert_eq!(ran(&world), 0);
    let never = world.run(&["run", "--json", "--", "dd", "if=/dev/null"]).status(4).json();
    assert_eq!((&never["executed"], &never["cause"]), (&Value::Bool(false), &"denied".into()));
}

#[test]
fn what_changed_between_approval_and_execution_does_not_run() {
    let world = World::start();
    std::fs::write(world.path("plan"), "create one").unwrap();
    let words = ["--input", "plan", "--", "sh", "-c", APPEND];
    approve(&world, &waits(&world, &words));
    let named = [&["run"], &words[..]].concat();
    std::fs::write(world.path("plan"), "destroy all").unwrap();
    let other = run(world.folder(), &named).status(3);
    assert_eq!(ran(&world), 0, "another plan is another command: {other:?}");

    // The approved one is changed by a human into one whose program is not what its digest says.
    let gate = other.word();
    let shown = world.run(&["approvals", "show", &gate, "--json"]).status(0).json();
    let digest = shown["action"]["parameters"]["executable_sha256"].as_str().unwrap();
    let another = digest.chars().rev().collect::<String>();
    let set = format!("executable_sha256={another}");
    world.run(&["approvals", "override", &gate, "--set", &set, "--reason", "another program"]).status(0);
    let refused = run(world.folder(), &named).status(1);
    assert!(refused.talk.contains("is not what was approved"), "{}", refused.talk);
    assert_eq!((ran(&world), &newest(&world)["outcomes"][0]["status"]), (0, &"FAILED".into()));
}

#[test]
fn without_a_server_nothing_runs() {
    let mut world = World::start();
    let gate = waits(&world, &["--", "sh", "-c", APPEND]);
    approve(&world, &gate);
    world.kill_server();
    let refused = world.run(&["run", "--", "sh", "-c", APPEND]);
    assert_eq!((refused.status, ran(&world)), (1, 0), "{refused:?}");
    world.start_server();
    assert_eq!(world.run(&["run", "--", "sh", "-c", APPEND]).status, 7, "a restart loses no decision");
    assert_eq!(ran(&world), 1);
}

#[test]
fn being_asked_to_end_reaches_the_command_and_is_reported() {
    let world = World::start();
    let script = "trap 'echo tidied; exit 9' TERM; touch up; while :; do sleep 0.1; done";
    approve(&world, &waits(&world, &["--", "sh", "-c", script]));
    let child = background(&world, &["--", "sh", "-c", script]);
    assert!(wait_until(|| world.path("up").exists()));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let done = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((done.status, done.data.as_str()), (9, "tidied\n"));
    assert_eq!(newest(&world)["outcomes"][0]["status"], "FAILED");
}

#[test]
fn who_is_killed_leaves_an_outcome_that_nobody_knows_and_nothing_runs_again() {
    let world = World::start();
    let script = "echo ran >> effect; sleep 2; echo ran >> late";
    approve(&world, &waits(&world, &["--", "sh", "-c", script]));
    let mut child = Killed::of(background(&world, &["--", "sh", "-c", script]));
    assert!(wait_until(|| ran(&world) == 1));
    child.kill();
    let refused = world.run(&["run", "--", "sh", "-c", script]).status(1);
    assert!(refused.talk.contains("being run, or nobody knows"), "{}", refused.talk);
    assert!(wait_until(|| newest(&world)["outcomes"][0]["status"] == "UNKNOWN"), "{}", newest(&world));
    world.run(&["run", "--", "sh", "-c", script]).status(1);
    assert_eq!(ran(&world), 1, "it is never run again by itself");
}
