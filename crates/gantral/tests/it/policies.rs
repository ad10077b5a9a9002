//! A platform engineer changes policy from the command line: publish, put in force, look, take back.

use crate::support::{World, repository};

/// Asks for 900 and acts at once where policy lets it.
const AGENT: &str = r#"gantral ask refund --target order/7 --set amount=900 --consume > "$GANTRAL_INSTANCE_ID.said"
test $? = 3 && exit 3
gantral outcome SUCCEEDED --grant "$(cat "$GANTRAL_INSTANCE_ID.said")"
"#;

/// A policy that allows up to an amount.
fn policy(world: &World, name: &str, limit: u32) -> String {
    let folder = world.path(name);
    std::fs::create_dir(&folder).unwrap();
    let text = format!(
        "package gantral.policy\n\ndefault decision := \"REQUIRE_HUMAN\"\n\napprover_roles := [\"RISK_OFFICER\"]\n\n\
         decision := \"ALLOW\" if input.action.parameters.amount <= {limit}\n"
    );
    std::fs::write(folder.join("policy.rego"), text).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn threshold_is_changed_without_touching_workflow_or_agent_and_rolled_back() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let ended = |world: &World| {
        let id = world.create();
        let state = crate::support::wait_until(|| {
            ["WAITING_FOR_HUMAN", "COMPLETED"].contains(&world.instance(&id)["state"].as_str().unwrap())
        });
        assert!(state);
        world.instance(&id)["state"].as_str().unwrap().to_owned()
    };
    let (low, high) = (policy(&world, "low", 500), policy(&world, "high", 1_000));
    let put = |folder: &str, why: &str| {
        let ran =
            world.run(&["policy", "publish", folder, "--workflow", "refund", "--reason", why, "--json"]);
        ran.status(0).json()["policy_version_id"].as_str().unwrap().to_owned()
    };
    let first = put(&low, "start low");
    assert_eq!(ended(&world), "WAITING_FOR_HUMAN");
    let second = put(&high, "finance agreed to more");
    assert_eq!(ended(&world), "COMPLETED");
    let listed = world.run(&["policy", "ls"]).status(0).data;
    let line = |version: &str| listed.lines().find(|line| line.contains(version)).unwrap().to_owned();
    assert!(line(&second).ends_with("workflow refund"), "{listed}");
    assert!(line(&first).ends_with(&first), "{listed}");

    let stale = world.run(&["policy", "rollback", "--workflow", "refund", "--present", &first]).status(1);
    assert!(stale.talk.contains("[policy_moved]"), "{stale:?}");
    let back = world.run(&["policy", "rollback", "--workflow", "refund", "--reason", "too much"]).status(0);
    assert!(back.data.contains(&first), "{back:?}");
    assert_eq!(ended(&world), "WAITING_FOR_HUMAN");

    let history = world.run(&["policy", "history", "--workflow", "refund"]).status(0).data;
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 5, "{history}");
    assert!(lines[1].contains(&first[..16]) && lines[1].ends_with("too much"), "{history}");
    assert!(lines[2].contains(&second[..16]) && lines[2].ends_with("finance agreed to more"), "{history}");
    assert!(lines[4].contains("  none  "), "{history}");
    let none = world.run(&["policy", "history", "--team", "payments"]).status(0).data;
    assert_eq!(none.trim(), "no policy was put in force");
}

#[test]
fn published_bundle_is_shown_and_written_as_it_was() {
    let world = World::start();
    let folder = repository().join("policies/refunds");
    let ran = world.run(&["policy", "publish", folder.to_str().unwrap(), "--json"]).status(0);
    let version = ran.json()["policy_version_id"].as_str().unwrap().to_owned();
    let shown = world.run(&["policy", "show", &version]).status(0).data;
    assert!(shown.contains("# policy.rego\n# Refunds: small ones pass"), "{shown}");
    world.run(&["policy", "show", &version, "--output", "copy"]).status(0);
    let same = |name: &str| {
        std::fs::read(world.path("copy").join(name)).unwrap() == std::fs::read(folder.join(name)).unwrap()
    };
    assert!(same("policy.rego") && same("policy_test.rego"));
    let again = world.run(&["policy", "show", &version, "--output", "copy"]).status(1);
    assert!(again.talk.contains("cannot write `copy`"), "{again:?}");
    let unknown = world.run(&["policy", "show", &"0".repeat(64)]).status(1);
    assert!(unknown.talk.contains("[policy_unknown]"), "{unknown:?}");
    // A scope is exactly one, and always named.
    world.run(&["policy", "activate", &version]).status(2);
    world.run(&["policy", "activate", &version, "--tenant", "--team", "payments"]).status(2);
}

