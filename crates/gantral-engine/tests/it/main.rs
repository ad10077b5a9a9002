//! The engine over a real store, real policy workers and real principals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod break_glass;
mod calls;
mod damage;
mod decisions;
mod delegations;
mod faults;
mod freezes;
mod governance;
mod life;
mod notices;
mod passkeys;
mod policies;
mod proposals;
mod quorum;
mod races;
mod refusals;
mod repetition;
mod restart;
mod retention;
mod rules;
mod runners;
mod script;
mod secrets;
mod shadow;
mod time;
mod totals;

/// Becomes a policy worker when this program starts itself as one.
#[test]
fn worker_process() {
    gantral_testkit::policy::serve_if_worker();
}
