//! The authority state machine of Gantral, and the words it is written in.
//!
//! Everything here is a pure function of its arguments: no clock, no I/O, no randomness, no async, no floats, no hash
//! maps. The server that enforces authority, the verifier that an auditor runs and the tests fold the same functions
//! over the same events. Source: `spec/states.md`.
#![no_std]

extern crate alloc;

pub mod action;
pub mod address;
pub mod check;
pub mod command;
pub mod decide;
pub mod digest;
pub mod event;
pub mod ids;
pub mod instance;
pub mod json;
pub mod policy;
pub mod rule;
pub mod secret;
pub mod state;
pub mod table;
pub mod time;
pub mod workflow;
