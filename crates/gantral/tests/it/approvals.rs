//! What approvers see and say on the command line.

use std::process::Command;

use serde_json::Value;

use crate::support::{Ran, World, part, repository};

const ASKS: &str = "exec gantral ask refund --target order/1001 --set amount=4800 --set note=\"$(printf 'a\\033[2J\\342\\200\\256b')\"";

/// Starts a world in which one agent waits at its gate; returns the instance and the gate.
fn waiting() -> (World, String, String) {
    let mut world = World::start();
    world.apply(ASKS, "30s");
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    let gate = seen["gate"]["gate_id"].as_str().unwrap().to_owned();
    (world, id, gate)
}

#[test]
fn gate_shows_the_exact_action_first_and_nothing_that_acts_on_a_terminal() {
    let (world, id, gate) = waiting();
    let ran = world.run(&["approvals", "show", &gate]).status(0);
    let first: Vec<&str> = ran.data.lines().take(2).collect();
    assert_eq!(
        first,
        [
            "What would run, exactly",
            r#"  {"name":"refund","parameters":{"amount":4800,"note":"a\u001b[2J\u202eb"},"target":"order/1001"}"#
        ]
    );
    for hostile in ['\u{1b}', '\u{202e}'] {
        assert!(!ran.data.contains(hostile) && !ran.talk.contains(hostile));
    }
    assert!(ran.data.contains(&id) && ran.data.contains("1 of RISK_OFFICER"), "{ran:?}");
    assert!(ran.talk.contains(&format!("hint: gantral approvals approve {gate} --reason")), "{ran:?}");
    let ran = world.run(&["approvals", "ls", "--mine"]).status(0);
    assert!(ran.data.contains(&gate), "{ran:?}");
    let ran = world.run(&["approvals", "ls", "--mine", "--as", "carol"]).status(0);
    assert_eq!(ran.data, "nothing waits\n");
}

#[test]
fn override_says_what_it_changes_and_binds_the_changed_action() {
    let (world, id, gate) = waiting();
    let ran = world
        .run(&["approvals", "override", &gate, "--set", "amount=480", "--reason", "one month is owed"])
        .status(0);
    assert!(ran.talk.contains("  amount      4800 -> 480\n"), "{ran:?}");
    assert!(ran.data.starts_with("recorded OVERRIDE: the instance is "), "{ran:?}");
    // What was asked for is not what runs now.
    let ran = world.run(&["approvals", "show", &gate]).status(0);
    assert!(ran.data.starts_with("What was asked for, exactly\n"), "{ran:?}");
    let ran = world.run(&["approvals", "reject", &gate, "--reason", "too late"]).status(1);
    assert!(ran.talk.contains("[already_decided]"), "{ran:?}");
    let refusal =
        world.run(&["approvals", "reject", &gate, "--reason", "too late", "--json"]).status(1).json();
    assert_eq!(refusal["decision"], "OVERRIDE", "{refusal}");
    assert!(refusal["decided_by"].is_string(), "{refusal}");
    let bundle = world.verified(&id, "a.gantral").status(0).json();
    let timeline = bundle["timeline"].as_array().unwrap();
    assert_eq!(timeline.iter().filter(|moment| moment["event"] == "overridden").count(), 1);
}

#[test]
fn rejection_ends_the_execution() {
    let (world, id, gate) = waiting();
    world.run(&["approvals", "reject", &gate, "--reason", "not owed"]).status(0);
    let seen = world.reach(&id, "TERMINATED");
    assert_eq!(seen["cause"], "rejected");
}

#[test]
fn whoever_owns_the_agent_or_is_a_machine_decides_nothing() {
    let (world, _, gate) = waiting();
    for (name, code) in [("bob", "self_approval"), ("carol", "not_eligible"), ("dave", "not_eligible")] {
        let ran = world.run(&["approvals", "approve", &gate, "--reason", "let me", "--as", name]).status(1);
        assert!(ran.talk.contains(&format!("[{code}]")), "{name}: {ran:?}");
    }
    // A runner does not even see gates.
    for (name, code) in [("refund-agent", "forbidden"), ("dev-runner", "gate_unknown")] {
        let ran = world.run(&["approvals", "approve", &gate, "--reason", "let me", "--as", name]).status(1);
        assert!(ran.talk.contains(&format!("[{code}]")), "{name}: {ran:?}");
    }
}

