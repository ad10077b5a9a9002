//! What shows that a tree is a beginning of the log, as a file of a bundle: hashes, and the checkpoint of the tree if it was
//! kept.
//!
//! Source: `spec/bundle.md` B12.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;

use super::checkpoint::{encode_hashes, parse_hashes, parse_size};
use super::proof::PROOF_BYTES_MAX;
use super::tree::PROOF_HASHES_MAX;

/// The largest file, in bytes: that of a proof.
pub const CONSISTENCY_BYTES_MAX: usize = PROOF_BYTES_MAX;
/// Where these files are in a bundle.
pub const LOG_DIRECTORY: &str = "log/";
/// What their names end with.
const SUFFIX: &str = ".tlog-consistency";

/// The proof that a tree is a beginning of the newest one of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConsistency {
    /// The hashes of the proof (L8).
    pub hashes: Vec<Digest>,
    /// The signed checkpoint of the older tree, as the log and its witnesses wrote it; it shows when the tree was seen.
    pub checkpoint: Option<String>,
}

/// Why bytes are not such a file. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsistencyFormatError {
    /// Larger than [`CONSISTENCY_BYTES_MAX`], or more than [`PROOF_HASHES_MAX`] hashes.
    #[error("consistency proof is over its limit")]
    Limit,
    /// Not UTF-8, or no empty line below the hashes.
    #[error("consistency proof has no empty line below its hashes")]
    Shape,
    /// A line that is no hash.
    #[error("a hash of the consistency proof cannot be read")]
    Hash,
}

impl LogConsistency {
    /// Reads a file. What follows the empty line is not read: it may be no checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConsistencyFormatError> {
        if bytes.len() > CONSISTENCY_BYTES_MAX {
            return Err(ConsistencyFormatError::Limit);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| ConsistencyFormatError::Shape)?;
        let (hashes, checkpoint) = match text.strip_prefix('\n') {
            Some(checkpoint) => (Vec::new(), checkpoint),
            None => {
                let (lines, checkpoint) = text.split_once("\n\n").ok_or(ConsistencyFormatError::Shape)?;
                (parse_hashes(lines.split('\n')).ok_or(ConsistencyFormatError::Hash)?, checkpoint)
            }
        };
        if hashes.len() > PROOF_HASHES_MAX {
            return Err(ConsistencyFormatError::Limit);
        }
        Ok(Self { hashes, checkpoint: (!checkpoint.is_empty()).then(|| checkpoint.to_owned()) })
    }

    /// Returns the text. Equal proofs give equal bytes.
    pub fn encode(&self) -> String {
        format!("{}\n{}", encode_hashes(&self.hashes), self.checkpoint.as_deref().unwrap_or_default())
    }

    /// Returns where the proof from a tree of this size stands in a bundle.
    pub fn path(size: u64) -> String {
        format!("{LOG_DIRECTORY}{size}{SUFFIX}")
    }

    /// Returns the size of the tree that the file at a path is about; `None` if the path is not of that form.
    pub fn size_of_path(path: &str) -> Option<u64> {
        let size = path.strip_prefix(LOG_DIRECTORY)?.strip_suffix(SUFFIX)?;
        parse_size(size).filter(|size| *size > 0)
    }
}

#[cfg(test)]
mod tests;
