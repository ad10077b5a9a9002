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
