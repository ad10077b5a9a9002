//! A small real world for the tests of other crates: nothing in it stands in for something else.
//!
//! A [`World`] holds an engine over a SQLite file, signs with an Ed25519 key, has its policies evaluated in worker
//! processes and gets its principals from tokens of the development issuer. Only time, randomness and faults are values:
//! a test repeats exactly. A test program that asks for policy names one test [`policy::WORKER_TEST`] and calls
//! [`policy::serve_if_worker`] in it, because it starts itself as the worker.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use this: what goes wrong while a world is built fails the test that builds it"
)]

mod authenticator;
mod bao;
pub mod certificates;
mod clock;
pub mod cluster;
mod evidence;
mod golden;
mod ledger;
pub mod mail;
mod opa;
mod parts;
mod people;
pub mod policy;
mod process;
mod relay;
mod signer;
mod tmpfs;
mod traces;
pub mod workflows;
mod world;

pub use authenticator::Authenticator;
pub use bao::Bao;
pub use clock::Clock;
pub use golden::golden;
pub use ledger::copy_ledger;
pub use opa::Opa;
pub use parts::{part, repository};
pub use people::{AGENT, OTHER_AGENT, People, RUNNER};
pub use relay::Relay;
pub use signer::{FaultySigner, SignerFaults};
pub use tmpfs::Tmpfs;
pub use traces::files_holding;
pub use world::{World, WorldOptions};

/// Tells whether this machine builds what is released: there a test that cannot do its work fails, and is not skipped.
pub fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
