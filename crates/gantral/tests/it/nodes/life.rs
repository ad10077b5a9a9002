//! One story told to several servers: whatever was said to one is true on all of them at once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use gantral_testkit::cluster::shared;

use super::crowd::Crowd;
use super::fleet::Fleet;
use crate::support::{Killed, block_on, runner, wait_until};

/// Asks for what takes a human, and carries it out once that is granted.
const AGENT: &str = r#"
if [ -n "$GANTRAL_GRANT" ]; then
  gantral consume > approved.json || exit 1
  echo done >> acted
  gantral outcome SUCCEEDED
  exit $?
fi
gantral ask refund --target order/7 --set amount=4800 > /dev/null
exit $?
"#;

#[test]
fn story_that_is_told_to_several_servers_is_one_story() {
    let fleet = Fleet::start(2);
    fleet.trust();
    fleet.apply(0, Some(AGENT));
    let id = fleet.create(0);
    let log = std::fs::File::create(fleet.path("runner.log")).unwrap();
    let token = fleet.path("runner");
    let runner = runner(fleet.folder(), "default")
        .args(["--url", fleet.url(0), "--token-file", token.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let _runner = Killed::of(runner);
    // The runner talks to the first server, the approver and whoever looks to the second one.
    fleet.reach(1, &id, "WAITING_FOR_HUMAN");
    let gates = fleet.run(1, "rita", &["approvals", "ls", "--json"]).status(0).json();
    let gate =
        gates.as_array().map_or(&gates["items"], |_| &gates)[0]["gate_id"].as_str().unwrap().to_owned();
    let approve = ["approvals", "approve", &gate, "--reason", "seen and found in order"];
    fleet.run(1, "rita", &approve).status(0);
    fleet.reach(1, &id, "COMPLETED");
    assert_eq!(std::fs::read_to_string(fleet.path("acted")).unwrap(), "done\n");
    for number in [0, 1] {
        assert_eq!(fleet.verified(number, &id).status(0).json()["verdict"], "VALID");
        std::fs::remove_file(fleet.path(&format!("{id}.gantral"))).unwrap();
    }
}

#[test]
fn policy_that_is_activated_at_one_server_decides_at_the_next_ask_at_the_other() {
    let fleet = Fleet::start(2);
    fleet.apply(0, None);
    // Both have asked under the first policy and remember it.
    let mut crowd = Crowd::new(&fleet);
    for number in [0, 1] {
        assert_eq!(crowd.answer(number, 50), "ALLOW");
    }
    let folder = fleet.path("deny");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("policy.rego"), "package gantral.policy\ndefault decision := \"DENY\"\n")
        .unwrap();
    let published =
        fleet.run(0, "dora", &["policy", "publish", folder.to_str().unwrap(), "--json"]).status(0);
    let version = published.json()["policy_version_id"].as_str().unwrap().to_owned();
    for (there, elsewhere) in [(0, 1), (1, 0)] {
        fleet.run(there, "dora", &["policy", "activate", &version, "--workflow", "refund"]).status(0);
        assert_eq!(crowd.answer(elsewhere, 50), "DENY");
        let back = fleet.run(there, "dora", &["policy", "rollback", "--workflow", "refund"]);
        back.status(0);
        assert_eq!(crowd.answer(elsewhere, 50), "ALLOW");
    }
}

#[test]
fn freeze_at_one_server_holds_at_the_other_and_its_end_too() {
    let fleet = Fleet::start(2);
    fleet.apply(0, None);
    let mut crowd = Crowd::new(&fleet);
    assert_eq!(crowd.answer(1, 50), "ALLOW");
    let why = ["--reason", "something is wrong here"];
    fleet.run(0, "dora", &[&["freeze", "--workflow", "refund"][..], &why].concat()).status(0);
    assert_eq!(crowd.answer(1, 50), "frozen");
    fleet.run(1, "dora", &[&["unfreeze", "--workflow", "refund"][..], &why].concat()).status(0);
    assert_eq!(crowd.answer(0, 50), "ALLOW");
}

#[test]
fn long_poll_at_one_server_is_answered_by_a_decision_at_the_other() {
    let fleet = Fleet::start(2);
    fleet.apply(1, None);
    let mut crowd = Crowd::new(&fleet);
    for (waits, decides) in [(0, 1), (1, 0)] {
        let waiting = crowd.at_gate(waits);
        let mut poll = crowd.poll(waits, &waiting, Duration::from_secs(50));
        // It hangs before anything is decided.
        std::thread::sleep(Duration::from_millis(500));
        assert!(!poll.is_finished());
        let began = Instant::now();
        crowd.decide(decides, &waiting, true);
        assert_eq!(crowd.join(&mut poll), "APPROVED");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "the poll was answered after {took:?}");
    }
}

#[test]
fn database_that_is_lost_makes_servers_unready_and_all_goes_on_by_itself_when_it_is_back() {
    let fleet = Fleet::start(2);
    fleet.apply(0, None);
    let mut crowd = Crowd::new(&fleet);
    assert_eq!(crowd.answer(1, 50), "ALLOW");
    let block = |allow: bool| {
        block_on(async {
            let raw = shared().raw("postgres").await;
            let name = fleet.database();
            let allowed = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}");
            raw.batch_execute(&allowed).await.unwrap();
            let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
            raw.query_one(end, &[&name]).await.unwrap();
        });
    };
    block(false);
    for number in [0, 1] {
        assert!(wait_until(|| !fleet.is_ready(number)), "node {number} is still ready");
    }
    assert_eq!(crowd.refusal(0), "ledger_unavailable");
    block(true);
    for number in [0, 1] {
        fleet.ready(number);
        assert_eq!(crowd.answer(number, 50), "ALLOW");
    }
}
