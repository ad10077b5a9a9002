//! Messages that go over real sockets from a real outbox to receivers that are down, slow, rude or gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod chat;
mod delivery;
mod mail;
mod outbox;
mod pace;
mod receiver;
mod servers;
