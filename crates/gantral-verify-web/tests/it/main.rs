//! The page in a real browser, opened from a file, with the network off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lints make an exception for test functions, and this is one binary of them"
)]

mod browser;
mod page;
mod use_of_it;
mod vectors;
mod windows;
