//! The transparency log of one tenant: its leaves as tiles, the tree that grows, the sequencer that lets it grow from the ledger,
//! proofs made from tiles, and what a witness checks before it cosigns.
//!
//! The formats, and whatever a verifier needs, are `gantral_evidence::log`. Here is what only the keeper of a log
//! and its witnesses do.
//! Objects are named as C2SP's `tlog-tiles` serves them, so that a plain file server or a bucket publishes a log and a plain
//! downloader mirrors it. Source: `spec/log.md`.

pub mod copying;
pub mod folder;
mod http;
pub mod monitor;
pub mod objects;
pub mod proving;
pub mod published;
pub mod push;
pub mod regrow;
pub mod remote;
pub mod sequencer;
pub mod stored;
#[cfg(test)]
mod testing;
pub mod tile;
pub mod tree;
pub mod witness;
