//! How far each chain of a log has come. All that is kept of a chain is its tag and one number: 40 bytes on disk, and about 70
//! in memory, however long it is.

use std::collections::BTreeMap;

use gantral_core::digest::Digest;
use gantral_evidence::log::leaf::{Leaf, LeafKind};

/// How many bytes a chain takes in [`Chains::encode`].
pub(super) const CHAIN_BYTES: usize = 40;

const TERMINAL: u64 = 1;
const GOVERNANCE: u64 = 1 << 1;
const IN_WINDOW: u64 = 1 << 2;
/// The next sequence stands above the flags: 48 of 61 bits.
const NEXT: u32 = 3;

/// The next sequence of a chain, and its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Chain(u64);

impl Chain {
    const fn next(self) -> u64 {
        self.0 >> NEXT
    }

    const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
}

/// Every chain that a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chains {
    chains: BTreeMap<Digest, Chain>,
    counts: Counts,
    /// What has changed since [`Chains::begin`], to take it back: copying all chains would cost more than reading what is new.
    undo: Vec<(Digest, Option<Chain>)>,
    /// The counts at [`Chains::begin`]; `None` while nothing is taken back.
    begun: Option<Counts>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    instances: u64,
    ended: u64,
}

/// Why a leaf is not the next one of its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disorder {
    /// Its sequence is below the next one: it was there before, or was left out.
    Past,
    /// This sequence is left out, perhaps with others.
    Gap(u64),
    /// The chain has ended.
    AfterTerminal,
    /// The chain is of another kind, or a governance chain ends.
    Kind,
}

impl Chains {
    /// Takes the next leaf of the log.
    pub fn take(&mut self, leaf: &Leaf, in_window: bool) -> Result<(), Disorder> {
        let governance = leaf.kind == LeafKind::Governance;
        let kind = if governance { GOVERNANCE } else { 0 };
        if self.begun.is_some() {
            self.undo.push((leaf.tag, self.chains.get(&leaf.tag).copied()));
        }
        let instances = &mut self.counts.instances;
        let chain = self.chains.entry(leaf.tag).or_insert_with(|| {
            *instances += u64::from(!governance);
            Chain(kind)
        });
        let (before, window) = (*chain, if in_window { IN_WINDOW } else { 0 });
        chain.0 |= window;
        if before.has(GOVERNANCE) != governance || (governance && leaf.terminal) {
            return Err(Disorder::Kind);
        }
        if leaf.sequence < before.next() {
            return Err(Disorder::Past);
        }
        let terminal = if leaf.terminal { TERMINAL } else { before.0 & TERMINAL };
        self.counts.ended += u64::from(leaf.terminal && !before.has(TERMINAL));
        *chain = Chain((leaf.sequence + 1) << NEXT | terminal | kind | (chain.0 & IN_WINDOW));
        if before.has(TERMINAL) {
            Err(Disorder::AfterTerminal)
        } else if leaf.sequence > before.next() {
            Err(Disorder::Gap(before.next()))
        } else {
            Ok(())
        }
    }

    /// Begins what can be taken back.
    pub fn begin(&mut self) {
        self.undo.clear();
        self.begun = Some(self.counts);
    }

    /// Keeps what was taken since [`Chains::begin`].
    pub fn keep(&mut self) {
        self.undo = Vec::new();
        self.begun = None;
    }

    /// Takes back everything since [`Chains::begin`].
    pub fn take_back(&mut self) {
        let Some(counts) = self.begun.take() else { return };
        self.counts = counts;
        for (tag, chain) in std::mem::take(&mut self.undo).into_iter().rev() {
            match chain {
                Some(chain) => self.chains.insert(tag, chain),
                None => self.chains.remove(&tag),
            };
        }
    }

    /// Returns how many executions there are.
    pub const fn instances(&self) -> u64 {
        self.counts.instances
    }

    /// Returns how many executions have ended.
    pub const fn ended(&self) -> u64 {
        self.counts.ended
    }

    /// Iterates over the executions that have a leaf in the window.
    pub fn in_window(&self) -> impl Iterator<Item = &Digest> {
        let chains = self.chains.iter();
        chains.filter(|(_, chain)| chain.has(IN_WINDOW) && !chain.has(GOVERNANCE)).map(|(tag, _)| tag)
    }

    pub fn len(&self) -> usize {
        self.chains.len()
    }

    /// Writes every chain, in the order of the tags, without what it was in a window.
    pub fn encode(&self, to: &mut Vec<u8>) {
        for (tag, chain) in &self.chains {
            to.extend_from_slice(tag.as_bytes());
            to.extend_from_slice(&(chain.0 & !IN_WINDOW).to_be_bytes());
        }
    }

    /// Reads what [`Chains::encode`] wrote; `None` if it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (records, rest) = bytes.as_chunks::<CHAIN_BYTES>();
        let mut read = Self::default();
        let chains = records.iter().map(|record| {
            let (tag, number) = record.split_first_chunk::<32>()?;
            let chain = Chain(u64::from_be_bytes(number.try_into().ok()?));
            read.counts.instances += u64::from(!chain.has(GOVERNANCE));
            read.counts.ended += u64::from(chain.has(TERMINAL));
            Some((Digest::from_bytes(*tag), chain))
        });
        read.chains = chains.collect::<Option<_>>()?;
        (rest.is_empty() && read.chains.len() == records.len()).then_some(read)
    }
}
