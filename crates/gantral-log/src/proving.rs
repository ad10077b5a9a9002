//! Proofs from tiles: each reads a tile a level, however large the tree.

use std::collections::BTreeMap;

use gantral_core::digest::Digest;
use gantral_evidence::log::tree::{SIZE_MAX, TreeHead, node_hash};

use crate::objects::ReadObjects;
use crate::tile::{Row, TILE_WIDTH, Tile};
use crate::tree::{LogError, read_hashes, tile_root};

/// Makes proofs in a tree of one size, from any storage or mirror that has its tiles.
///
/// What it reads is not checked against a root: a proof from damaged tiles is refused by whoever checks it. It keeps the tiles
/// that it has read, so whoever makes many proofs of one tree keeps the prover; one proof needs about a dozen.
#[derive(Debug)]
pub struct Prover<'a, O> {
    objects: &'a O,
    size: u64,
    read: BTreeMap<Tile, Vec<Digest>>,
}

impl<'a, O: ReadObjects> Prover<'a, O> {
    /// Starts with a tree of `size` leaves, as a checkpoint gives it.
    pub fn new(objects: &'a O, size: u64) -> Result<Self, LogError> {
        if size > SIZE_MAX {
            return Err(LogError::Range);
        }
        Ok(Self { objects, size, read: BTreeMap::new() })
    }

    /// Returns the tree that the tiles make.
    pub fn head(&mut self) -> Result<TreeHead, LogError> {
        if self.size == 0 {
            return Ok(TreeHead::empty());
        }
        Ok(TreeHead { size: self.size, root: self.root(0, self.size)? })
    }

    /// Returns the hashes that lead from the leaf at `index` to the root (RFC 6962 §2.1.1).
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Digest>, LogError> {
        if index >= self.size {
            return Err(LogError::Range);
        }
        let mut hashes = Vec::new();
        let (mut from, mut to) = (0, self.size);
        while to - from > 1 {
            let middle = from + left(to - from);
            if index < middle {
                hashes.push(self.root(middle, to)?);
                to = middle;
            } else {
                hashes.push(self.root(from, middle)?);
                from = middle;
            }
        }
        hashes.reverse();
        Ok(hashes)
    }

    /// Returns the hashes that show that the tree begins with the `old` leaves of an earlier one (RFC 6962 §2.1.2).
    pub fn consistency(&mut self, old: u64) -> Result<Vec<Digest>, LogError> {
        if old > self.size {
            return Err(LogError::Range);
        }
        if old == 0 || old == self.size {
            return Ok(Vec::new());
        }
        let mut hashes = Vec::new();
        let (mut from, mut to) = (0, self.size);
        while old != to {
            let middle = from + left(to - from);
            if old <= middle {
                hashes.push(self.root(middle, to)?);
                to = middle;
            } else {
                hashes.push(self.root(from, middle)?);
                from = middle;
            }
        }
        // The old tree as a whole is what the verifier already has.
        if from != 0 {
            hashes.push(self.root(from, to)?);
        }
        hashes.reverse();
        Ok(hashes)
    }

    /// Returns the root of the leaves from `from` to before `to`, a range at which a tree of RFC 6962 splits.
    fn root(&mut self, from: u64, to: u64) -> Result<Digest, LogError> {
        let mut roots = Vec::new();
        let mut at = from;
        while at < to {
            let levels = (to - at).ilog2();
            roots.push(self.perfect(at, levels)?);
            at += 1 << levels;
        }
        roots.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).ok_or(LogError::Range)
    }

    /// Returns the root of the complete tree of `2^levels` leaves that begins at `from`.
    fn perfect(&mut self, from: u64, levels: u32) -> Result<Digest, LogError> {
        let row = u8::try_from(levels / 8).map_err(|_| LogError::Range)?;
        let first = from >> (8 * u32::from(row));
        let tile = Tile::of_tree(Row::Hashes(row), first / TILE_WIDTH, self.size).ok_or(LogError::Range)?;
        if !self.read.contains_key(&tile) {
            self.read.insert(tile, read_hashes(self.objects, tile)?);
        }
        let first = usize::try_from(first % TILE_WIDTH).map_err(|_| LogError::Range)?;
        let hashes = self.read.get(&tile).and_then(|hashes| hashes.get(first..first + (1 << (levels % 8))));
        Ok(tile_root(hashes.ok_or_else(|| LogError::Object(tile.to_string()))?))
    }
}

/// Returns how many of `count` leaves stand in the left half: the largest power of two below.
const fn left(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests;
