//! The vectors as they are committed: made by the generator, and answered by the verifier as they say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lints make an exception for test functions, and this whole binary is one"
)]

mod bundles;
mod primitives;
mod python;
mod windows;
