//! Every target over its seeds and over damaged ones; attacks on whole bundles; inputs that are built to exhaust.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the lints make an exception for test functions, and this is one binary of them"
)]

mod attacks;
mod bombs;
mod targets;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lets one test run at a time: memory is measured for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
