//! What gets in, and what does not.
//!
//! Tokens here are written by `jsonwebtoken` or by hand, and verified by us.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod attacks;
mod attempts;
mod configuration;
mod development;
mod forge;
mod kinds;
mod lifetimes;
mod sessions;
