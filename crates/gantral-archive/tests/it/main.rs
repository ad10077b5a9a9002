//! The archive over a real engine, a real log and real storage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking"
)]

mod archiving;
mod azurite;
mod damage;
mod rebuild;
#[allow(dead_code, reason = "the executions of the engine's own tests, of which not all are played here")]
#[path = "../../../gantral-engine/tests/it/script.rs"]
mod script;
mod seaweed;
mod storage;
mod world;

/// Becomes a policy worker when this program starts itself as one.
#[test]
fn worker_process() {
    gantral_testkit::policy::serve_if_worker();
}
