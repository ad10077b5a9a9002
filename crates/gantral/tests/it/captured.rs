//! References to what was captured of an action: from the command line into the sealed outcome, and out of a bundle without a server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{World, run};

const ADDRESS: &str = "https://evidence.example.com/calls/17";

/// Reports with an address that would seal a password, then with a good one.
const AGENT: &str = r#"set -eu
grant=$(gantral ask refund --target order/7 --set amount=50 --consume)
digest=$(printf 'what came back' | sha256sum | cut -c 1-64)
if gantral --json outcome SUCCEEDED --grant "$grant" --evidence "answer=$digest,url=https://me:hunter2@host/x" > refused; then exit 1; fi
gantral outcome SUCCEEDED --grant "$grant" \
  --evidence "answer=sha256:$digest,url=https://evidence.example.com/calls/17" --evidence "question=$digest"
"#;

/// Digest of `what came back`.
fn digest() -> String {
    gantral_core::digest::Digest::of(b"what came back").to_hex()
}

#[test]
fn outcome_says_what_was_captured_and_where_and_a_changed_reference_is_found_offline() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "COMPLETED");
    let expected = serde_json::json!([
        {"name": "answer", "digest": digest(), "url": ADDRESS},
        {"name": "question", "digest": digest()},
    ]);
    assert_eq!(seen["outcomes"][0]["evidence"], expected);
    let refused: Value = serde_json::from_str(&world.text("refused")).unwrap();
    assert_eq!(refused["code"], "evidence_refused");
    assert!(!world.text("refused").contains("hunter2"));
    let shown = world.run(&["instances", "show", &id]).status(0).data;
    assert!(shown.contains(&format!("answer sha256:{}, kept at {ADDRESS}", digest())), "{shown}");

    // From here on there is no server, only what was exported.
    let export =
        ["evidence", "export", &id, "--output", "bundle", "--format", "dir", "--trust-out", "trust.json"];
    world.run(&export).status(0);
    world.kill_server();
    let verify = ["verify", "bundle", "--trust", "trust.json"];
    let report = run(world.folder(), &verify).status(0).data;
    let told = format!("captured: answer (SHA-256 {}), kept at {ADDRESS}, question (SHA-256", digest());
    assert!(report.contains(&told), "{report}");

    let (path, envelope) = sealed_outcome(&world);
    for (from, to) in [
        ("calls/17", "calls/18"),
        (r#""name":"answer""#, r#""name":"anther""#),
        (&digest(), &digest().chars().rev().collect::<String>()),
    ] {
        std::fs::write(&path, changed(&envelope, from, to)).unwrap();
        let report = run(world.folder(), &[&verify[..], &["--json"]].concat()).json();
        assert_eq!(report["verdict"], "INVALID", "{from}: {report}");
    }
    std::fs::write(&path, envelope).unwrap();
    run(world.folder(), &verify).status(0);
}

/// The file of the outcome in the exported bundle, and its content.
fn sealed_outcome(world: &World) -> (std::path::PathBuf, String) {
    let files = std::fs::read_dir(world.path("bundle/artifacts")).unwrap();
    let mut read = files.map(|entry| {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    });
    read.find(|(_, text)| payload(text).contains("calls/17")).unwrap()
}

fn payload(envelope: &str) -> String {
    let envelope: Value = serde_json::from_str(envelope).unwrap();
    String::from_utf8(STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap()
}

/// Returns the envelope with something else in its payload, and its signature as it was.
fn changed(envelope: &str, from: &str, to: &str) -> String {
    let before = payload(envelope);
    assert!(before.contains(from), "{before}");
    let after = before.replacen(from, to, 1);
    envelope.replace(&STANDARD.encode(before), &STANDARD.encode(after))
}

#[test]
fn command_names_the_files_that_it_leaves_behind() {
    let world = World::start();
    let evidence = format!("log=answer.log,url={ADDRESS}");
    // `cp` waits for a human; what is named is looked at when the command has ended, and not before.
    std::fs::write(world.path("source"), "what came back").unwrap();
    let words = [
        "run",
        "--evidence",
        &evidence,
        "--evidence",
        "trace=never.there",
        "--",
        "cp",
        "source",
        "answer.log",
    ];
    let gate = world.run(&words).status(3).word();
    world.run(&["approvals", "approve", &gate, "--reason", "it is a copy"]).status(0);
    let ran = world.run(&words).status(0);
    assert!(ran.talk.contains("NO EVIDENCE") && ran.talk.contains("never.there"), "{}", ran.talk);
    let all = world.run(&["instances", "ls", "--workflow", "commands", "--json"]).status(0).json();
    let seen = world.instance(all["items"][0]["instance_id"].as_str().unwrap());
    let expected = serde_json::json!([{"name": "log", "digest": digest(), "url": ADDRESS}]);
    assert_eq!(seen["outcomes"][0]["evidence"], expected, "{seen}");

    // What must not be sealed is refused before anything is asked.
    let count = |world: &World| {
        world.run(&["instances", "ls", "--workflow", "commands", "--json"]).json()["items"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = count(&world);
    let refused =
        world.run(&["run", "--evidence", "log=a,url=https://h/x?sig=hunter2", "--", "true"]).status(1);
    assert!(refused.talk.contains("[evidence_refused]"), "{}", refused.talk);
    assert!(!refused.talk.contains("hunter2"), "{}", refused.talk);
    assert_eq!(count(&world), before);
}
