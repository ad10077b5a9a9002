//! The Merkle tree of RFC 6962 over SHA-256: hashes, and the two proofs that a verifier checks.
//!
//! The walks are those of RFC 9162 §2.1.3.2 and §2.1.4.2, which check the same proofs. Source: `spec/log.md` §2.

use gantral_core::digest::Digest;
use sha2::{Digest as _, Sha256};

/// The largest tree: sizes stay inside what JSON counts exactly.
pub const SIZE_MAX: u64 = (1 << 53) - 1;
/// The most hashes of a proof: one for each level of the largest tree, and one for the old root.
pub const PROOF_HASHES_MAX: usize = 63;

/// Why a proof proves nothing. No finer reason is given: none would change what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index or the old size lies outside the tree, or the tree is larger than [`SIZE_MAX`].
    #[error("the place is outside the tree")]
    Range,
    /// More or fewer hashes than a proof for this place has.
    #[error("a proof for this place has another length")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// Returns the hash of a leaf: `SHA-256(00 leaf)`.
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    hash(&[&[0], leaf])
}

/// Returns the hash of a node: `SHA-256(01 left right)`.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    hash(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// Returns the root of a tree without leaves: `SHA-256()`.
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

fn hash(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    Digest::from_bytes(hash.finalize().into())
}

/// Returns the root of a tree of `size` leaves to which the proof leads from the leaf at `index` (RFC 6962 §2.1.1).
pub fn root_from_inclusion(
    index: u64,
    size: u64,
    leaf: &Digest,
    proof: &[Digest],
) -> Result<Digest, ProofError> {
    if index >= size || size > SIZE_MAX {
        return Err(ProofError::Range);
    }
    let (mut walk, mut root) = (Walk { at: index, last: size - 1 }, *leaf);
    for sibling in proof {
        root = match walk.step()? {
            Side::Left => node_hash(sibling, &root),
            Side::Right => node_hash(&root, sibling),
        };
    }
    walk.end()?;
    Ok(root)
}

/// Checks that the leaf at `index` is in the tree with this root.
pub fn check_inclusion(
    index: u64,
    size: u64,
    root: &Digest,
    leaf: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if root_from_inclusion(index, size, leaf, proof)? == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// A tree at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves it has; at most [`SIZE_MAX`].
    pub size: u64,
    /// Its root.
    pub root: Digest,
}

impl TreeHead {
    /// The tree without leaves, from which every tree has grown.
    pub fn empty() -> Self {
        Self { size: 0, root: empty_root() }
    }

    /// Checks that `self` begins with all leaves of `old` (RFC 6962 §2.1.2). Every tree begins with the empty one; a tree
    /// begins with itself, by an empty proof.
    pub fn check_extends(&self, old: &Self, proof: &[Digest]) -> Result<(), ProofError> {
        if old.size > self.size || self.size > SIZE_MAX {
            return Err(ProofError::Range);
        }
        if old.size == 0 || old.size == self.size {
            let same = (old.size != 0 || old.root == empty_root())
                && (old.size != self.size || old.root == self.root);
            return match (proof.is_empty(), same) {
                (true, true) => Ok(()),
                (true, false) => Err(ProofError::Root),
                (false, _) => Err(ProofError::Length),
            };
        }
        let (first, rest) = if old.size.is_power_of_two() {
            (old.root, proof)
        } else {
            let (first, rest) = proof.split_first().ok_or(ProofError::Length)?;
            (*first, rest)
        };
        let levels = (old.size - 1).trailing_ones();
        let mut walk = Walk { at: (old.size - 1) >> levels, last: (self.size - 1) >> levels };
        let (mut old_root, mut new_root) = (first, first);
        for hash in rest {
            match walk.step()? {
                Side::Left => {
                    old_root = node_hash(hash, &old_root);
                    new_root = node_hash(hash, &new_root);
                }
                Side::Right => new_root = node_hash(&new_root, hash),
            }
        }
        walk.end()?;
        if old_root == old.root && new_root == self.root { Ok(()) } else { Err(ProofError::Root) }
    }
}

/// On which side of the way up the next hash of a proof stands.
enum Side {
    Left,
    Right,
}

/// The way from a place up to the root, level by level.
struct Walk {
    at: u64,
    /// The last place of the level.
    last: u64,
}

impl Walk {
    /// Goes up by one hash.
    fn step(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::Length);
        }
        let side = if self.at & 1 == 1 || self.at == self.last { Side::Left } else { Side::Right };
        // At the right edge there is no sibling on the levels where the tree is cut.
        let levels = if matches!(side, Side::Left) { self.at.trailing_zeros() } else { 0 };
        self.at >>= levels + 1;
        self.last >>= levels + 1;
        Ok(side)
    }

    /// Says whether the root is reached.
    const fn end(&self) -> Result<(), ProofError> {
        if self.last == 0 { Ok(()) } else { Err(ProofError::Length) }
    }
}

#[cfg(test)]
mod tests;
