//! Killing whatever can be killed, at the worst moment: no authority without an artifact, nothing done twice, and a clear
//! word about it.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{World, wait_until};

/// Asks, and in its next life acts on what was approved: one line of `paid.txt` for each action.
const AGENT: &str = r#"set -eu
if [ -n "${GANTRAL_GRANT:-}" ]; then
  gantral consume >> paid.txt
  gantral outcome SUCCEEDED
else
  gantral ask refund --target order/1001 --set amount=4800
fi
"#;

fn gate_of(instance: &serde_json::Value) -> String {
    instance["gate"]["gate_id"].as_str().unwrap().to_owned()
}

fn approve(world: &World, gate: &str) {
    world.run(&["approvals", "approve", gate, "--reason", "it is owed"]).status(0);
}

#[test]
fn gate_survives_the_death_of_the_server() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let id = world.create();
    let gate = gate_of(&world.reach(&id, "WAITING_FOR_HUMAN"));
    world.kill_server();
    let ran = world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]).status(1);
    assert!(ran.talk.contains("[unreachable]"), "{ran:?}");
    assert_eq!(world.text("paid.txt"), "");
    world.start_server();
    assert_eq!(gate_of(&world.reach(&id, "WAITING_FOR_HUMAN")), gate);
    approve(&world, &gate);
    world.reach(&id, "COMPLETED");
    assert_eq!(world.text("paid.txt").lines().count(), 1);
    assert_eq!(world.verified(&id, "a.gantral").status(0).json()["verdict"], "VALID");
}

#[test]
fn attempt_goes_on_when_the_server_comes_back_within_its_lease() {
    let mut world = World::start();
    world.apply("touch begun; while [ ! -e go ]; do sleep 0.1; done", "30s");
    world.start_runner();
    let id = world.create();
    assert!(wait_until(|| world.path("begun").exists()));
    world.kill_server();
    fs::write(world.path("go"), "").unwrap();
    // The process ends while nobody can be told of it.
    std::thread::sleep(std::time::Duration::from_secs(2));
    world.start_server();
    assert_eq!(world.reach(&id, "COMPLETED")["attempt"], 1);
    assert_eq!(world.verified(&id, "a.gantral").status(0).json()["verdict"], "VALID");
}

#[test]
fn action_whose_runner_died_after_consuming_is_never_run_again_by_itself() {
    let script = r#"set -eu
if [ -n "${GANTRAL_GRANT:-}" ]; then
  gantral consume >> paid.txt
  sleep 600
else
  gantral ask refund --target order/1001 --set amount=4800
fi
"#;
    let mut world = World::start();
    world.apply(script, "2s");
    world.start_runner();
    let id = world.create();
    let gate = gate_of(&world.reach(&id, "WAITING_FOR_HUMAN"));
    approve(&world, &gate);
    assert!(wait_until(|| world.text("paid.txt").lines().count() == 1));
    world.kill_runner();
    let unknown = |seen: &serde_json::Value| seen["outcomes"][0]["status"] == "UNKNOWN";
    assert!(wait_until(|| unknown(&world.instance(&id))), "{}", world.instance(&id));
    world.start_runner();
    // Longer than a claim and a lease: whoever wanted to run it again would have.
    std::thread::sleep(std::time::Duration::from_secs(4));
    let seen = world.instance(&id);
    assert_eq!((&seen["state"], seen["attempt"].as_u64()), (&"RUNNING".into(), Some(2)));
    assert_eq!(world.text("paid.txt").lines().count(), 1);
    let ran = world.run(&["instances", "show", &id]).status(0);
    assert!(ran.talk.contains(&format!("gantral instances reconcile {id}")), "{ran:?}");
    let grant = seen["outcomes"][0]["grant_id"].as_str().unwrap();
    let settle = ["--status", "SUCCEEDED", "--next", "terminate", "--reason", "the bank has paid once"];
    world.run(&[&["instances", "reconcile", &id, grant][..], &settle].concat()).status(0);
    assert_eq!(world.reach(&id, "TERMINATED")["outcomes"][0]["status"], "SUCCEEDED");
    assert_eq!(world.text("paid.txt").lines().count(), 1);
    assert_eq!(world.verified(&id, "a.gantral").status(0).json()["verdict"], "VALID");
}

