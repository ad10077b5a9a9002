//! Policies in real worker processes: this program starts itself as the worker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking"
)]

mod contract;
mod hostile;
mod opa;
mod parity;
mod publishing;
mod signing;
mod standing;
mod supervision;
mod support;

/// Becomes a worker when [`support::worker_command`] starts this program with a socket as standard input.
#[test]
fn worker_process() {
    if support::is_worker() {
        gantral_policy::run_worker().expect("the worker runs until its socket closes");
    }
}
