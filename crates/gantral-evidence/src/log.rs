//! The transparency log, as far as a verifier needs it: leaves, proofs, checkpoints, cosignatures and log policies.
//!
//! Nothing here is invented but the leaf: the tree is RFC 6962's, the texts are those of C2SP. Building a log (tiles,
//! sequencing, publishing) is not here: an auditor need not read it. Source: `spec/log.md`.

pub mod checkpoint;
pub mod consistency;
pub mod leaf;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tree;
