//! People who look after the rules at the console, in a real browser and without a mouse.

use crate::console::{nothing_wrong, play};
use crate::machines::write_workflow;
use crate::provider::Followed;
use crate::support::World;

/// Asks, is only observed, and ends.
const AGENT: &str = "set -eu
gantral ask refund --target order/7 --set amount=$(($(date +%s%N) / 1000000 % 2 * 4000 + 100)) > /dev/null
gantral ask refund --target order/8 --set amount=900 > /dev/null\n";

#[test]
fn person_freezes_lends_and_reads_the_rules_by_keyboard_alone() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    world.run(&["enforce", "disable", "--workflow", "refund", "--reason", "two weeks of looking"]).status(0);
    for _ in 0..3 {
        let id = world.create();
        world.reach(&id, "COMPLETED");
    }
    let seen = play("oversight.mjs", world.url(), "rules", || {});
    nothing_wrong(&seen);
    let looked: Vec<&str> = seen.iter().filter_map(|what| what["looked"].as_str()).collect();
    let expected = [
        "policies",
        "recorded",
        "freezes",
        "delegations",
        "policy",
        "observed",
        "history",
        "log",
        "proposals-none",
        "help",
    ];
    assert_eq!(looked, expected);
    let chain = world.run(&["governance", "ls", "--json"]).status(0).json();
    let events: Vec<&str> =
        chain["items"].as_array().unwrap().iter().filter_map(|event| event["event"].as_str()).collect();
    assert!(events.ends_with(&["frozen", "lifted", "delegated", "delegation_revoked"]), "{events:?}");
}

#[test]
fn two_persons_change_the_policy_by_keyboard_alone() {
    let site = Followed::new();
    site.configure("[four_eyes]\npolicy = true\n");
    let (_server, url) = site.serve();
    write_workflow(&site, &["true"]);
    let otto = site.provider.human_token("otto");
    site.run(&url, &otto, &["workflows", "apply", "workflow.toml"]).status(3);
    let seen = play("oversight.mjs", &url, "proposals", || {});
    nothing_wrong(&seen);
    let proposals =
        site.run(&url, &site.provider.human_token("pia"), &["proposals", "ls", "--all", "--json"]);
    assert_eq!(proposals.status(0).json()["items"][0]["state"], "confirmed");
}

#[test]
fn person_who_is_asked_again_proposes_a_rule_and_another_confirms_it_by_keyboard_alone() {
    let world = World::start();
    let run = ["run", "--", "sh", "-c", "echo done >> done.txt"];
    world.run(&run).status(3);
    let seen = play("oversight.mjs", world.url(), "rule", || {});
    nothing_wrong(&seen);
    let looked: Vec<&str> = seen.iter().filter_map(|what| what["looked"].as_str()).collect();
    assert_eq!(looked, ["rule-form", "rule"]);
    let gate = world.run(&["approvals", "ls", "--json"]).status(0).json()["items"][0]["gate_id"].clone();
    let gate = gate.as_str().unwrap();
    world.run(&["approvals", "approve", gate, "--reason", "fine"]).status(0);
    for lines in 1..=3 {
        world.run(&run).status(0);
        assert_eq!(world.text("done.txt"), "done\n".repeat(lines), "as approved, and twice by the rule");
    }
    world.run(&["run", "--", "sh", "-c", "echo other >> done.txt"]).status(3);
    world.run(&run).status(3);
    assert_eq!(world.text("done.txt"), "done\n".repeat(3));
}

#[test]
fn person_decides_for_another_and_freezes_in_a_browser_without_scripts() {
    let mut world = World::start();
    world.apply("exec gantral ask refund --target order/1 --set amount=4800", "30s");
    let definition = world.text("workflow.toml").replace("version = '1'", "version = '2'");
    let definition = format!("{definition}break_glass_roles = ['PLATFORM_ADMIN']\n");
    std::fs::write(world.path("workflow.toml"), definition).unwrap();
    world.run(&["workflows", "apply", "workflow.toml"]).status(0);
    world.start_runner();
    let id = world.create();
    world.reach(&id, "WAITING_FOR_HUMAN");
    let add = ["delegations", "add", "--to", "dave", "--roles", "RISK_OFFICER", "--for", "1h"];
    world.run(&[&add[..], &["--reason", "on holiday"]].concat()).status(0);
    nothing_wrong(&play("oversight.mjs", world.url(), "acting", || {}));
    let frozen = world.run(&["freeze", "ls"]).status(0).data;
    assert!(frozen.contains("looking into it"), "{frozen}");
    let events = crate::approvals::events_in_both(&world, &id);
    assert!(events.contains(&"approved".to_owned()), "{events:?}");
}
