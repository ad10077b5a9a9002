//! A person at the console of a development server, in a real browser.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::provider::parts;
use crate::support::{World, repository};

/// Asks for a refund of 4800 in its first life, and does in its second what was approved.
const AGENT: &str = "set -eu
if [ \"$GANTRAL_ATTEMPT\" = 1 ]; then exec gantral ask refund --target order/1001 --set amount=4800; fi
gantral consume > approved.json
gantral outcome SUCCEEDED\n";

/// Lets somebody work at the browser, and returns everything that they saw; `at_inbox` is called once they look at an empty inbox.
fn work(world: &World, hands: &str, at_inbox: impl FnOnce()) -> Vec<Value> {
    let modules = parts().join("node/node_modules/");
    assert!(modules.is_dir(), "`cargo xtask parts` installs what this test needs");
    let mut command = Command::new("node");
    command
        .arg(repository().join("crates/gantral/tests/browser/console.mjs"))
        .arg(modules)
        .args([world.url(), hands]);
    if let Some(pictures) = std::env::var_os("GANTRAL_PICTURES") {
        command.arg(pictures);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("this test needs node");
    let (mut seen, mut at_inbox): (Vec<Value>, _) = (Vec::new(), Some(at_inbox));
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let what: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if what["at"] == "inbox"
            && let Some(at_inbox) = at_inbox.take()
        {
            at_inbox();
        }
        seen.push(what);
    }
    assert!(child.wait().unwrap().success(), "{seen:?}");
    seen
}

/// Demands that they came to the end, and that nothing was wrong with any page.
#[track_caller]
fn nothing_wrong(seen: &[Value]) {
    let wrong: Vec<&Value> = seen
        .iter()
        .filter(|what| {
            ["failed", "broken", "elsewhere", "impact", "wider"].iter().any(|word| !what[word].is_null())
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.iter().any(|what| what["done"] == true), "{seen:?}");
}

#[test]
fn person_sees_a_refund_come_changes_it_and_the_agent_goes_on() {
    let mut world = World::start();
    world.apply(AGENT, "1m");
    world.start_runner();
    let mut id = String::new();
    let seen = work(&world, "mouse", || id = world.create());
    nothing_wrong(&seen);
    let looked: Vec<&str> = seen.iter().filter_map(|what| what["looked"].as_str()).collect();
    assert_eq!(looked, ["login", "inbox", "gate", "changes", "decided", "execution", "executions", "help"]);
    world.reach(&id, "COMPLETED");
    assert!(world.text("approved.json").contains("480") && !world.text("approved.json").contains("4800"));
    world.verified(&id, "story.gantral").status(0);
}

#[test]
fn person_without_a_mouse_does_the_same() {
    let mut world = World::start();
    world.apply(AGENT, "1m");
    world.start_runner();
    let mut id = String::new();
    nothing_wrong(&work(&world, "keyboard", || id = world.create()));
    world.reach(&id, "COMPLETED");
}