#[test]
fn nothing_that_a_dead_runner_launched_goes_on() {
    let mut world = World::start();
    world.apply("sleep 600.75 & wait", "2s");
    world.start_runner();
    let id = world.create();
    world.reach(&id, "RUNNING");
    let alive = || {
        let listed = Command::new("pgrep").args(["-f", "^sleep 600.75$"]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap().lines().count()
    };
    assert!(wait_until(|| alive() == 1));
    world.kill_runner();
    assert!(wait_until(|| alive() == 0));
}

#[test]
fn lost_attempt_is_replaced_by_the_next_one() {
    let mut world = World::start();
    world.apply("echo $GANTRAL_ATTEMPT >> attempts.txt; test $GANTRAL_ATTEMPT -gt 1 || sleep 600", "2s");
    world.start_runner();
    let id = world.create();
    assert!(wait_until(|| world.text("attempts.txt") == "1\n"));
    world.kill_runner();
    world.start_runner();
    assert_eq!(world.reach(&id, "COMPLETED")["attempt"], 2);
    assert_eq!(world.text("attempts.txt"), "1\n2\n");
}

/// Returns the processes of the server's policy workers.
fn workers(world: &World) -> Vec<String> {
    let parent = world.server_pid().to_string();
    let listed = Command::new("pgrep").args(["-P", &parent, "-f", "policy-worker"]).output().unwrap();
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Sends a signal to every policy worker of the server; returns how many there were.
fn signal_workers(world: &World, signal: &str) -> usize {
    let workers = workers(world);
    for pid in &workers {
        Command::new("kill").args([signal, pid]).status().unwrap();
    }
    workers.len()
}

/// An allocator that takes a GiB of address space at the start would hold it beyond the limit that the worker sets on
/// itself later, and make that limit mean nothing.
#[test]
fn policy_worker_holds_little_address_space_when_its_limit_is_set() {
    let world = World::start();
    assert!(wait_until(|| !workers(&world).is_empty()));
    for pid in workers(&world) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
        let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kibibytes < 256 << 10, "{kibibytes} KiB");
    }
}

#[test]
fn death_of_idle_policy_workers_is_noticed_by_nobody() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    for _ in 0..3 {
        assert!(signal_workers(&world, "-KILL") > 0);
        let id = world.create();
        let seen = world.reach(&id, "WAITING_FOR_HUMAN");
        assert_eq!(seen["gate"]["reasons"][0], "a refund of 4800 is above 100");
    }
}

/// Asks for what the policy allows, and says in `said.txt` how that went.
const SMALL: &str = r#"touch "$GANTRAL_INSTANCE_ID.asks"
gantral ask refund --target order/7 --set amount=50 --consume > said.txt
echo $? > status.txt
test "$(cat status.txt)" = 3 && exit 3
gantral outcome SUCCEEDED --grant "$(cat said.txt)"
"#;

#[test]
fn policy_worker_that_hangs_in_mid_evaluation_grants_nothing() {
    let mut world = World::start();
    world.apply(SMALL, "30s");
    assert!(wait_until(|| signal_workers(&world, "-STOP") > 0));
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    // The agent learns it, and exits.
    assert!(wait_until(|| world.text("status.txt") == "3\n"));
    // The failure is on record, and a human sees it.
    let reasons = seen["gate"]["reasons"].to_string();
    assert!(reasons.contains("did not answer in time"), "{reasons}");
    assert_eq!(world.verified(&id, "a.gantral").status(0).json()["verdict"], "VALID");
    // Those that hang are found one by one, and replaced.
    assert!(wait_until(|| settled(&world, &world.create()) == "COMPLETED"));
}

#[test]
fn policy_worker_that_is_killed_in_mid_evaluation_grants_nothing_by_itself() {
    let mut world = World::start();
    world.apply(SMALL, "30s");
    world.start_runner();
    for _ in 0..3 {
        // A worker that died is started again for the next ask.
        assert!(wait_until(|| settled(&world, &world.create()) == "COMPLETED"));
        assert!(signal_workers(&world, "-STOP") > 0);
        let id = world.create();
        let asks = world.path(&format!("{id}.asks"));
        assert!(wait_until(|| asks.exists()), "{}\n{}", world.text("server.log"), world.text("runner.log"));
        // The ask has reached a worker that stands still, or is about to, and the worker dies under it.
        assert!(wait_until(|| {
            signal_workers(&world, "-KILL");
            is_settled(&world.instance(&id))
        }));
        assert_eq!(world.verified(&id, &format!("{id}.gantral")).status(0).json()["verdict"], "VALID");
    }
}

fn is_settled(instance: &serde_json::Value) -> bool {
    ["WAITING_FOR_HUMAN", "COMPLETED"].iter().any(|state| instance["state"] == *state)
}

/// Waits until an instance waits or has ended well; returns its state.
fn settled(world: &World, id: &str) -> String {
    assert!(wait_until(|| is_settled(&world.instance(id))), "{}", world.instance(id));
    world.instance(id)["state"].as_str().unwrap().to_owned()
}

