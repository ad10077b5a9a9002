//! What requests to servers that somebody configured have in common: where they go, whom they believe, and how much is read.
//!
//! They go to the address that was configured and nowhere else: redirects are not followed, proxies of the environment are not
//! used, and plain HTTP is spoken to loopback addresses only. What they carry and what an answer means is the affair of whoever sends them.

mod address;
mod answer;
mod client;
mod secret;

pub use address::{AddressError, Expected, address, below, is_loopback};
pub use answer::{NoAnswer, body};
pub use client::client_for;
pub use secret::read_secret;
