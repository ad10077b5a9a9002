//! What approvers see and say on the command line.

use crate::support::World;

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