#[test]
fn secrets_reach_the_process_and_nothing_else() {
    const CANARY: &str = "canary-7f3a9c51d2";
    let mut world = World::start();
    let agent = "test \"$TOKEN\" = \"$(cat secret.txt)\" && echo matched > seen.txt\n";
    fs::write(world.path("secret.txt"), CANARY).unwrap();
    world.apply(agent, "30s");
    let reference = format!("\n[run.secrets]\nTOKEN = 'file:{}'\n", world.path("secret.txt").display());
    let definition = world.text("workflow.toml").replace("version = '1'", "version = '2'") + &reference;
    fs::write(world.path("workflow.toml"), definition).unwrap();
    world.run(&["workflows", "apply", "workflow.toml"]).status(0);
    world.start_runner();
    let id = world.create();
    world.reach(&id, "COMPLETED");
    assert_eq!(world.text("seen.txt"), "matched\n");
    world.verified(&id, "a.gantral").status(0);
    let own = [world.path("secret.txt")];
    let holders: Vec<_> =
        files(world.folder()).into_iter().filter(|path| !own.contains(path) && holds(path, CANARY)).collect();
    assert_eq!(holders, Vec::<std::path::PathBuf>::new());
}

#[test]
fn secret_in_a_parameter_is_refused_and_kept_nowhere() {
    const CANARY: &str = "ghp_canaryCANARYcanary0123456789";
    let script = format!(
        "gantral ask refund --target order/1 --set amount=4800 --set note={CANARY} 2> said.txt; exit $?"
    );
    let mut world = World::start();
    world.apply(&script, "30s");
    world.start_runner();
    let id = world.create();
    world.reach(&id, "TERMINATED");
    assert!(world.text("said.txt").contains("[secret_inline]"), "{}", world.text("said.txt"));
    let own = [world.path("agent.sh")];
    let holders: Vec<_> =
        files(world.folder()).into_iter().filter(|path| !own.contains(path) && holds(path, CANARY)).collect();
    assert_eq!(holders, Vec::<std::path::PathBuf>::new());
}

#[test]
fn parameter_stands_in_its_snapshot_and_in_no_log_or_artifact() {
    const CANARY: &str = "canary-parameter-0b6e";
    let script = format!("gantral ask refund --target order/1 --set amount=4800 --set note={CANARY}");
    let mut world = World::start();
    world.apply(&script, "30s");
    world.start_runner();
    let id = world.create();
    let gate = gate_of(&world.reach(&id, "WAITING_FOR_HUMAN"));
    world.run(&["approvals", "reject", &gate, "--reason", "not owed"]).status(0);
    world.reach(&id, "TERMINATED");
    world.run(&["evidence", "export", &id, "--output", "a.gantral", "--format", "dir"]).status(0);
    let holders: Vec<_> = files(world.folder()).into_iter().filter(|path| holds(path, CANARY)).collect();
    let below = |part: &str| world.path(part);
    let (own, disclosed) = (below("agent.sh"), below("a.gantral/disclosures"));
    let declared = |path: &std::path::PathBuf| {
        *path == own
            || path.starts_with(&disclosed)
            || path.starts_with(below(".gantral-dev/data"))
                && path.file_name().unwrap().to_str().unwrap().starts_with("ledger.db")
    };
    let elsewhere: Vec<_> = holders.iter().filter(|path| !declared(path)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert!(holders.iter().any(|path| path.starts_with(&disclosed)), "{holders:?}");
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Says whether a file has a text, as it is or within something that is written in base64, as artifacts are.
fn holds(path: &std::path::Path, needle: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    let encoded = (0..3).map(|before| within_base64(needle, before));
    encoded
        .chain([needle.to_owned()])
        .any(|form| bytes.windows(form.len()).any(|part| part == form.as_bytes()))
}

/// Returns the characters that a text leads to in base64 wherever `before` bytes, modulo 3, precede it.
fn within_base64(needle: &str, before: usize) -> String {
    let text = [&vec![0; before], needle.as_bytes()].concat();
    let certain = (before * 8).div_ceil(6)..text.len() * 8 / 6;
    STANDARD.encode(&text)[certain].to_owned()
}

#[test]
fn text_within_base64_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for before in 0..6 {
        for after in 0..3 {
            let text = format!("{}canary{}", "x".repeat(before), "y".repeat(after));
            fs::write(&file, STANDARD.encode(text)).unwrap();
            assert!(holds(&file, "canary"), "{before} {after}");
            assert!(!holds(&file, "camary"), "{before} {after}");
        }
    }
}
