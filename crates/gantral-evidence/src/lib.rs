//! Signed commitment artifacts, bundles and the verifier: pure.
//!
//! Nothing here reads a clock, a file, the network or the environment: bytes come in, answers go out. Source: `spec/`.
#![no_std]

extern crate alloc;

pub mod bundle;
pub mod commitments;
pub mod container;
pub mod delegation;
pub mod disclosure;
pub mod dsse;
mod fields;
pub mod governance;
pub mod human;
pub mod keyring;
pub mod keys;
pub mod log;
pub mod mode_lease;
pub mod report;
pub mod seal;
pub mod statement;
pub mod trust;
pub mod verify;
pub mod window;
