//! What several tests of this crate need: leaves, a log in memory, and a stranger who reads its tiles.

use std::collections::BTreeMap;
use std::io;

use gantral_core::digest::Digest;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::log::tree::TreeHead;
use tlog_tiles::{Error, Hash, TileReader};

use crate::objects::{Object, ReadObjects};
use crate::tile::{Row, Tile};
use crate::tree::Edge;

/// Returns the first leaf of the chain with this number.
pub fn leaf(number: u64) -> Leaf {
    Leaf {
        kind: LeafKind::Artifact,
        sequence: 0,
        terminal: false,
        tag: Digest::of(&number.to_be_bytes()),
        hash: Digest::from_bytes([7; 32]),
        issuer: [9; 8],
    }
}

/// Objects in memory.
#[derive(Debug, Default, Clone)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Memory {
    pub fn put(&mut self, objects: Vec<Object>) {
        self.0.extend(objects.into_iter().map(|object| (object.name, object.bytes)));
    }
}

impl ReadObjects for Memory {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(name).cloned())
    }
}

/// A log of leaves that were appended in batches of these sizes.
pub fn grown(batches: &[u64]) -> (Memory, Edge) {
    let (mut objects, mut edge) = (Memory::default(), Edge::default());
    let mut next = 0;
    for batch in batches {
        let leaves: Vec<Leaf> = (next..next + batch).map(leaf).collect();
        next += batch;
        objects.put(edge.append(&leaves).unwrap());
    }
    (objects, edge)
}

/// Somebody else's reader of tiles, which checks what it reads against a root.
pub struct Stranger<'a>(pub &'a Memory);

impl TileReader for Stranger<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let width = u64::from(tile.width());
            let ours = Tile { row: Row::Hashes(tile.level()), index: tile.level_index(), width };
            self.0.0.get(&ours.to_string()).cloned().ok_or(Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// Returns a hash as the stranger has it.
pub fn foreign(hash: &Digest) -> Hash {
    Hash(*hash.as_bytes())
}

/// Returns the root of leaves that are joined as RFC 6962 §2.1 says, without any tile.
pub fn head(size: u64) -> TreeHead {
    fn root(from: u64, to: u64) -> Digest {
        if to - from == 1 {
            return leaf(from).tree_hash();
        }
        let middle = from + (to - from).next_power_of_two() / 2;
        gantral_evidence::log::tree::node_hash(&root(from, middle), &root(middle, to))
    }
    if size == 0 { TreeHead::empty() } else { TreeHead { size, root: root(0, size) } }
}
