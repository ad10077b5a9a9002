//! The development server, and commands that find it by its folder.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{World, gantral, run};

#[test]
fn tokens_and_keys_are_their_owners_alone() {
    let world = World::start();
    let folder = world.path(".gantral-dev");
    let mode = |name: &str| folder.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("data"), 0o700);
    for name in [
        "tokens/alice.token",
        "tokens/dev-runner.token",
        "dev-issuer.pem",
        "data/issuer.pk8",
        "data/keys.json",
        "data/log.pk8",
        "data/attempts.pem",
    ] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[test]
fn doctor_finds_a_sound_server_and_says_whom_it_sees() {
    let world = World::start();
    let ran = world.run(&["doctor", "--as", "alice", "--json"]).status(0);
    let findings = ran.json();
    let checks: Vec<&str> =
        findings.as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let expected = ["clock", "policy", "ledger", "keys", "keys", "keys", "keys", "server", "ready", "token"];
    assert_eq!(checks, expected);
    let token = findings.as_array().unwrap().last().unwrap()["detail"].as_str().unwrap();
    assert!(token.contains("Alice, a human of tenant dev; roles RISK_OFFICER; teams payments"), "{token}");
}

#[test]
fn doctor_names_a_key_that_others_can_read() {
    let mut world = World::start();
    let key = world.path(".gantral-dev/data/issuer.pk8");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = world.run(&["doctor"]).status(1);
    assert!(ran.data.contains("has mode 0644"), "{ran:?}");
    world.kill_server();
    let ran = world.run(&["dev", "--listen", "127.0.0.1:0"]).status(1);
    assert!(ran.talk.contains("can be read by others"), "{ran:?}");
}

#[test]
fn everything_is_kept_over_a_restart() {
    let mut world = World::start();
    world.apply("exit 0", "30s");
    let id = world.create();
    world.kill_server();
    let ran = world.run(&["instances", "ls"]).status(1);
    assert!(ran.talk.contains("[unreachable]"), "{ran:?}");
    world.start_server();
    assert_eq!(world.instance(&id)["state"], "CREATED");
}

#[test]
fn development_identities_are_not_served_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["dev", "--listen", "0.0.0.0:0"]).status(1);
    assert!(ran.talk.contains("development identities are for the loopback interface"), "{ran:?}");
}

#[test]
fn acting_as_somebody_is_said_and_can_be_chosen() {
    let world = World::start();
    let ran = world.run(&["instances", "ls"]).status(0);
    assert_eq!(ran.talk, "hint: acting as bob of `./.gantral-dev`; `--as NAME` chooses another\n");
    let ran = world.run(&["instances", "ls", "--as", "alice"]).status(0);
    assert_eq!(ran.talk, "");
    let ran = world.run(&["instances", "ls", "--as", "mallory"]).status(1);
    assert!(ran.talk.contains("`gantral dev` knows no `mallory`"), "{ran:?}");
}

#[test]
fn refusal_of_the_server_is_one_line_with_its_code_and_the_same_as_json() {
    let world = World::start();
    let missing = "5f6b2c1e-3b0a-4f5e-9d2a-0123456789ab";
    let ran = world.run(&["instances", "show", missing]).status(1);
    assert!(ran.talk.lines().any(|line| line == "error: the instance was not found [not_found]"), "{ran:?}");
    let ran = world.run(&["instances", "show", missing, "--json"]).status(1);
    assert_eq!(ran.json()["code"], "not_found");
    assert_eq!(ran.json()["status"], 404);
}

#[test]
fn only_humans_of_the_right_role_apply_and_cancel() {
    let world = World::start();
    world.apply("exit 0", "30s");
    let id = world.create();
    let ran = world.run(&["workflows", "apply", "workflow.toml", "--as", "refund-agent"]).status(1);
    assert!(ran.talk.contains("[forbidden]"), "{ran:?}");
    let ran = world.run(&["instances", "cancel", &id, "--as", "bob"]).status(1);
    assert!(ran.talk.contains("[forbidden]"), "{ran:?}");
    world.run(&["instances", "cancel", &id]).status(0);
    let seen = world.instance(&id);
    assert_eq!((&seen["state"], &seen["cause"]), (&"TERMINATED".into(), &"cancelled".into()));
}

#[test]
fn tokens_beyond_this_machine_need_tls() {
    let world = World::start();
    let token = world.path(".gantral-dev/tokens/bob.token");
    let ran = gantral(world.folder())
        .args(["instances", "ls", "--url", "http://gantral.example.org", "--token-file"])
        .arg(token)
        .output()
        .map(crate::support::Ran::of)
        .unwrap()
        .status(1);
    assert!(ran.talk.contains("plain http is for loopback addresses"), "{ran:?}");
}
