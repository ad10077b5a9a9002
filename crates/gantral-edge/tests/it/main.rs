//! Runners against a real server, with real processes.
//!
//! This program is also the processes that it starts: each role is a test that does nothing unless it was started for
//! it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod calls;
mod chain;
mod containers;
mod engine;
mod journal;
mod life;
mod limits;
mod lost;
mod openbao;
mod outage;
mod place;
mod proof;
mod roles;
mod secrets;
mod trees;

/// The worker process of the policies.
#[test]
fn worker_process() {
    gantral_testkit::policy::serve_if_worker();
}
