//! Deciding alone in an emergency, from the command line to two verifiers.

use crate::approvals::{AGENT, events_in_both};
use crate::support::World;

const WHY: &str = "the site is down and nobody of finance answers the phone";

#[test]
fn whoever_the_workflow_names_decides_alone_and_the_evidence_says_so_for_ever() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    let named = world.text("workflow.toml").replace("version = '1'", "version = '2'")
        + "break_glass_roles = ['PLATFORM_ADMIN']\n";
    std::fs::write(world.path("workflow.toml"), named).unwrap();
    world.run(&["workflows", "apply", "workflow.toml"]).status(0);
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    let gate = seen["gate"]["gate_id"].as_str().unwrap();
    let shown = world.run(&["approvals", "show", gate, "--as", "dave"]).status(0);
    assert!(shown.data.contains("PLATFORM_ADMIN alone, with `--break-glass`"), "{shown:?}");

    let approve = |who: &str, reason: &str, more: &[&str]| {
        world.run(&[&["approvals", "approve", gate, "--reason", reason, "--as", who], more].concat())
    };
    let glass = ["--break-glass"];
    let ran = approve("dave", WHY, &[]).status(1);
    assert!(ran.talk.contains("[not_eligible]"), "{ran:?}");
    let ran = approve("dave", "it burns", &glass).status(1);
    assert!(ran.talk.contains("[justification_required]"), "{ran:?}");
    let ran = approve("carol", WHY, &glass).status(1);
    assert!(ran.talk.contains("[not_eligible]"), "{ran:?}");
    approve("dave", WHY, &glass).status(0);
    world.reach(&id, "COMPLETED");

    assert!(events_in_both(&world, &id).contains(&"approved".to_owned()));
    let told = world.run(&["verify", "told.gantral", "--trust", "told.gantral.trust.json"]).status(0);
    assert!(told.data.contains("BROKE THE GLASS, alone"), "{told:?}");
}
