//! Reading a log from one tree to the next: every leaf, every tile, and what they make together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use gantral_core::digest::Digest;
use gantral_evidence::log::leaf::{LEAF_BYTES, Leaf, LeafError};
use gantral_evidence::log::tree::TreeHead;

use super::MonitorError;
use super::chains::{Chains, Disorder};
use super::finding::{FINDINGS_MAX, Finding, Findings, MonitorCode};
use crate::objects::{Object, ReadObjects};
use crate::tile::{Row, TILE_WIDTH, Tile};
use crate::tree::{ENTRY_BYTES, Edge, LogError, read};

/// What is asked of the leaves while they are read, because afterwards they are forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Of which trees the roots are wanted.
    pub sizes: BTreeSet<u64>,
    /// Of which chains the leaves are wanted.
    pub tags: BTreeSet<Digest>,
    /// Which indexes are looked at for executions.
    pub window: Option<Range<u64>>,
}

/// The first leaf of each sequence of a chain, and its index.
pub(super) type LoggedChain = BTreeMap<u64, (u64, Leaf)>;

/// A log as far as it was read.
#[derive(Debug)]
pub(super) struct Walk<'a, O> {
    objects: &'a O,
    tree: TreeHead,
    asked: Asked,
    pub edge: Edge,
    pub chains: Chains,
    pub roots: BTreeMap<u64, Digest>,
    pub logged: BTreeMap<Digest, LoggedChain>,
    /// What is wrong with the leaves. It is the log's word only if they lead to its root.
    pub faults: Findings,
    /// What is wrong with the objects, whoever is at fault.
    pub damage: Findings,
    /// Leaves whose sequence was there before, or was left out.
    past: Vec<(u64, Leaf)>,
}

impl<'a, O: ReadObjects> Walk<'a, O> {
    /// Begins behind the leaves that are known already.
    pub fn new(objects: &'a O, tree: TreeHead, edge: Edge, chains: Chains, asked: Asked) -> Self {
        let logged = asked.tags.iter().map(|tag| (*tag, LoggedChain::new())).collect();
        Self {
            objects,
            tree,
            asked,
            edge,
            chains,
            roots: BTreeMap::new(),
            logged,
            faults: Findings::default(),
            damage: Findings::default(),
            past: Vec::new(),
        }
    }

    /// Reads to the end of the tree, and returns whether the leaves lead to its root.
    pub fn run(&mut self) -> Result<bool, MonitorError> {
        self.keep_root();
        let mut index = self.edge.size() / TILE_WIDTH;
        while self.edge.size() < self.tree.size {
            if !self.bundle(index)? {
                return Ok(false);
            }
            index += 1;
        }
        let partial: Vec<_> = self.edge.partial_hashes().collect();
        for (tile, bytes) in partial {
            self.check_tile(tile, &bytes)?;
        }
        if self.edge.head() != self.tree {
            let message = format!("the {} leaves that are served lead to another root", self.tree.size);
            self.damage.add(Finding::new(MonitorCode::Tile, "tile/entries", message));
            return Ok(false);
        }
        self.settle_past()?;
        Ok(true)
    }

