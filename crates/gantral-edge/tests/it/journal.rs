//! The journal of an executor, and a server that has forgotten what stands in it.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use gantral_api::wire::Receipt;
use gantral_core::state::{DecisionKind, EventKind, State};
use gantral_edge::journal::Journal;
use gantral_edge::runner::RunnerError;

use crate::place::{Place, runs};
use crate::roles;

fn kinds(text: &str) -> Vec<EventKind> {
    let receipt = |line| serde_json::from_str::<Receipt>(line).unwrap();
    text.lines().map(|line| receipt(line).event.into_inner()).collect()
}

async fn apply(place: &Place) {
    let ledger = place.folder.path().join("ledger");
    place.apply(&runs(&roles::agent(&ledger, "act"), "30s")).await;
}

/// Plays one instance to its end, through a gate.
async fn play(place: &Place) {
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    place.decide(DecisionKind::Override, Some(480)).await;
    place.reaches(id, State::Completed).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_of_an_attempt_is_kept_for_its_owner_alone() {
    let place = Place::open().await;
    apply(&place).await;
    play(&place).await;
    let journal = place.work().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    assert_eq!(
        kinds(&text),
        [EventKind::HumanRequired, EventKind::Consumed, EventKind::Outcome, EventKind::Outcome,]
    );
    assert_eq!(std::fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Journal::new(&journal).newest().unwrap().len(), 1, "one chain, one newest receipt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_a_crash_cut_off_costs_that_line_and_no_other() {
    let place = Place::open().await;
    apply(&place).await;
    let path = place.work().join("journal.jsonl");
    std::fs::create_dir_all(place.work()).unwrap();
    std::fs::File::create(&path).unwrap().write_all(br#"{"sequence":1,"eve"#).unwrap();
    play(&place).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kinds(text.split_once('\n').unwrap().1).len(), 4);
    assert_eq!(Journal::new(&path).newest().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_works_for_no_server_that_has_forgotten_what_it_promised() {
    let mut place = Place::open().await;
    apply(&place).await;
    place.restart_from_a_copy(false).await;
    play(&place).await;
    place.restart_from_a_copy(true).await;
    let running = place.run(|_| {}).await;
    let ended = running.task.await.unwrap();
    assert!(matches!(ended, Err(RunnerError::Forgotten(_))), "{ended:?}");
}