#[test]
fn change_is_compared_over_recorded_asks_before_it_is_published() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let (low, high) = (policy(&world, "low", 500), policy(&world, "high", 1_000));
    let published = world.run(&["policy", "publish", &low, "--workflow", "refund", "--json"]).status(0);
    let version = published.json()["policy_version_id"].as_str().unwrap().to_owned();
    let id = world.create();
    assert!(crate::support::wait_until(|| world.instance(&id)["state"] == "WAITING_FOR_HUMAN"));

    let shown = world.run(&["policy", "diff", &version, &high, "--workflow", "refund"]).status(0).data;
    assert!(shown.contains("1 asks of 1 instances"), "{shown}");
    let row = shown.lines().find(|line| line.starts_with("REQUIRE_HUMAN")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["REQUIRE_HUMAN", "1", "0", "0", "0"], "{shown}");
    assert!(shown.contains("REQUIRE_HUMAN -> ALLOW: 1\n") && shown.contains(&id), "{shown}");
    let pages = shown.lines().find(|line| line.starts_with("RISK_OFFICER")).unwrap();
    assert_eq!(pages.split_whitespace().nth(1), Some("1"), "{shown}");
    assert_eq!(pages.split_whitespace().nth(2), Some("0"), "{shown}");

    let ran = world.run(&["policy", "diff", &low, &high, "--json"]).status(0).json();
    assert_eq!((&ran["a"], &ran["gates"]), (&version.as_str().into(), &1.into()));
    // The other was compared and nothing more: it is not there, and nothing came of the gate.
    let listed = world.run(&["policy", "ls"]).status(0).data;
    assert!(!listed.contains(ran["b"].as_str().unwrap()), "{listed}");
    assert_eq!(world.instance(&id)["state"], "WAITING_FOR_HUMAN");
    let missing = world.run(&["policy", "diff", &version, "no-such-folder"]).status(1);
    assert!(missing.talk.contains("`no-such-folder` is no policy bundle"), "{missing:?}");
}

#[test]
fn candidate_is_evaluated_beside_what_is_in_force_until_it_is_cleared() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let (low, high) = (policy(&world, "low", 500), policy(&world, "high", 1_000));
    world.run(&["policy", "publish", &low, "--workflow", "refund"]).status(0);
    let published = world.run(&["policy", "publish", &high, "--json"]).status(0);
    let version = published.json()["policy_version_id"].as_str().unwrap().to_owned();
    let none = world.run(&["policy", "candidate", "status"]).status(0).data;
    assert_eq!(none.trim(), "no policy is a candidate");
    // A scope is exactly one, and always named.
    world.run(&["policy", "candidate", "set", &version]).status(2);
    let set = world.run(&["policy", "candidate", "set", &version, "--workflow", "refund"]).status(0);
    assert!(set.data.starts_with("candidate for workflow refund: nothing is decided by it\n"), "{set:?}");
    assert!(set.talk.contains("gantral policy candidate status"), "{set:?}");

    let id = world.create();
    assert!(crate::support::wait_until(|| world.instance(&id)["state"] == "WAITING_FOR_HUMAN"));
    let status = |world: &World| world.run(&["policy", "candidate", "status", "--json"]).status(0).json();
    assert!(crate::support::wait_until(|| status(&world)["items"][0]["evaluated"] == 1));
    let shown = world.run(&["policy", "candidate", "status"]).status(0).data;
    assert!(
        shown.starts_with(&format!("candidate for workflow refund  {version}\n1 asks since ")),
        "{shown}"
    );
    let row = shown.lines().find(|line| line.starts_with("REQUIRE_HUMAN")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["REQUIRE_HUMAN", "1", "0", "0", "0"], "{shown}");
    assert!(shown.contains("REQUIRE_HUMAN -> ALLOW: 1\n") && shown.contains(&id), "{shown}");
    let pages = shown.lines().find(|line| line.starts_with("RISK_OFFICER")).unwrap();
    assert_eq!(pages.split_whitespace().skip(1).take(2).collect::<Vec<_>>(), ["1", "0"], "{shown}");
    assert_eq!(world.instance(&id)["state"], "WAITING_FOR_HUMAN");

    let unknown = ["policy", "candidate", "set", &"0".repeat(64), "--workflow", "refund"];
    assert!(world.run(&unknown).status(1).talk.contains("[policy_unknown]"));
    let cleared = world.run(&["policy", "candidate", "clear", "--workflow", "refund"]).status(0);
    assert!(cleared.data.contains("no longer a candidate for workflow refund"), "{cleared:?}");
    assert_eq!(status(&world)["items"].as_array().unwrap().len(), 0);
}

#[test]
fn a_gate_is_evaluated_again_under_its_own_version_when_everything_else_is_gone() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let folder = policy(&world, "v0", 500);
    world.run(&["policy", "publish", &folder, "--workflow", "refund"]).status(0);
    let id = world.create();
    let gate = world.reach(&id, "WAITING_FOR_HUMAN")["gate"]["gate_id"].as_str().unwrap().to_owned();
    for version in 1..=10 {
        let folder = policy(&world, &format!("v{version}"), 500 + version);
        world.run(&["policy", "publish", &folder, "--workflow", "refund"]).status(0);
    }
    world.run(&["approvals", "reject", &gate, "--reason", "not this month"]).status(0);
    world.reach(&id, "TERMINATED");
    let export = ["evidence", "export", &id, "--output", "kept.gantral", "--trust-out", "trust.json"];
    world.run(&export).status(0);
    world.kill_runner();
    world.kill_server();
    std::fs::remove_dir_all(world.path(".gantral-dev")).unwrap();
    let ran = world.run(&["verify", "kept.gantral", "--trust", "trust.json", "--replay", "--json"]).status(0);
    assert_eq!(ran.json()["assurance"]["replayed"], 1, "{ran:?}");
}
