//! What a log sends to a witness: what the witness knows, what has grown since, and the proof in between.
//!
//! Source: C2SP `tlog-witness`, `add-checkpoint`.

use gantral_core::digest::Digest;
use gantral_evidence::log::checkpoint::{CheckpointError, encode_hashes, parse_hashes, parse_size};
use gantral_evidence::log::note::{NOTE_BYTES_MAX, NoteError};
use gantral_evidence::log::tree::PROOF_HASHES_MAX;

/// The largest request, in bytes.
pub const REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + (4 << 10);

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How many leaves the witness has seen.
    pub old_size: u64,
    /// The proof that the tree extends that one.
    pub proof: Vec<Digest>,
    /// The checkpoint, signed by its log.
    pub checkpoint: String,
}

/// Why bytes are not a request. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Larger than [`REQUEST_BYTES_MAX`], or more hashes than any proof has.
    #[error("the request is over its limit")]
    Limit,
    /// Not UTF-8, or no empty line between proof and checkpoint.
    #[error("the request has no checkpoint below an empty line")]
    Shape,
    /// No line `old N`, or one that says more than the checkpoint.
    #[error("the request does not say from which size")]
    OldSize,
    /// A line that is no hash.
    #[error("a hash of the request cannot be read")]
    Hash,
    /// What should be a checkpoint is no signed note.
    #[error("{0}")]
    Note(NoteError),
    /// The text of the note is no checkpoint.
    #[error("{0}")]
    Checkpoint(CheckpointError),
}

impl Request {
    /// Reads a request. The checkpoint is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::Limit);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| RequestError::Shape)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(RequestError::Shape)?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_size);
        let old_size = old_size.ok_or(RequestError::OldSize)?;
        let proof = parse_hashes(lines).ok_or(RequestError::Hash)?;
        if proof.len() > PROOF_HASHES_MAX {
            return Err(RequestError::Limit);
        }
        Ok(Self { old_size, proof, checkpoint: checkpoint.to_owned() })
    }

    /// Returns the text that is sent.
    pub fn encode(&self) -> String {
        let proof = encode_hashes(&self.proof);
        format!("old {}\n{proof}\n{}", self.old_size, self.checkpoint)
    }
}
