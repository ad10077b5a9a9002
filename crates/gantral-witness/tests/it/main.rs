//! The witness over HTTP, and the client of the log that asks it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod client;
mod crash;
mod protocol;
mod world;
