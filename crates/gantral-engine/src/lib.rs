//! Load, decide, seal, append: the only writer of authority.
//!
//! The engine knows no HTTP, no SQL and no wall clock; instants and randomness come in as values.

pub mod policy_point;
