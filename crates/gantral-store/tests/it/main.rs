//! The store, held to its contract.
//!
//! `conformance` is written over `&Store`, so that every backend passes the same; the other modules hold what is true
//! of one of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the lints make an exception for test functions, and this whole binary is one"
)]

mod conformance;
mod copying;
mod disk;
mod erasure;
mod faults;
mod kill;
mod model;
mod news;
mod nodes;
mod postgres;
mod silence;
mod sqlite;
mod tls;
mod waits;
mod world;
