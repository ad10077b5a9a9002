//! Each part taken away in turn. What must hold: no decision is lost, nothing is dispatched without Temporal, and everything goes on.

use std::path::Path;

use crate::place::{Place, wait_until, workflow};
use crate::story::REFUND;

#[test]
fn nothing_is_dispatched_without_temporal() {
    let mut place = Place::without_bridge();
    place.apply(REFUND);
    place.start_runner();
    let id = place.create();
    assert_eq!(place.still(&id), ("CREATED".to_owned(), 0));
    place.start_bridge();
    place.reach(&id, "WAITING_FOR_HUMAN");
}

#[test]
fn with_temporal_stopped_in_mid_wait_decisions_are_kept_nothing_is_dispatched_and_all_is_resumed() {
    let mut place = Place::start();
    place.apply(REFUND);
    place.start_runner();
    let waits: Vec<String> = (0..3).map(|_| place.create()).collect();
    waits.iter().for_each(|id| drop(place.reach(id, "WAITING_FOR_HUMAN")));

    place.temporal.take().unwrap().kill();
    place.approve(&waits[0]);
    place.approve(&waits[1]);
    let new = place.create();
    assert_eq!(place.still(&waits[0]), ("APPROVED".to_owned(), 1));
    assert_eq!(place.still(&new), ("CREATED".to_owned(), 0));
    assert_eq!(place.instance(&waits[1])["state"], "APPROVED");

    place.start_temporal();
    place.reach(&waits[0], "COMPLETED");
    place.reach(&waits[1], "COMPLETED");
    place.reach(&new, "WAITING_FOR_HUMAN");
    for id in [&waits[2], &new] {
        place.approve(id);
        place.reach(id, "COMPLETED");
    }
}

#[test]
fn whatever_is_killed_between_them_work_goes_on_where_it_was() {
    let mut place = Place::start();
    place.apply(REFUND);
    place.start_runner();
    let id = place.create();
    place.reach(&id, "WAITING_FOR_HUMAN");
    place.bridge.take().unwrap().kill();
    place.approve(&id);
    assert_eq!(place.still(&id), ("APPROVED".to_owned(), 1));
    place.start_bridge();
    let ended = place.reach(&id, "COMPLETED");
    assert_eq!(ended["attempt"], 2, "each attempt was dispatched once");
}

#[test]
fn a_workflow_that_somebody_ended_is_found_and_another_one_goes_on() {
    let mut place = Place::start();
    place.apply(REFUND);
    place.start_runner();
    let id = place.create();
    place.reach(&id, "WAITING_FOR_HUMAN");
    assert!(wait_until(
        || place.workflow(&id)["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING"
    ));
    let run = |place: &Place| place.workflow(&id)["workflowExecutionInfo"]["execution"]["runId"].clone();
    let before = run(&place);
    let ended =
        place.temporal(&["workflow", "terminate", "--workflow-id", &workflow(&id), "--reason", "by mistake"]);
    assert!(ended.status.success());
    assert_eq!(place.instance(&id)["state"], "WAITING_FOR_HUMAN", "no artifact says that it ended");
    let another = || {
        let seen = place.workflow(&id);
        run(&place) != before
            && seen["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING"
    };
    assert!(wait_until(another), "{}\n{}", place.workflow(&id), place.text("bridge.log"));
    place.approve(&id);
    place.reach(&id, "COMPLETED");
}

#[test]
fn an_attempt_that_is_lost_is_dispatched_again_and_not_before_it_is_released() {
    let mut place = Place::start();
    place.apply("if [ ! -e began ]; then touch began; sleep 600; fi");
    place.start_runner();
    let id = place.create();
    assert!(wait_until(
        || Path::new(&place.path("began")).exists() || place.instance(&id)["state"] == "RUNNING"
    ));
    place.reach(&id, "RUNNING");
    // Its processes die with it, and its lease runs out.
    place.runner.take().unwrap().kill();
    place.start_runner();
    let ended = wait_until(|| place.instance(&id)["attempt"] == 2);
    assert!(ended, "{}\n{}", place.instance(&id), place.text("bridge.log"));
}
