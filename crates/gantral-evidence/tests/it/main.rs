//! Bundles of real chains, verified: every row of the verdict table, each with a twin that differs in one thing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lints make an exception for test functions, and this whole binary is one"
)]

mod container;
mod delegates;
mod governance;
mod keys;
mod log;
mod mirror;
mod parents;
mod passkeys;
mod people;
mod release;
mod replays;
mod rules;
mod shape;
mod story;
mod sweep;
mod text;