    /// Reads one bundle of leaves; returns whether there was one that can be read.
    fn bundle(&mut self, index: u64) -> Result<bool, MonitorError> {
        let Some(tile) = Tile::of_tree(Row::Entries, index, self.tree.size) else { return Ok(false) };
        let bytes = match read(self.objects, tile) {
            Ok(bytes) => bytes,
            Err(LogError::Storage(error)) => return Err(MonitorError::Source(error)),
            Err(error) => return Ok(self.damaged(tile, error.to_string())),
        };
        let Some(bytes) = bytes.strip_prefix(self.edge.entries()) else {
            return Ok(self.damaged(tile, "leaves have changed that were read before".to_owned()));
        };
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let mut run = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(leaf) = leaf_of(entry) else {
                return Ok(self.damaged(tile, "a leaf has another length".to_owned()));
            };
            run.push(leaf);
            let size = self.edge.size() + run.len() as u64;
            self.leaf(size - 1, &leaf);
            if self.asked.sizes.contains(&size) {
                self.grow(std::mem::take(&mut run))?;
            }
        }
        self.grow(run)?;
        Ok(true)
    }

    fn damaged(&mut self, tile: Tile, message: String) -> bool {
        self.damage.add(Finding::new(MonitorCode::Tile, tile.to_string(), message));
        false
    }

    /// Appends leaves to the tree, and compares the tiles that are full now with those that are served.
    fn grow(&mut self, leaves: Vec<[u8; LEAF_BYTES]>) -> Result<(), MonitorError> {
        let grown = self.edge.append_encoded(leaves.into_iter()).map_err(MonitorError::from_log)?;
        self.keep_root();
        for Object { name, bytes } in grown {
            if name.starts_with("tile/entries/") || name.contains(".p/") {
                continue;
            }
            let served = self.objects.read(&name).map_err(MonitorError::Source)?;
            if served.as_ref() != Some(&bytes) {
                self.damage.add(Finding::new(MonitorCode::Tile, name, other_hashes(served.is_some())));
            }
        }
        Ok(())
    }

    fn check_tile(&mut self, tile: Tile, bytes: &[u8]) -> Result<(), MonitorError> {
        match read(self.objects, tile) {
            Ok(served) if served == bytes => {}
            Ok(_) => {
                self.damaged(tile, other_hashes(true).to_owned());
            }
            Err(LogError::Storage(error)) => return Err(MonitorError::Source(error)),
            Err(error) => {
                self.damaged(tile, error.to_string());
            }
        }
        Ok(())
    }

    fn keep_root(&mut self) {
        if self.asked.sizes.contains(&self.edge.size()) {
            let head = self.edge.head();
            self.roots.insert(head.size, head.root);
        }
    }

    /// Looks at one leaf.
    fn leaf(&mut self, index: u64, bytes: &[u8; LEAF_BYTES]) {
        let place = || format!("leaf {index}");
        let leaf = match Leaf::parse(bytes) {
            Ok(leaf) => leaf,
            // A later version may write them; they say nothing to this one (L2).
            Err(LeafError::Kind(_)) => return,
            Err(error) => {
                return self.faults.add(Finding::new(MonitorCode::Leaf, place(), error.to_string()));
            }
        };
        if let Some(chain) = self.logged.get_mut(&leaf.tag) {
            chain.entry(leaf.sequence).or_insert((index, leaf));
        }
        let in_window = self.asked.window.as_ref().is_some_and(|window| window.contains(&index));
        let (tag, sequence) = (leaf.tag, leaf.sequence);
        let (code, message) = match self.chains.take(&leaf, in_window) {
            Ok(()) => return,
            Err(Disorder::Past) if self.past.len() < FINDINGS_MAX => {
                self.past.push((index, leaf));
                return;
            }
            Err(Disorder::Past) => {
                self.faults.more = self.faults.more.saturating_add(1);
                return;
            }
            Err(Disorder::Gap(missing)) => (
                MonitorCode::LogOrder,
                format!("chain {tag} goes on with sequence {sequence}, and sequence {missing} is missing"),
            ),
            Err(Disorder::AfterTerminal) => {
                (MonitorCode::LogOrder, format!("chain {tag} goes on with sequence {sequence} after its end"))
            }
            Err(Disorder::Kind) => {
                (MonitorCode::Leaf, format!("chain {tag} is of another kind, or of one that never ends"))
            }
        };
        self.faults.add(Finding::new(code, place(), message));
    }

    /// Finds for each leaf that came late what stood at its place before, by reading the log once more.
    fn settle_past(&mut self) -> Result<(), MonitorError> {
        let past = std::mem::take(&mut self.past);
        if past.is_empty() {
            return Ok(());
        }
        let tags = past.iter().map(|(_, leaf)| leaf.tag).collect();
        let asked = Asked { tags, ..Asked::default() };
        let mut again = Walk::new(self.objects, self.tree, Edge::default(), Chains::default(), asked);
        // What was read is the tree; only its first leaves are wanted. If they cannot be read now, the place is still disputed.
        while again.edge.size() < self.tree.size && again.bundle(again.edge.size() / TILE_WIDTH)? {}
        for (index, leaf) in past {
            let (tag, sequence) = (leaf.tag, leaf.sequence);
            let first = again.logged.get(&tag).and_then(|chain| chain.get(&sequence));
            let (code, message) = match first {
                Some((at, other)) if *at < index && other.hash != leaf.hash => {
                    let message =
                        format!("chain {tag} has another artifact of sequence {sequence} at leaf {at}");
                    (MonitorCode::Fork, message)
                }
                Some((at, _)) if *at < index => (
                    MonitorCode::LogOrder,
                    format!("chain {tag} has sequence {sequence} at leaf {at} already"),
                ),
                _ => (MonitorCode::LogOrder, format!("chain {tag} has sequence {sequence} after later ones")),
            };
            self.faults.add(Finding::new(code, format!("leaf {index}"), message));
        }
        Ok(())
    }
}

fn leaf_of(entry: &[u8; ENTRY_BYTES]) -> Option<[u8; LEAF_BYTES]> {
    let (length, leaf) = entry.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == LEAF_BYTES).then(|| leaf.try_into().ok()).flatten()
}

const fn other_hashes(served: bool) -> &'static str {
    if served { "the hashes are not those of the leaves" } else { "it is not served" }
}
