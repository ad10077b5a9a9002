//! Stored histories are replayed: a workflow that does otherwise than it did would stop every instance that it has begun.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_temporal::execution::Execution;
use prost::Message as _;
use temporalio_client::WorkflowHistory;
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_sdk::workflow_replayer::{
    WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
};

use crate::place::repository;

/// How many characters a line of a stored history has.
const LINE: usize = 120;

fn folder() -> PathBuf {
    repository().join("crates/gantral-temporal/tests/histories")
}

/// Keeps a history for later builds to be tried on, as the bytes of its message in base64. None is ever changed: what lives in Temporal is not
/// either.
pub fn keep(name: &str, history: &History) {
    let file = folder().join(format!("{name}.txt"));
    if !file.exists() {
        let text = STANDARD.encode(history.encode_to_vec());
        let lines: Vec<_> = text.as_bytes().chunks(LINE).map(String::from_utf8_lossy).collect();
        fs::write(file, lines.join("\n") + "\n").unwrap();
    }
}

fn kept(file: &PathBuf) -> History {
    let text: String = fs::read_to_string(file).unwrap().split_whitespace().collect();
    History::decode(STANDARD.decode(text).unwrap().as_slice()).unwrap()
}

async fn replayed(history: History) -> Result<(), WorkflowReplayError> {
    let options = WorkflowReplayerOptions::new().register_workflow::<Execution>().unwrap().build();
    WorkflowReplayer::new(options).unwrap().replay_workflow(WorkflowHistory::from(history)).await
}

#[tokio::test]
async fn every_stored_history_is_replayed_by_the_workflow_as_it_is() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        replayed(kept(&path)).await.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        count += 1;
    }
    assert!(count > 0, "there is none");
}

#[tokio::test]
async fn a_history_that_went_otherwise_is_found_out() {
    let mut history = kept(&folder().join("over-a-gate.txt"));
    let kinds = history.events.iter_mut().filter_map(|event| match event.attributes.as_mut()? {
        Attributes::ActivityTaskScheduledEventAttributes(scheduled) => scheduled.activity_type.as_mut(),
        _ => None,
    });
    kinds.for_each(|kind| kind.name = "Gateway::launch".to_owned());
    let found = replayed(history).await.unwrap_err();
    let nondeterminism =
        matches!(found, WorkflowReplayError::Replay(WorkflowReplayFailure::Nondeterminism { .. }));
    assert!(nondeterminism, "{found}");
}
