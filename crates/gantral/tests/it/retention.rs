//! Content that goes: when it was kept for its time, and when somebody asks. What verifies stays and verifies.

use std::fs;
use std::time::Duration;

use crate::serve::Site;
use crate::support::{World, repository, run, wait_until};

/// For how long content is kept, and a little.
const KEPT: Duration = Duration::from_millis(1_500);

#[test]
fn content_of_what_has_ended_goes_after_its_time_and_what_is_open_keeps_its_own() {
    let site = Site::new();
    let usual = site.configuration("127.0.0.1:0");
    let usual = usual.replace("tenant = 'acme'\n", "tenant = 'acme'\nadmin_roles = ['DEVELOPER']\n");
    fs::write(site.path("gantral.toml"), &usual).unwrap();
    let configuration = format!("{usual}[retention]\ncontent = '1s'\n");
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let definition = repository().join("examples/split-agent/workflow.toml");
    site.run(&url, "console", &["workflows", "apply", definition.to_str().unwrap()]).status(0);
    let create = || {
        let words = ["instances", "create", "split-refund", "--set", "order=canary-4711"];
        site.run(&url, "refund-agent", &words).status(0).word()
    };
    let (ended, open) = (create(), create());
    site.run(&url, "console", &["instances", "cancel", &ended]).status(0);
    let exported = |url: &str, id: &str, name: &str| {
        let mut export = vec!["evidence", "export", id, "--output", name];
        // Pinned once, before anything was erased.
        if !site.path("trust.json").exists() {
            export.extend(["--trust-out", "trust.json"]);
        }
        site.run(url, "console", &export).status(0);
        let verified = run(&site.path(""), &["verify", name, "--trust", "trust.json", "--json"]).status(0);
        let discloses = String::from_utf8_lossy(&fs::read(site.path(name)).unwrap()).contains("disclosures/");
        (verified.json(), discloses)
    };
    let (before, discloses) = exported(&url, &ended, "before.gantral");
    assert!(discloses);
    assert_eq!(before["verdict"], "VALID");
    // Whoever configures it: what ended before goes too, in the first pass.
    assert_eq!(server.stop(), Some(0));
    std::thread::sleep(KEPT);
    fs::write(site.path("gantral.toml"), configuration).unwrap();
    let (_server, url) = site.serve();
    let mut number = 0;
    assert!(wait_until(|| {
        number += 1;
        !exported(&url, &ended, &format!("after-{number}.gantral")).1
    }));
    let (after, _) = exported(&url, &ended, "after.gantral");
    assert_eq!(after["verdict"], "VALID");
    assert_eq!(after["timeline"], before["timeline"]);
    assert!(after.to_string().contains("N_WITHHELD"), "{after}");
    assert!(exported(&url, &open, "open.gantral").1, "what has not ended keeps its content");
    let shown = site.run(&url, "console", &["instances", "show", &ended, "--json"]).status(0).json();
    assert_eq!(shown["state"], "TERMINATED");
    let ledger: Vec<u8> = ["data/ledger.db", "data/ledger.db-wal"]
        .into_iter()
        .flat_map(|file| fs::read(site.path(file)).unwrap_or_default())
        .collect();
    let left = ledger.windows(11).filter(|window| *window == b"canary-4711").count();
    assert_eq!(left, 1, "the open one has it, and nothing else");
}

#[test]
fn content_of_one_execution_is_erased_on_request_and_the_evidence_says_by_right() {
    let world = World::start();
    world.run(&["run", "--", "sh", "-c", "echo canary"]).status(3);
    let gates = world.run(&["approvals", "ls", "--json"]).status(0).json();
    let id = gates["items"][0]["instance_id"].as_str().unwrap().to_owned();
    let gate = gates["items"][0]["gate_id"].as_str().unwrap();
    let reject = ["approvals", "reject", gate, "--reason", "it is not what was agreed with the customer"];
    world.run(&[&reject[..], &["--as", "alice"]].concat()).status(0);
    world.verified(&id, "before.gantral").status(0);
    let erased = world.run(&["governance", "erase", "instance", &id]).status(0);
    assert!(erased.data.contains("it is erased here: erased #"), "{erased:?}");
    let verified = world.verified(&id, "after.gantral").status(0);
    assert_eq!(verified.json()["verdict"], "VALID");
    // What was erased by right is not withheld.
    assert!(!verified.data.contains("N_WITHHELD"), "{verified:?}");
    let bundle = String::from_utf8_lossy(&fs::read(world.path("after.gantral")).unwrap()).into_owned();
    assert!(!bundle.contains("disclosures/"), "something is left");
    // Again: nothing is left to do, and nothing more is sealed.
    let again = world.run(&["governance", "erase", "instance", &id]).status(0);
    assert!(again.data.contains("nothing new"), "{again:?}");
    world.run(&["instances", "show", &id]).status(0);
}
