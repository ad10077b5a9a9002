//! The tree as it grows: its right edge is all that an append needs, however many leaves there are.

use std::io;

use gantral_core::digest::Digest;
use gantral_evidence::log::leaf::{LEAF_BYTES, Leaf};
use gantral_evidence::log::tree::{SIZE_MAX, TreeHead, empty_root, leaf_hash, node_hash};

use crate::objects::{Object, ReadObjects};
use crate::tile::{HASH_BYTES, LEVELS_MAX, Row, TILE_WIDTH, Tile};

/// How many bytes a leaf takes in a bundle: its length in two bytes, and itself.
pub(crate) const ENTRY_BYTES: usize = 2 + LEAF_BYTES;

/// The tiles at the right edge of a tree, which are all that may still change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// For each level, the hashes of its partial tile.
    levels: Vec<Vec<Digest>>,
    /// The bytes of the partial bundle.
    entries: Vec<u8>,
}

/// Why a log cannot be read or grow.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The storage failed; the caller may try again.
    #[error("the storage of the log: {0}")]
    Storage(#[from] io::Error),
    /// An object that the checkpoint needs is not there or has another length.
    #[error("`{0}` of the log is missing or damaged")]
    Object(String),
    /// The objects make another root than the checkpoint says: they are not this tree's.
    #[error("the tiles of the log are not those of its checkpoint")]
    Root,
    /// The place is not in the tree, or the tree is full.
    #[error("the place is outside the tree")]
    Range,
}

impl Default for Edge {
    /// The edge of the tree without leaves.
    fn default() -> Self {
        Self { size: 0, levels: vec![Vec::new(); usize::from(LEVELS_MAX)], entries: Vec::new() }
    }
}

impl Edge {
    /// Reads the edge of a tree and checks that it is this tree's.
    pub fn load(objects: &impl ReadObjects, tree: &TreeHead) -> Result<Self, LogError> {
        if tree.size > SIZE_MAX {
            return Err(LogError::Range);
        }
        let mut edge = Self { size: tree.size, ..Self::default() };
        for (level, hashes) in (0..).zip(&mut edge.levels) {
            let index = (tree.size >> (8 * u32::from(level))) / TILE_WIDTH;
            if let Some(tile) = Tile::of_tree(Row::Hashes(level), index, tree.size) {
                *hashes = read_hashes(objects, tile)?;
            }
        }
        if let Some(tile) = Tile::of_tree(Row::Entries, tree.size / TILE_WIDTH, tree.size) {
            edge.entries = read(objects, tile)?;
        }
        if edge.head() == *tree && edge.holds_its_leaves() { Ok(edge) } else { Err(LogError::Root) }
    }

    /// Returns how many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the tree whose edge this is; joins the hashes of the edge anew.
    pub fn head(&self) -> TreeHead {
        // Complete trees from the largest to the smallest, as the leaves stand in them; the root joins them from the right.
        let perfect = self.levels.iter().rev().flat_map(|hashes| perfect_roots(hashes));
        let root =
            perfect.collect::<Vec<_>>().into_iter().rev().reduce(|right, left| node_hash(&left, &right));
        TreeHead { size: self.size, root: root.unwrap_or_else(empty_root) }
    }

    /// Appends leaves, and returns the objects that the grown tree has and the old one had not.
    pub fn append(&mut self, leaves: &[Leaf]) -> Result<Vec<Object>, LogError> {
        self.append_encoded(leaves.iter().map(Leaf::encode))
    }

    /// Appends leaves as they are written, also such that this version does not know.
    pub(crate) fn append_encoded(
        &mut self,
        leaves: impl ExactSizeIterator<Item = [u8; LEAF_BYTES]>,
    ) -> Result<Vec<Object>, LogError> {
        let grows = leaves.len() > 0;
        if self.size.saturating_add(leaves.len() as u64) > SIZE_MAX {
            return Err(LogError::Range);
        }
        let mut objects = Vec::new();
        let mut touched = [false; LEVELS_MAX as usize];
        for leaf in leaves {
            self.entries.extend_from_slice(&(LEAF_BYTES as u16).to_be_bytes());
            self.entries.extend_from_slice(&leaf);
            self.size += 1;
            if self.size.is_multiple_of(TILE_WIDTH) {
                let tile = Tile { row: Row::Entries, index: self.size / TILE_WIDTH - 1, width: TILE_WIDTH };
                objects.push(Object { name: tile.to_string(), bytes: std::mem::take(&mut self.entries) });
            }
            self.push(leaf_hash(&leaf), &mut objects, &mut touched);
        }
        for ((level, hashes), touched) in (0..).zip(&self.levels).zip(touched) {
            let index = (self.size >> (8 * u32::from(level))) / TILE_WIDTH;
            if touched && let Some(tile) = Tile::of_tree(Row::Hashes(level), index, self.size) {
                objects.push(Object { name: tile.to_string(), bytes: concat(hashes) });
            }
        }
        if grows && let Some(tile) = Tile::of_tree(Row::Entries, self.size / TILE_WIDTH, self.size) {
            objects.push(Object { name: tile.to_string(), bytes: self.entries.clone() });
        }
        Ok(objects)
    }