#[test]
fn decision_over_another_version_than_was_seen_is_refused() {
    let (world, _, gate) = waiting();
    let ran =
        world.run(&["approvals", "approve", &gate, "--reason", "fine", "--gate-version", "7"]).status(1);
    assert!(ran.talk.contains("[gate_moved]"), "{ran:?}");
}

#[test]
fn change_that_is_none_is_wrong_usage() {
    let (world, _, gate) = waiting();
    world.run(&["approvals", "override", &gate, "--reason", "x"]).status(2);
    let ran = world.run(&["approvals", "override", &gate, "--set", "amount=lots", "--reason", "x"]).status(1);
    assert!(ran.talk.contains("`amount` is not a text, and `lots` is not JSON"), "{ran:?}");
}

#[test]
fn whoever_created_it_withdraws_what_waits() {
    let (world, id, gate) = waiting();
    world.run(&["instances", "withdraw", &id]).status(0);
    assert_eq!(world.reach(&id, "TERMINATED")["cause"], "withdrawn");
    let ran = world.run(&["approvals", "approve", &gate, "--reason", "fine"]).status(1);
    assert!(ran.talk.starts_with("hint: acting as alice"), "{ran:?}");
}

#[test]
fn whoever_may_decide_gives_humans_more_time_within_bounds() {
    let (world, id, gate) = waiting();
    let shown = || world.run(&["approvals", "show", &gate, "--json"]).status(0).json();
    let before = shown();
    let ran = world.run(&["approvals", "extend", &gate, "--by", "10m"]).status(0);
    assert!(ran.data.contains("the gate has version 2, sealed extended #"), "{ran:?}");
    let after = shown();
    assert_eq!(after["version"], 2);
    assert!(after["deadline"].as_str() > before["deadline"].as_str(), "{before} {after}");
    // Whoever decides over what was seen before is told to look again.
    let stale = ["approvals", "approve", &gate, "--reason", "fine", "--gate-version", "1"];
    assert!(world.run(&stale).status(1).talk.contains("[gate_moved]"));
    let latest = after["latest_deadline"].as_str().unwrap();
    let ran = world.run(&["approvals", "extend", &gate, "--until", latest]).status(0);
    assert!(ran.data.contains(latest), "{ran:?}");
    let ran = world.run(&["approvals", "extend", &gate, "--by", "1s"]).status(1);
    assert!(ran.talk.contains("[extension_out_of_range]"), "{ran:?}");
    let ran = world.run(&["approvals", "extend", &gate, "--by", "1s", "--as", "bob"]).status(1);
    assert!(ran.talk.contains("[self_approval]"), "{ran:?}");
    world.run(&["approvals", "extend", &gate]).status(2);
    world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]).status(0);
    assert_eq!(world.verified(&id, "a.gantral").status(0).json()["verdict"], "VALID");
}

/// Asks, and when people agreed does it.
pub const AGENT: &str = r#"set -eu
if [ -n "${GANTRAL_GRANT:-}" ]; then
  gantral consume
  exec gantral outcome SUCCEEDED
fi
exec gantral ask refund --target order/1001 --set amount=4800
"#;

/// Two of three roles must agree, and two must reject before that refuses.
const TWO_AND_TWO: &str = r#"package gantral.policy

default decision := "REQUIRE_HUMAN"

approver_roles := ["RISK_OFFICER", "TECH_LEAD", "PLATFORM_ADMIN"]

required_approvals := 2

required_rejections := 2
"#;

/// Starts a world in which one agent waits at a gate of this policy.
fn waiting_under(policy: &str) -> (World, String, String) {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    std::fs::create_dir(world.path("policy")).unwrap();
    std::fs::write(world.path("policy/policy.rego"), policy).unwrap();
    world.run(&["policy", "publish", "policy", "--workflow", "refund", "--reason", "two agree"]).status(0);
    world.start_runner();
    let id = world.create();
    let gate = world.reach(&id, "WAITING_FOR_HUMAN")["gate"]["gate_id"].as_str().unwrap().to_owned();
    (world, id, gate)
}

