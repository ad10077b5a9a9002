//! The runner: claims work, verifies, launches a fresh process. The calls of the scripts that it launches. And governed calls, of
//! whatever stands in the path of an action.
//!
//! A client of the public API like any other. What the server says is believed only as far as a pinned key signed it;
//! secrets are resolved here and nowhere else; what a process writes stays here. Source: `spec/runner.md`.

pub mod boot;
pub mod call;
mod chain;
pub mod child;
pub mod command;
pub mod hook;
pub mod journal;
pub mod outage;
pub mod private;
pub mod runner;
pub mod script;
pub mod secret;

pub use chain::ChainError;
