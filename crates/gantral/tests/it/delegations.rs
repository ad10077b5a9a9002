//! Deciding for somebody else, from the command line to two verifiers.

use crate::approvals::events_in_both;
use crate::support::World;

#[test]
fn a_delegate_decides_and_both_verifiers_find_the_delegation_in_the_bundle() {
    let mut world = World::start();
    world.apply("exec gantral ask refund --target order/1 --set amount=4800", "30s");
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    let gate = seen["gate"]["gate_id"].as_str().unwrap().to_owned();
    let ran = world.run(&["approvals", "ls", "--mine", "--as", "carol"]).status(0);
    assert_eq!(ran.data, "nothing waits\n");

    let add = ["delegations", "add", "--to", "carol", "--roles", "RISK_OFFICER", "--reason", "on holiday"];
    world.run(&add).status(2);
    let ran = world.run(&[&add[..], &["--for", "300d"]].concat()).status(1);
    assert!(ran.talk.contains("further away than this server allows"), "{ran:?}");
    let ran = world.run(&[&add[..], &["--for", "1h"]].concat()).status(0);
    assert!(ran.data.contains("carol may decide for you: delegated #"), "{ran:?}");
    let listed = world.run(&["delegations", "ls", "--mine", "--json", "--as", "carol"]).status(0).json();
    let hash = listed["items"][0]["delegation"].as_str().unwrap().to_owned();
    let listed = world.run(&["delegations", "ls"]).status(0);
    assert!(listed.data.contains(&hash) && listed.data.contains("on holiday"), "{listed:?}");

    let ran = world.run(&["approvals", "ls", "--mine", "--as", "carol"]).status(0);
    assert!(ran.data.contains(&gate), "{ran:?}");
    let decide = ["approvals", "reject", &gate, "--reason", "not owed", "--as", "carol"];
    let ran = world.run(&decide).status(1);
    assert!(ran.talk.contains("[not_eligible]"), "{ran:?}");
    world.run(&[&decide[..], &["--delegation", &hash]].concat()).status(0);
    world.run(&["delegations", "revoke", &hash]).status(0);
    assert_eq!(world.run(&["delegations", "ls"]).status(0).data, "nothing is delegated\n");

    assert!(events_in_both(&world, &id).contains(&"rejected".to_owned()));
}
