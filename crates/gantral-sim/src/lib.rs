//! A simulation: the real engine, duties, outbox and log of several servers over one faulty store, in a time that stands still until nothing
//! else is to be done, and in an order that follows from one seed.
//!
//! Everything runs on one thread. The store is a SQLite file on which whoever asks works at once; between it and each server stands a
//! [`gantral_store::fault::Way`] that makes calls slow, lets them overtake each other, and lets them fail, kept or not. Servers are killed at whatever they
//! await, stand still for longer than their duties last, and have clocks that step. Callers lose answers, and their requests arrive twice.
//! After each write an [`auditor::Auditor`] compares the ledger with what was promised.
//!
//! Not decided by the seed: the keys of tokens, of which nothing is kept, and what SQLite does in a file. Not simulated: HTTP, processes that evaluate Rego, a
//! power cut in the middle of a flush, and the SQL of PostgreSQL.

pub mod auditor;
pub mod clock;
pub mod node;
mod people;
mod policy;
pub mod ports;
pub mod rng;
mod run;
pub mod shelf;
pub mod weather;

pub use run::{Options, Outcome, run};
