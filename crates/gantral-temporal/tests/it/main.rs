//! Tests against a real Temporal server and the real `gantral`, each a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod builds;
mod faults;
mod place;
mod replay;
mod story;
