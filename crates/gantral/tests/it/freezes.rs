//! The emergency brake from the command line.

use crate::support::World;

#[test]
fn a_team_is_frozen_listed_and_let_go_and_nothing_of_it_is_assigned_meanwhile() {
    let mut world = World::start();
    world.apply("exit 0", "30s");
    let id = world.create();
    let said = ["--reason", "refunds are paid twice"];
    let freeze = |scope: &[&str], who: &str| world.run(&[&["freeze"], scope, &said, &["--as", who]].concat());
    let ran = world.run(&["freeze", "--team", "payments"]).status(2);
    assert!(ran.talk.contains("--reason"), "{ran:?}");
    world.run(&["freeze", "--reason", "which?"]).status(2);
    freeze(&["--team", "payments", "--tenant"], "dave").status(2);

    let ran = freeze(&["--team", "payments"], "bob").status(0);
    assert!(ran.data.contains("team payments is frozen: frozen #"), "{ran:?}");
    assert!(!ran.talk.contains("look:"), "{ran:?}");
    let ran = freeze(&["--team", "paymets"], "dave").status(0);
    assert!(ran.talk.contains("look: no workflow is of team paymets now"), "{ran:?}");
    let ran = freeze(&["--all"], "bob").status(1);
    assert!(ran.talk.contains("[forbidden]"), "{ran:?}");
    let listed = world.run(&["freeze", "ls", "--as", "alice"]).status(0);
    assert!(
        listed.data.contains("team payments") && listed.data.contains("refunds are paid twice"),
        "{listed:?}"
    );
    let listed = world.run(&["freeze", "ls", "--json"]).status(0).json();
    assert_eq!(listed["items"][1]["scope"], serde_json::json!({"kind": "team", "name": "paymets"}));

    world.start_runner();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let seen = world.run(&["instances", "show", &id, "--json"]).status(0).json();
    assert_eq!(seen["state"], "CREATED", "nothing is assigned");

    let lift = ["unfreeze", "--team", "payments", "--reason", "it is fixed"];
    let ran = world.run(&[&lift[..], &["--as", "bob"]].concat()).status(1);
    assert!(ran.talk.contains("[forbidden]"), "{ran:?}");
    let ran = world.run(&lift).status(0);
    assert!(ran.talk.contains("look: still frozen: team paymets"), "{ran:?}");
    world.reach(&id, "COMPLETED");
}
