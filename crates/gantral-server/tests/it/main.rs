//! The server from outside: real sockets, a real ledger file, real policy workers, real tokens, and the typed client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod activations;
mod break_glass;
mod browser;
mod candidates;
mod captured;
mod configuration;
mod console;
mod console_passkeys;
mod console_proof;
mod console_rules;
mod decisions;
mod delegations;
mod diffs;
mod evaluators;
mod faults;
mod freezes;
mod governance;
mod isolation;
mod limits;
mod logging;
mod logs;
mod notifications;
mod orchestration;
mod outages;
mod passkeys;
mod place;
mod proposals;
mod repeats;
mod routes;
mod runner;
mod service;
mod shadow;
mod signing;
mod standing;
mod story;
mod strangers;
mod telemetry;
mod tenant_limits;

/// Becomes a policy worker when this program starts itself as one.
#[test]
fn worker_process() {
    gantral_testkit::policy::serve_if_worker();
}
