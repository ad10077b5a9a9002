//! Shell scripts as agents: launched by a runner, with nothing but the environment that it made.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use crate::support::World;

/// Asks, and in its next life acts on what was approved: one line of `paid.txt` for each action.
const AGENT: &str = r#"set -eu
if [ -n "${GANTRAL_GRANT:-}" ]; then
  action=$(gantral consume)
  echo "$action" >> paid.txt
  gantral outcome SUCCEEDED
else
  gantral ask refund --target order/1001 --set amount=4800
fi
"#;

#[test]
fn script_asks_ends_and_is_started_afresh_with_what_was_approved() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    assert_eq!(seen["attempt"], 1);
    let gate = seen["gate"]["gate_id"].as_str().unwrap();
    world
        .run(&["approvals", "override", gate, "--set", "amount=480", "--reason", "one month is owed"])
        .status(0);
    let seen = world.reach(&id, "COMPLETED");
    assert_eq!(seen["attempt"], 2);
    assert_eq!(seen["outcomes"][0]["status"], "SUCCEEDED");
    let paid = r#"{"name":"refund","parameters":{"amount":480,"note":""},"target":"order/1001"}"#;
    assert_eq!(world.text("paid.txt"), format!("{paid}\n"));
    let ran = world.verified(&id, "refund.gantral").status(0);
    assert_eq!(ran.json()["verdict"], "VALID");
}

#[test]
fn directory_form_of_a_bundle_verifies_like_the_file() {
    let mut world = World::start();
    world.apply("exec gantral ask refund --target order/1001 --set amount=1000000", "30s");
    world.start_runner();
    let id = world.create();
    world.reach(&id, "TERMINATED");
    let export =
        ["evidence", "export", &id, "--output", "bundle", "--format", "dir", "--trust-out", "trust.json"];
    let ran = world.run(&export).status(0);
    assert!(ran.talk.contains("proves nothing until you have compared these key ids"), "{ran:?}");
    assert!(world.path("bundle/bundle.json").is_file());
    world.run(&["verify", "bundle", "--trust", "trust.json"]).status(0);
    world.run(&["verify", "bundle"]).status(2);
    let ran = world.run(&export).status(1);
    assert!(ran.talk.contains("cannot make `bundle`"), "{ran:?}");
}

#[test]
fn small_refund_passes_and_completes_without_anybody() {
    let script = r#"set -eu
grant=$(gantral ask refund --target order/7 --set amount=50)
gantral consume --grant "$grant" --action - <<'ACTION'
{"name":"refund","target":"order/7","parameters":{"amount":50,"note":""}}
ACTION
gantral outcome SUCCEEDED --grant "$grant"
"#;
    let mut world = World::start();
    world.apply(script, "30s");
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "COMPLETED");
    assert_eq!(seen["attempt"], 1);
    assert!(seen["gate"].is_null());
}

#[test]
fn another_action_than_the_granted_one_is_refused() {
    let script = r#"grant=$(gantral ask refund --target order/7 --set amount=50) || exit 1
echo '{"name":"refund","target":"order/7","parameters":{"amount":51,"note":""}}' > other.json
gantral consume --grant "$grant" --action other.json 2> refused.txt
exit $?
"#;
    let mut world = World::start();
    world.apply(script, "30s");
    world.start_runner();
    let id = world.create();
    world.reach(&id, "TERMINATED");
    assert!(world.text("refused.txt").contains("[action_changed]"), "{}", world.text("refused.txt"));
}

#[test]
fn denied_action_ends_the_execution_with_the_status_for_it() {
    let mut world = World::start();
    world.apply(
        "gantral ask refund --target order/7 --set amount=1000000; echo $? > status.txt; exit 4",
        "30s",
    );
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "TERMINATED");
    assert_eq!(seen["cause"], "denied");
    assert!(crate::support::wait_until(|| world.text("status.txt") == "4\n"));
}

#[test]
fn watch_follows_an_execution_to_its_end() {
    let mut world = World::start();
    world.apply("exit 7", "30s");
    let id = world.create();
    let mut watch = crate::support::gantral(world.folder())
        .args(["instances", "watch", &id])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Nothing moves before the watcher has said where it begins.
    let mut seen = BufReader::new(watch.stdout.take().unwrap());
    let (mut first, mut rest) = (String::new(), String::new());
    seen.read_line(&mut first).unwrap();
    world.start_runner();
    seen.read_to_string(&mut rest).unwrap();
    let ran = crate::support::Ran::of(watch.wait_with_output().unwrap()).status(0);
    assert!(first.ends_with("CREATED, attempt 0\n"), "{first}");
    assert!(rest.ends_with("TERMINATED (failed), attempt 1\n"), "{rest}");
    assert!(ran.talk.contains(&format!("hint: gantral evidence export {id}")), "{ran:?}");
}
