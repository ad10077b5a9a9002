//! Chains as tests tell them, and the test vectors of the specification that are made from them.
//!
//! Nothing here is secret and nothing is random: every key is published, and every telling gives the same bytes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests and the generator use this: what goes wrong while a story is told fails the run that tells it"
)]

pub mod authenticator;
pub mod case;
pub mod cases;
pub mod cast;
pub mod governance;
pub mod log;
pub mod story;
pub mod tales;
pub mod tree;
pub mod window;
