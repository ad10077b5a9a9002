//! The proof that a leaf is in a log, as one text: where, the hashes beside it, and the checkpoint above it.
//!
//! Source: C2SP `tlog-proof`, `spec/log.md` §4.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::digest::Digest;

use super::checkpoint::{encode_hashes, parse_hashes, parse_size};
use super::leaf::Leaf;
use super::note::NOTE_BYTES_MAX;
use super::tree::{PROOF_HASHES_MAX, ProofError, TreeHead, check_inclusion};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The largest proof, in bytes: its hashes, its checkpoint, and some room for extra data.
pub const PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + (8 << 10);

/// Where a leaf is in a log, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// The index of the leaf, from 0.
    pub index: u64,
    /// The hashes beside the way from the leaf to the root.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint, as the log and its witnesses wrote it.
    pub checkpoint: String,
}

/// Why bytes are not a proof. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofFormatError {
    /// Larger than [`PROOF_BYTES_MAX`], or more than [`PROOF_HASHES_MAX`] hashes.
    #[error("proof is over its limit")]
    Limit,
    /// Another first line, or not UTF-8.
    #[error("proof does not begin with `{HEADER}`")]
    Header,
    /// Extra data that is not base64.
    #[error("extra data of a proof is base64")]
    Extra,
    /// No line `index N`.
    #[error("proof has no index")]
    Index,
    /// A line that is no hash.
    #[error("a hash of the proof cannot be read")]
    Hash,
    /// No empty line, or nothing below it.
    #[error("proof has no checkpoint")]
    Checkpoint,
}

impl LogProof {
    /// Reads a proof. Extra data is allowed and ignored: nothing authenticates it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFormatError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofFormatError::Limit);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| ProofFormatError::Header)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofFormatError::Checkpoint)?;
        if checkpoint.is_empty() {
            return Err(ProofFormatError::Checkpoint);
        }
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ProofFormatError::Header);
        }
        if let Some(extra) = lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            STANDARD.decode(extra).map_err(|_| ProofFormatError::Extra)?;
            lines.next();
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(parse_size);
        let index = index.ok_or(ProofFormatError::Index)?;
        let hashes = parse_hashes(lines).ok_or(ProofFormatError::Hash)?;
        if hashes.len() > PROOF_HASHES_MAX {
            return Err(ProofFormatError::Limit);
        }
        Ok(Self { index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Returns the text. Equal proofs give equal bytes.
    pub fn encode(&self) -> String {
        let hashes = encode_hashes(&self.hashes);
        format!("{HEADER}\nindex {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Checks that this leaf stands at [`LogProof::index`] of a tree that somebody vouches for.
    pub fn check(&self, leaf: &Leaf, tree: &TreeHead) -> Result<(), ProofError> {
        check_inclusion(self.index, tree.size, &tree.root, &leaf.tree_hash(), &self.hashes)
    }
}

#[cfg(test)]
mod tests;
