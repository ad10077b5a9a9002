//! The authority state machine, driven through `decide`, `due` and `apply` only.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod acting;
mod attempts;
mod endings;
mod gates;
mod matrix;
mod model;
mod properties;
mod reachable;
mod rejections;
mod rulebook;
mod spec;
mod votes;
mod world;
