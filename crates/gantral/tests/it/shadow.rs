//! A team adopts step by step: it observes first, looks at what would have happened, and then enforces; the script is the same throughout.

use crate::support::{World, now, wait_until};

/// Asks, acts on what it may and reports: one line of `paid.txt` for each action.
const AGENT: &str = r#"set -eu
grant=$(gantral ask refund --target order/7 --set amount=900 2>> talk.txt)
gantral consume --grant "$grant" --action - >> paid.txt <<'ACTION'
{"name":"refund","target":"order/7","parameters":{"amount":900,"note":""}}
ACTION
gantral outcome SUCCEEDED --grant "$grant"
"#;

fn ended(world: &World, state: &str) -> String {
    let id = world.create();
    world.reach(&id, state);
    id
}

#[test]
fn team_observes_first_looks_at_what_would_have_happened_and_then_enforces() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let status = world.run(&["enforce", "status"]).status(0).data;
    assert_eq!(status.trim(), "what policy says is enforced everywhere");
    let off = ["enforce", "disable", "--workflow", "refund", "--reason", "two weeks of looking"];
    let said = world.run(&off).status(0).data;
    assert_eq!(said.trim(), "only observed for workflow refund from the next ask on");
    assert!(world.run(&off).status(0).data.contains("it was so already"));
    let status = world.run(&["enforce", "status"]).status(0).data;
    assert!(status.contains("workflow refund  SHADOW"), "{status}");

    let ids = [ended(&world, "COMPLETED"), ended(&world, "COMPLETED")];
    assert_eq!(world.text("paid.txt").lines().count(), 2);
    let talk = world.text("talk.txt");
    assert!(
        talk.contains("ALLOW: only observed, enforced it would be REQUIRE_HUMAN of RISK_OFFICER"),
        "{talk}"
    );
    assert_eq!(
        world.run(&["approvals", "ls", "--json"]).status(0).json()["items"].as_array().unwrap().len(),
        0
    );

    // A stranger finds the story valid, and no claim that anything was enforced.
    let report = world.verified(&ids[0], "refund.gantral").status(0).json();
    assert_eq!(report["verdict"], "VALID");
    assert_eq!(report["assurance"]["enforcement"], "shadow");

    let report = world.run(&["shadow", "report", "--workflow", "refund", "--json"]).status(0).json();
    assert_eq!(report["asks"], serde_json::json!({"allowed": 0, "waited": 2, "denied": 0}));
    assert_eq!(report["executions"], 2);
    assert_eq!(report["roles"][0]["role"], "RISK_OFFICER");
    assert_eq!(report["roles"][0]["pages"], 2);
    let text = world.run(&["shadow", "report"]).status(0).data;
    assert!(text.starts_with("2 asks were only observed, in 2 executions"), "{text}");
    assert!(text.contains("would have waited       2  100 %"), "{text}");
    assert!(text.contains("Pages by role of approvers"), "{text}");
    let nothing = world.run(&["shadow", "report", "--to", "2026-01-01T00:00:00.000Z"]).status(0).data;
    assert!(nothing.starts_with("0 asks"), "{nothing}");

    let on = ["enforce", "enable", "--workflow", "refund"];
    let said = world.run(&on).status(0).data;
    assert_eq!(said.trim(), "enforced for workflow refund from the next ask on");
    ended(&world, "WAITING_FOR_HUMAN");
    assert_eq!(world.text("paid.txt").lines().count(), 2);
    let chain = world.run(&["governance", "ls", "--json"]).status(0).json();
    let modes: Vec<_> = chain["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["event"] == "mode_changed")
        .map(|event| (event["detail"]["mode"].as_str().unwrap(), event["justification"].as_str()))
        .collect();
    assert_eq!(modes, [("SHADOW", Some("two weeks of looking")), ("ENFORCE", None)]);
}

#[test]
fn nothing_is_enforced_before_somebody_could_approve_unless_one_insists() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let folder = world.path("ghosts");
    std::fs::create_dir(&folder).unwrap();
    let text = "package gantral.policy\n\ndecision := \"REQUIRE_HUMAN\"\n\napprover_roles := [\"GHOST\"]\n";
    std::fs::write(folder.join("policy.rego"), text).unwrap();
    world.run(&["policy", "publish", folder.to_str().unwrap(), "--workflow", "refund"]).status(0);
    world.run(&["enforce", "disable", "--team", "payments"]).status(0);
    ended(&world, "COMPLETED");
    let refused = world.run(&["enforce", "enable", "--team", "payments"]).status(1);
    assert!(refused.talk.contains("[approvers_unconfirmed]"), "{refused:?}");
    assert!(
        refused.talk.contains("approver GHOST: no token of any identity provider can carry it"),
        "{refused:?}"
    );
    assert!(!refused.talk.contains("RISK_OFFICER"), "alice is known: {refused:?}");
    assert!(refused.talk.contains("--yes"), "{refused:?}");
    ended(&world, "COMPLETED");
    world.run(&["enforce", "enable", "--team", "payments", "--yes"]).status(0);
    ended(&world, "WAITING_FOR_HUMAN");
    // A scope is exactly one, and always named.
    world.run(&["enforce", "enable"]).status(2);
    world.run(&["enforce", "disable", "--tenant", "--team", "payments"]).status(2);
}

