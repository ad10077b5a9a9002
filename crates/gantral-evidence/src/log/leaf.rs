//! The leaf: 83 bytes that tell which link of which chain was sealed, and nothing else.
//!
//! A leaf carries the place in the chain in the clear, so that whoever holds the leaves alone can decide a fork, a cut
//! tail and a hidden instance. Source: `spec/log.md` §1.

use gantral_core::digest::Digest;
use gantral_core::ids::{governance_tag, instance_tag};

use crate::governance::GovernanceStatement;
use crate::keys::KeyId;
use crate::statement::Statement;

/// How many bytes a leaf has.
pub const LEAF_BYTES: usize = 83;
/// The highest sequence number: the place has six bytes.
pub const SEQUENCE_MAX: u64 = (1 << 48) - 1;
/// What every leaf begins with.
const MAGIC: [u8; 3] = *b"GL1";
const GENESIS: u8 = 1;
const TERMINAL: u8 = 2;

/// What a leaf stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafKind {
    /// An artifact of an instance.
    Artifact = 1,
    /// An artifact of the tenant's governance chain.
    Governance = 5,
}

impl LeafKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Artifact, Self::Governance].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// One leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// What it stands for.
    pub kind: LeafKind,
    /// The place of the artifact in its chain, from 0; at most [`SEQUENCE_MAX`].
    pub sequence: u64,
    /// Whether the chain ends here.
    pub terminal: bool,
    /// Which chain: the instance tag or the governance tag (`spec/commitments.md` §1).
    pub tag: Digest,
    /// The hash of the artifact.
    pub hash: Digest,
    /// The first eight bytes of the issuer's key id.
    pub issuer: [u8; 8],
}

/// Why bytes are not a leaf. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Another number of bytes than [`LEAF_BYTES`].
    #[error("a leaf has {LEAF_BYTES} bytes")]
    Length,
    /// Another first three bytes than `GL1`.
    #[error("a leaf begins with `GL1`")]
    Magic,
    /// A type that this version does not know.
    #[error("unknown type of leaf: {0}")]
    Kind(u8),
    /// A flag that is not known, or a genesis flag that contradicts the sequence.
    #[error("flags of a leaf contradict its sequence or are unknown")]
    Flags,
}

impl Leaf {
    /// Returns the leaf that follows from an artifact of an instance: its statement, its hash, and the key of its issuer (L17).
    pub fn of_artifact(statement: &Statement, hash: Digest, issuer: KeyId) -> Self {
        Self {
            kind: LeafKind::Artifact,
            sequence: statement.sequence,
            terminal: statement.state.is_final(),
            tag: instance_tag(&statement.identity.tenant, &statement.identity.instance),
            hash,
            issuer: issuer.short(),
        }
    }

    /// Returns the leaf that follows from a governance artifact, which never ends its chain (`spec/governance.md` G9).
    pub fn of_governance(statement: &GovernanceStatement, hash: Digest, issuer: KeyId) -> Self {
        Self {
            kind: LeafKind::Governance,
            sequence: statement.sequence,
            terminal: false,
            tag: governance_tag(&statement.tenant),
            hash,
            issuer: issuer.short(),
        }
    }

    /// Reads a leaf (L1 to L4).
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let bytes: &[u8; LEAF_BYTES] = bytes.try_into().map_err(|_| LeafError::Length)?;
        let (magic, rest) = split::<3, 80>(bytes);
        let ([kind, flags], rest) = split::<2, 78>(&rest);
        let (sequence, rest) = split::<6, 72>(&rest);
        let (tag, rest) = split::<32, 40>(&rest);
        let (hash, issuer) = split::<32, 8>(&rest);
        if magic != MAGIC {
            return Err(LeafError::Magic);
        }
        let kind = LeafKind::from_byte(kind).ok_or(LeafError::Kind(kind))?;
        let [a, b, c, d, e, f] = sequence;
        let sequence = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let leaf = Self {
            kind,
            sequence,
            terminal: flags & TERMINAL != 0,
            tag: Digest::from_bytes(tag),
            hash: Digest::from_bytes(hash),
            issuer,
        };
        if leaf.flags() == flags { Ok(leaf) } else { Err(LeafError::Flags) }
    }

    /// Returns the bytes. A sequence above [`SEQUENCE_MAX`] loses its high bits, which no chain reaches.
    pub fn encode(&self) -> [u8; LEAF_BYTES] {
        let [_, _, sequence @ ..] = self.sequence.to_be_bytes();
        let mut bytes = [0; LEAF_BYTES];
        let parts: [&[u8]; 6] = [
            &MAGIC,
            &[self.kind as u8, self.flags()],
            &sequence,
            self.tag.as_bytes(),
            self.hash.as_bytes(),
            &self.issuer,
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Returns the hash with which the leaf enters the tree.
    pub fn tree_hash(&self) -> Digest {
        super::tree::leaf_hash(&self.encode())
    }

    const fn flags(&self) -> u8 {
        let genesis = if self.sequence == 0 { GENESIS } else { 0 };
        let terminal = if self.terminal { TERMINAL } else { 0 };
        genesis | terminal
    }
}

/// Splits an array in two. The lengths are those of the caller's types.
fn split<const A: usize, const B: usize>(bytes: &[u8]) -> ([u8; A], [u8; B]) {
    let mut bytes = bytes.iter().copied();
    let head = core::array::from_fn(|_| bytes.next().unwrap_or_default());
    let tail = core::array::from_fn(|_| bytes.next().unwrap_or_default());
    (head, tail)
}

#[cfg(test)]
mod tests;
