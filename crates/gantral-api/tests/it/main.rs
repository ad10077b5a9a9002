//! The contract as others see it: pages, document, client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lints make an exception for test functions, and this whole binary is one"
)]

#[cfg(feature = "client")]
mod client;
mod document;
mod pages;

use std::path::PathBuf;

/// Returns a path inside the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
