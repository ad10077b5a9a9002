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
mod faults;
mod kill;
mod sequencer;
mod standing;
mod takeover;
mod world;
