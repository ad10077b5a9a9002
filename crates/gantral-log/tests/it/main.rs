//! The sequencer over real stores and folders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "the lints make an exception for test functions, and this whole binary is one"
)]

mod attacks;
/// The server that the tests of the store start.
#[allow(dead_code, reason = "those crash and restart it as well")]
#[path = "../../../gantral-store/tests/it/cluster.rs"]
mod cluster;
mod faults;
mod kill;
mod sequencer;
mod standing;
mod takeover;
mod world;
