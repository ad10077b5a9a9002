//! The checkpoint: what a log says its tree is, as the text of a signed note.
//!
//! Source: C2SP `tlog-checkpoint`, `spec/log.md` §3.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;

use super::tree::{SIZE_MAX, TreeHead};

/// What a log says its tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: LogOrigin,
    /// Its tree.
    pub tree: TreeHead,
}

/// Why a text is not a checkpoint. The text is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Fewer than three lines, an empty line, or no newline at the end.
    #[error("a checkpoint has the lines origin, size and root")]
    Shape,
    /// The first line is not the origin of a log of ours.
    #[error("not the origin of a log")]
    Origin,
    /// The second line is not a canonical decimal of at most [`SIZE_MAX`].
    #[error("not the size of a tree")]
    Size,
    /// The third line is not the canonical base64 of 32 bytes.
    #[error("not the root of a tree")]
    Root,
}

impl Checkpoint {
    /// Reads the text of a note. Lines after the third are extensions: signed, and without meaning here.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Shape)?.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Shape);
        let (origin, size, root) = (line()?, line()?, line()?);
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Shape);
        }
        let origin = LogOrigin::parse(origin).map_err(|_| CheckpointError::Origin)?;
        let size = parse_size(size).ok_or(CheckpointError::Size)?;
        let root = parse_hash(root).ok_or(CheckpointError::Root)?;
        Ok(Self { origin, tree: TreeHead { size, root } })
    }

    /// Returns the text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.tree.size, encode_hash(&self.tree.root))
    }
}

/// Reads a count as C2SP writes it: decimal, without leading zeros, at most [`SIZE_MAX`].
pub fn parse_size(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok().filter(|number| *number <= SIZE_MAX)?;
    (number.to_string() == text).then_some(number)
}

/// Reads a hash as C2SP writes it: base64 with padding, in its one spelling.
pub fn parse_hash(text: &str) -> Option<Digest> {
    let bytes = STANDARD.decode(text).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

/// Reads the hashes of a proof as C2SP writes them, one a line.
pub fn parse_hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Digest>> {
    lines.map(parse_hash).collect()
}

/// Writes a hash as C2SP does.
pub fn encode_hash(hash: &Digest) -> String {
    STANDARD.encode(hash.as_bytes())
}

/// Writes the hashes of a proof as C2SP does, each with its newline.
pub fn encode_hashes(hashes: &[Digest]) -> String {
    hashes.iter().map(|hash| encode_hash(hash) + "\n").collect()
}

#[cfg(test)]
mod tests;