fn says(world: &World, name: &str, word: &str, gate: &str) -> Ran {
    world.run(&["approvals", word, gate, "--reason", "looked at it", "--as", name])
}

/// Returns the events of an instance in the reports of both verifiers, which must call its evidence valid.
pub fn events_in_both(world: &World, id: &str) -> Vec<String> {
    let ours = world.verified(id, "told.gantral").status(0).json();
    let mut command = Command::new(part("python/bin/python"));
    command.arg("-B").arg(repository().join("verifiers/python/gantral_verify.py")).arg("told.gantral");
    command.args(["--trust", "told.gantral.trust.json", "--json"]).current_dir(world.folder());
    let theirs = Ran::of(command.output().unwrap()).status(0).json();
    assert_eq!((&ours["verdict"], &theirs["verdict"]), (&"VALID".into(), &"VALID".into()), "{theirs}");
    let moments = ours["timeline"].as_array().unwrap().iter();
    moments.map(|moment| moment["event"].as_str().unwrap().to_owned()).collect()
}

/// What an approver is told of rejections: how many refuse, and how many there are.
fn against(world: &World, gate: &str) -> (Value, usize) {
    let seen = world.run(&["approvals", "show", gate, "--json"]).status(0).json();
    (seen["required_rejections"].clone(), seen["rejections"].as_array().unwrap().len())
}

#[test]
fn where_policy_asks_for_two_rejections_the_first_is_counted_and_the_second_decides() {
    let (world, id, gate) = waiting_under(TWO_AND_TWO);
    assert_eq!(against(&world, &gate), (2.into(), 0));
    let first = says(&world, "alice", "reject", &gate).status(0);
    assert!(first.data.starts_with("counted REJECT: the gate is still open, sealed vote #"), "{first:?}");
    assert!(first.talk.contains(&format!("hint: gantral approvals show {gate}")), "{first:?}");
    assert_eq!(world.instance(&id)["state"], "WAITING_FOR_HUMAN");
    assert_eq!(against(&world, &gate), (2.into(), 1));
    let shown = world.run(&["approvals", "show", &gate]).status(0).data;
    assert!(shown.contains("refused by  2 rejections"), "{shown}");
    assert!(
        shown.lines().any(|line| line.contains("rejection ") && line.ends_with(" as RISK_OFFICER")),
        "{shown}"
    );
    let listed = world.run(&["approvals", "ls"]).status(0).data;
    assert!(listed.contains("0/2 PLATFORM_ADMIN, RISK_OFFICER, TECH_LEAD, 1/2 against"), "{listed}");

    // Who said no says nothing else, and counts once.
    for word in ["reject", "approve"] {
        let again = says(&world, "alice", word, &gate).status(1);
        assert!(again.talk.contains("[already_voted]"), "{again:?}");
    }
    let second = says(&world, "dave", "reject", &gate).status(0);
    assert!(second.data.starts_with("recorded REJECT: the instance is TERMINATED"), "{second:?}");
    assert_eq!(world.reach(&id, "TERMINATED")["cause"], "rejected");
    let events = events_in_both(&world, &id);
    let decided: Vec<&str> = events.iter().map(String::as_str).skip_while(|event| *event != "vote").collect();
    assert_eq!(decided, ["vote", "rejected", "terminated"]);
}

#[test]
fn a_first_rejection_that_enough_approvals_follow_is_outvoted() {
    let (world, id, gate) = waiting_under(TWO_AND_TWO);
    says(&world, "carol", "reject", &gate).status(0);
    let counted = says(&world, "alice", "approve", &gate).status(0);
    assert!(counted.data.starts_with("counted APPROVE: the gate is still open"), "{counted:?}");
    let decided = says(&world, "dave", "approve", &gate).status(0);
    assert!(decided.data.starts_with("recorded APPROVE: the instance is APPROVED"), "{decided:?}");
    world.reach(&id, "COMPLETED");
    let events = events_in_both(&world, &id);
    assert_eq!(events.iter().filter(|event| *event == "vote").count(), 2);
    assert!(
        ["approved", "consumed", "outcome"].iter().all(|event| events.iter().any(|found| found == event)),
        "{events:?}"
    );
}
