//! What strangers send is read by decoders, and each decoder has a target here: a function that takes any bytes and says which
//! promise was broken, if one was.
//!
//! A target asks more than not to panic: what was read is written as the same bytes where the format has one spelling, the same bytes
//! are read twice as the same, and limits hold. [`runner::Terms::run`] feeds a target with seeds (the vectors of the specification and
//! `corpus/`) and with what a [`mutate::Mutator`] makes of them; `fuzz/` feeds the same targets by coverage.

pub mod framed;
mod memory;
pub mod mutate;
pub mod rng;
pub mod runner;
pub mod seeds;
pub mod target;
pub mod targets;

pub use memory::peak_growth;