#[test]
fn running_agent_is_held_from_the_switch_on() {
    let script = r#"set -eu
gantral ask refund --target order/7 --set amount=900 > first.txt
while [ ! -e switched ]; do sleep 0.05; done
exec gantral ask refund --target order/8 --set amount=900
"#;
    let mut world = World::start();
    world.apply(script, "30s");
    world.run(&["enforce", "disable", "--workflow", "refund"]).status(0);
    world.start_runner();
    let id = world.create();
    assert!(wait_until(|| world.text("first.txt").trim() == "none"), "{}", world.text("first.txt"));
    // One action alone goes before its workflow, of which nothing else changes.
    let on = ["enforce", "enable", "--workflow", "refund", "--action", "refund"];
    assert_eq!(
        world.run(&on).status(0).data.trim(),
        "enforced for action refund of workflow refund from the next ask on"
    );
    let status = world.run(&["enforce", "status"]).status(0).data;
    assert!(status.contains("workflow refund                   SHADOW"), "{status}");
    assert!(status.contains("action refund of workflow refund  ENFORCE"), "{status}");
    world.run(&["enforce", "enable", "--team", "payments", "--action", "refund"]).status(2);
    std::fs::write(world.path("switched"), "").unwrap();
    world.reach(&id, "WAITING_FOR_HUMAN");
    let report = world.verified(&id, "held.gantral").json();
    assert_eq!(
        report["assurance"]["enforcement"], "shadow",
        "what was enforced later does not make up for it"
    );
}

#[test]
fn agent_that_is_only_observed_goes_on_without_the_server_and_the_report_says_so() {
    let script = r#"set -eu
gantral ask refund --target order/7 --set amount=900 > first.txt
while [ ! -e gone ]; do sleep 0.05; done
grant=$(gantral ask refund --target order/8 --set amount=900 2> talk.txt)
echo "$grant" > second.txt
gantral consume --grant "$grant" --action - >> paid.txt 2>> talk.txt <<'ACTION'
{"name":"refund","target":"order/8","parameters":{"amount":900,"note":""}}
ACTION
gantral outcome SUCCEEDED --grant "$grant" 2>> talk.txt
gantral outcome SUCCEEDED --grant none 2>> talk.txt
echo done > done.txt
"#;
    let mut world = World::start();
    world.apply(script, "1h");
    world.run(&["enforce", "disable", "--workflow", "refund"]).status(0);
    world.start_runner();
    world.create();
    assert!(wait_until(|| world.text("first.txt").trim() == "none"), "{}", world.text("first.txt"));
    world.kill_server();
    std::fs::write(world.path("gone"), "").unwrap();
    assert!(wait_until(|| !world.text("done.txt").is_empty()), "{}", world.text("talk.txt"));
    assert_eq!(world.text("second.txt").trim(), "unobserved");
    assert_eq!(world.text("paid.txt").lines().count(), 1);
    let talk = world.text("talk.txt");
    assert!(
        talk.contains("GO ON: no server answers, and it would only be observed; it is counted"),
        "{talk}"
    );
    assert!(talk.contains("the outcome is not reported"), "{talk}");

    // The next ask that is answered tells of it.
    world.start_server();
    world.create();
    let report = || world.run(&["shadow", "report", "--json"]).status(0).json()["unobserved"].clone();
    let expected = serde_json::json!([{"workflow_id": "refund", "action": "refund", "asks": 1}]);
    assert!(wait_until(|| report() == expected), "{}", report());
    let text = world.run(&["shadow", "report"]).status(0).data;
    assert!(text.contains("Nobody observed, because no server answered"), "{text}");
}

#[test]
fn ask_counts_in_the_span_in_which_it_was_made_whenever_its_execution_was_created() {
    // Each execution asks, waits until the file of its number is there, and asks again.
    let script = r#"set -eu
gantral ask refund --target order/1 --set amount=900
echo asked >> first.txt
number=$(wc -l < first.txt | tr -d ' ')
while [ ! -e "go-$number" ]; do sleep 0.02; done
gantral ask refund --target order/2 --set amount=900
echo asked >> second.txt
"#;
    let mut world = World::start();
    world.apply(script, "1h");
    world.run(&["enforce", "disable", "--workflow", "refund"]).status(0);
    world.start_runner();
    let lines = |world: &World, name: &str| world.text(name).lines().count();
    // An instant between what was asked and what will be.
    let edge = || {
        let instant = std::time::Duration::from_millis(20);
        std::thread::sleep(instant);
        let edge = now();
        std::thread::sleep(instant);
        edge
    };
    let mut edges = Vec::new();
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(world.create());
        assert!(wait_until(|| lines(&world, "first.txt") == number), "{}", world.text("runner.log"));
        edges.push(edge());
        std::fs::write(world.path(&format!("go-{number}")), "").unwrap();
        world.reach(&ids[number - 1], "COMPLETED");
        assert_eq!(lines(&world, "second.txt"), number);
    }
    let end = edge();
    let policy = crate::support::repository().join("policies/demo").display().to_string();
    let begin = "2026-01-01T00:00:00.000Z";
    for (from, to, asks, of) in [
        (begin, &edges[0], 1, &ids[..1]),
        // The second ask of the one that was created before, and the first of the one that asks again afterwards.
        (&edges[0], &edges[1], 2, &ids[..2]),
        (&edges[1], &edges[2], 2, &ids[1..]),
        (&edges[2], &end, 1, &ids[2..]),
        (begin, &end, 6, &ids[..]),
    ] {
        let span = ["--from", from, "--to", to, "--json"];
        let report = world.run(&[&["shadow", "report"], &span[..]].concat()).status(0).json();
        assert_eq!(report["asks"]["waited"], asks, "{report}");
        assert_eq!(report["executions"], of.len(), "{report}");
        let diff = world.run(&[&["policy", "diff", &policy, &policy], &span[..]].concat()).status(0).json();
        assert_eq!((&diff["gates"], &diff["instances"]), (&asks.into(), &of.len().into()), "{diff}");
        for sample in diff["transitions"][0]["samples"].as_array().unwrap() {
            assert!(of.iter().any(|id| sample["instance_id"] == id.as_str()), "{diff}");
        }
    }
}
