//! The contract as others see it: pages, document, client.

mod document;
mod pages;

use std::path::PathBuf;

/// Returns a path inside the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
