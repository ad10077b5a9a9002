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
mod decoders;
mod targets;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Memory is measured for the whole process.
static MEMORY: RwLock<()> = RwLock::new(());

/// Lets a test run while no other does, from its first allocation on.
fn alone() -> RwLockWriteGuard<'static, ()> {
    MEMORY.write().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a test run beside others that measure no memory either.
fn beside() -> RwLockReadGuard<'static, ()> {
    MEMORY.read().unwrap_or_else(PoisonError::into_inner)
}
