//! Workflows outlive what they run on: a history that has become long, and the build that they began with.

use serde_json::Value;

use crate::place::{Place, wait_until, workflow};
use crate::story::REFUND;

/// The worker deployment that both builds are of.
const FLEET: &str = "fleet";

#[test]
fn an_instance_goes_on_as_a_new_run_when_its_history_has_become_long() {
    // As after tens of thousands of events by itself.
    let mut place = Place::upon(&["limit.historyCount.suggestContinueAsNew=8"]);
    place.start_bridge();
    place.apply(REFUND);
    place.start_runner();
    let id = place.create();
    place.reach(&id, "WAITING_FOR_HUMAN");
    place.approve(&id);
    let ended = place.reach(&id, "COMPLETED");
    assert_eq!(ended["attempt"], 2, "each attempt was dispatched once");
    assert_eq!(place.text("done.txt"), "done\n");
    let mut runs = Vec::new();
    let told = || {
        runs = statuses(&place, &id);
        runs.contains(&"COMPLETED".to_owned())
    };
    assert!(wait_until(told), "{}", place.text("bridge.log"));
    let continued = runs.iter().filter(|status| *status == "CONTINUED_AS_NEW").count();
    assert!(continued > 0 && continued + 1 == runs.len(), "{runs:?}");
}

/// Returns how each run of the workflow of an instance stands.
fn statuses(place: &Place, id: &str) -> Vec<String> {
    let query = format!("WorkflowId = '{}'", workflow(id));
    let output = place.temporal(&["workflow", "list", "--query", &query, "--output", "json"]);
    let runs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let status = |run: &Value| run["status"].as_str().unwrap().replace("WORKFLOW_EXECUTION_STATUS_", "");
    runs.iter().map(status).collect()
}

#[test]
fn what_waits_moves_on_to_the_build_that_is_made_current() {
    let mut place = Place::without_bridge();
    place.apply(REFUND);
    place.start_runner();
    let id = place.create();
    let old = place.another_bridge(&["--deployment", FLEET, "--build-id", "old"]);
    assert_eq!(place.still(&id), ("CREATED".to_owned(), 0), "no build is the current one");
    make_current(&place, "old");
    place.reach(&id, "WAITING_FOR_HUMAN");
    assert!(wait_until(|| runs_on(&place, &id) == "old"), "{}", place.workflow(&id));

    let _new = place.another_bridge(&["--deployment", FLEET, "--build-id", "new"]);
    assert!(wait_until(|| is_known(&place, "new")), "{}", place.text("bridge.log"));
    assert_eq!(old.stop(), Some(0), "{}", place.text("bridge.log"));
    place.approve(&id);
    assert_eq!(place.still(&id), ("APPROVED".to_owned(), 1), "nothing goes to a build that nobody chose");
    make_current(&place, "new");
    let ended = place.reach(&id, "COMPLETED");
    assert_eq!(ended["attempt"], 2, "each attempt was dispatched once");
    assert!(wait_until(|| runs_on(&place, &id) == "new"), "{}", place.workflow(&id));
}

/// Makes a build the one that workflows move on to, as soon as Temporal has heard of it.
#[track_caller]
fn make_current(place: &Place, build: &str) {
    let version = ["--deployment-name", FLEET, "--build-id", build, "--yes"];
    let arguments = [&["worker", "deployment", "set-current-version"][..], &version].concat();
    assert!(wait_until(|| place.temporal(&arguments).status.success()), "{}", place.text("bridge.log"));
}

/// Tells whether Temporal has heard of a build.
fn is_known(place: &Place, build: &str) -> bool {
    let version = ["--deployment-name", FLEET, "--build-id", build];
    place.temporal(&[&["worker", "deployment", "describe-version"][..], &version].concat()).status.success()
}

/// Returns the build that the workflow of an instance was worked on by last.
fn runs_on(place: &Place, id: &str) -> String {
    let told = place.workflow(id)["workflowExecutionInfo"]["versioningInfo"]["deploymentVersion"].clone();
    told["buildId"].as_str().unwrap_or_default().to_owned()
}