    /// Returns the bytes of the partial bundle of leaves.
    pub(crate) fn entries(&self) -> &[u8] {
        &self.entries
    }

    /// Returns the partial tiles of hashes, with their bytes.
    pub(crate) fn partial_hashes(&self) -> impl Iterator<Item = (Tile, Vec<u8>)> + '_ {
        (0..).zip(&self.levels).filter_map(|(level, hashes)| {
            let index = (self.size >> (8 * u32::from(level))) / TILE_WIDTH;
            Some((Tile::of_tree(Row::Hashes(level), index, self.size)?, concat(hashes)))
        })
    }

    /// Writes the edge down, for [`Edge::decode`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let hashes = self.levels.iter().flat_map(|hashes| concat(hashes));
        self.size.to_be_bytes().into_iter().chain(hashes).chain(self.entries.iter().copied()).collect()
    }

    /// Reads what [`Edge::encode`] wrote; `None` if it is something else. That it is the edge of a certain tree is not checked.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (size, mut rest) = bytes.split_first_chunk::<8>()?;
        let size = u64::from_be_bytes(*size);
        if size > SIZE_MAX {
            return None;
        }
        let mut edge = Self { size, ..Self::default() };
        for (level, hashes) in (0_u32..).zip(&mut edge.levels) {
            let count = usize::try_from((size >> (8 * level)) % TILE_WIDTH).ok()?;
            let (tile, after) = rest.split_at_checked(count * HASH_BYTES)?;
            *hashes = tile.as_chunks().0.iter().map(|hash| Digest::from_bytes(*hash)).collect();
            rest = after;
        }
        let entries = usize::try_from(size % TILE_WIDTH).ok()? * ENTRY_BYTES;
        edge.entries = rest.to_vec();
        (rest.len() == entries).then_some(edge)
    }

    /// Tells whether the partial bundle holds the leaves of the lowest partial tile. The root covers hashes only, and what is appended
    /// is written behind these leaves: a damaged one would be published again, and for good once the bundle is full.
    fn holds_its_leaves(&self) -> bool {
        let (entries, rest) = self.entries.as_chunks::<ENTRY_BYTES>();
        let hashes = self.levels.first().map(Vec::as_slice).unwrap_or_default();
        let holds = |entry: &[u8; ENTRY_BYTES], hash: &Digest| {
            let leaf = entry.strip_prefix(&(LEAF_BYTES as u16).to_be_bytes());
            leaf.is_some_and(|leaf| leaf_hash(leaf) == *hash)
        };
        rest.is_empty()
            && entries.len() == hashes.len()
            && entries.iter().zip(hashes).all(|(entry, hash)| holds(entry, hash))
    }

    /// Puts the hash of a leaf into the lowest level, and those of tiles that are full into the levels above.
    fn push(&mut self, hash: Digest, objects: &mut Vec<Object>, touched: &mut [bool]) {
        let mut hash = hash;
        for ((level, hashes), touched) in (0..).zip(&mut self.levels).zip(touched) {
            hashes.push(hash);
            *touched = true;
            if (hashes.len() as u64) < TILE_WIDTH {
                return;
            }
            let index = (self.size >> (8 * u32::from(level))) / TILE_WIDTH - 1;
            let tile = Tile { row: Row::Hashes(level), index, width: TILE_WIDTH };
            objects.push(Object { name: tile.to_string(), bytes: concat(hashes) });
            hash = tile_root(hashes);
            hashes.clear();
        }
    }
}

/// Returns the roots of the complete trees that a partial tile falls into, the largest first.
fn perfect_roots(hashes: &[Digest]) -> Vec<Digest> {
    let mut rest = hashes;
    let mut roots = Vec::new();
    while !rest.is_empty() {
        let (tree, after) = rest.split_at(1 << rest.len().ilog2());
        roots.push(tile_root(tree));
        rest = after;
    }
    roots
}

/// Returns the root of a complete tree: of a power of two of hashes.
pub(crate) fn tile_root(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => empty_root(),
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&tile_root(left), &tile_root(right))
        }
    }
}

fn concat(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Reads a tile, or as much of a wider one of the same place: a partial tile may be gone once the full one is there.
pub(crate) fn read(objects: &impl ReadObjects, tile: Tile) -> Result<Vec<u8>, LogError> {
    let unit = match tile.row {
        Row::Entries => ENTRY_BYTES,
        Row::Hashes(_) => HASH_BYTES,
    };
    let name = tile.to_string();
    let found = match objects.read(&name)? {
        Some(bytes) => Some((bytes, tile.width)),
        None => objects.read(&tile.full().to_string())?.map(|bytes| (bytes, TILE_WIDTH)),
    };
    let length = |width: u64| usize::try_from(width).map(|width| width * unit);
    match (found, length(tile.width)) {
        (Some((mut bytes, width)), Ok(wanted)) if length(width) == Ok(bytes.len()) => {
            bytes.truncate(wanted);
            Ok(bytes)
        }
        _ => Err(LogError::Object(name)),
    }
}

pub(crate) fn read_hashes(objects: &impl ReadObjects, tile: Tile) -> Result<Vec<Digest>, LogError> {
    let bytes = read(objects, tile)?;
    let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
    Ok(hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
}

#[cfg(test)]
mod tests;
