//! A mirror of the log: every leaf under one checkpoint, read once from the first to the last.
//!
//! Whoever holds all leaves decides what no bundle can: a fork, a cut end, a hidden execution. A log may be large, so the leaves
//! are streamed: kept are the few of the chains that were asked about, the roots of the trees that were asked about, and how
//! many executions there are. Reading files is the caller's. Source: `spec/verification.md` §13.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use gantral_core::digest::Digest;
use gantral_core::ids::{LogOrigin, TenantId, governance_tag, instance_tag};

use super::places::Seen;
use crate::bundle::{GOVERNANCE_PROOFS_DIRECTORY, PARENTS_DIRECTORY, PROOFS_DIRECTORY};
use crate::container::{ARTIFACTS_DIRECTORY, ARTIFACTS_MAX, Files};
use crate::dsse::Envelope;
use crate::log::checkpoint::Checkpoint;
use crate::log::consistency::{LOG_DIRECTORY, LogConsistency};
use crate::log::leaf::{Leaf, LeafKind};
use crate::log::note::Note;
use crate::log::policy::VouchError;
use crate::log::proof::LogProof;
use crate::log::tree::{TreeHead, empty_root, leaf_hash, node_hash};
use crate::statement::Statement;
use crate::trust::TrustedLog;

/// How many leaves a full bundle of a mirror has.
const BUNDLE_LEAVES: u64 = 256;

/// The most leaves of a governance chain that are looked at, but for one.
const GOVERNANCE_LEAVES_MAX: usize = 100_000;

/// The largest object of a mirror, in bytes: a full bundle of the longest leaves that it can hold.
pub const OBJECT_BYTES_MAX: usize = 256 * (2 + 65_535);

/// What a mirror is asked while it is read, because afterwards it has forgotten it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    chains: BTreeSet<ChainName>,
    sizes: BTreeSet<u64>,
}

/// A chain as its leaves name it.
type ChainName = (LeafKind, Digest);

/// What a mirror holds of the chains that it was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    origin: LogOrigin,
    seen: Seen,
    chains: BTreeMap<ChainName, LoggedChain>,
    roots: BTreeMap<u64, Digest>,
    instances: u64,
}

/// The leaves of one chain, by their indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LoggedChain {
    leaves: Vec<(u64, Leaf)>,
    /// The first leaf of each sequence, by its place among the leaves.
    first: BTreeMap<u64, usize>,
}

/// A mirror that is being read.
#[derive(Debug)]
pub struct MirrorReader {
    mirror: Mirror,
    wanted: BTreeSet<u64>,
    /// The roots of the complete trees of which the leaves so far consist, from the largest to the smallest.
    peaks: Vec<Digest>,
    count: u64,
}

/// Why something is no mirror of a log that is believed. The mirror is at fault; nothing was verified with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// The checkpoint is not signed by a log that is believed.
    #[error("checkpoint of the mirror: {0}")]
    Checkpoint(#[from] VouchError),
    /// Fewer witnesses have cosigned it than the policy needs.
    #[error("checkpoint of the mirror: fewer witnesses have cosigned it than the log policy needs")]
    Quorum,
    /// A bundle of leaves that is cut.
    #[error("leaves of the mirror are cut after leaf {after}")]
    Cut {
        /// How many leaves could be read.
        after: u64,
    },
    /// Other leaves than the checkpoint covers.
    #[error("the mirror has {found} leaves, and its checkpoint covers {expected}")]
    Size {
        /// How many there are.
        found: u64,
        /// How many there must be.
        expected: u64,
    },
    /// The leaves are not those that the checkpoint covers.
    #[error("the leaves of the mirror do not lead to the root of its checkpoint")]
    Root,
}

impl Questions {
    /// Returns what judging this bundle needs to know. Nothing of the bundle is believed for it.
    pub fn of(files: &Files<'_>) -> Self {
        let mut questions = Self::default();
        for (_, content) in files.within(ARTIFACTS_DIRECTORY).chain(files.within(PARENTS_DIRECTORY)) {
            let payload = Envelope::parse(content).map(|envelope| envelope.payload);
            let Ok(Ok(statement)) = payload.map(|payload| Statement::decode(&payload)) else { continue };
            let identity = &statement.identity;
            let tag = instance_tag(&identity.tenant, &identity.instance);
            questions.chains.insert((LeafKind::Artifact, tag));
            questions.chains.insert((LeafKind::Governance, governance_tag(&identity.tenant)));
            questions.sizes.extend(statement.anchor.map(|anchor| anchor.size));
        }
        let proofs = [PROOFS_DIRECTORY, GOVERNANCE_PROOFS_DIRECTORY];
        for (_, content) in proofs.iter().flat_map(|directory| files.within(directory)) {
            let Ok(proof) = LogProof::parse(content) else { continue };
            questions.ask_tree(&proof.checkpoint);
        }
        for (path, content) in files.within(LOG_DIRECTORY) {
            questions.sizes.extend(LogConsistency::size_of_path(path));
            let Ok(LogConsistency { checkpoint: Some(note), .. }) = LogConsistency::parse(content) else {
                continue;
            };
            questions.ask_tree(&note);
        }
        questions
    }

    fn ask_tree(&mut self, note: &str) {
        let note = Note::parse(note.as_bytes()).ok();
        let checkpoint = note.and_then(|note| Checkpoint::parse(note.text).ok());
        self.sizes.extend(checkpoint.map(|checkpoint| checkpoint.tree.size));
    }
}

impl MirrorReader {
    /// Begins to read a mirror, by its checkpoint: a signed note.
    ///
    /// # Errors
    /// [`MirrorError::Checkpoint`], [`MirrorError::Quorum`].
    pub fn new(checkpoint: &[u8], log: &TrustedLog, questions: Questions) -> Result<Self, MirrorError> {
        let vouched = log.policy().vouched(checkpoint)?;
        if !vouched.quorum {
            return Err(MirrorError::Quorum);
        }
        let chains = questions.chains.into_iter().map(|chain| (chain, LoggedChain::default()));
        let mirror = Mirror {
            origin: vouched.checkpoint.origin.clone(),
            seen: Seen::of(&vouched),
            chains: chains.collect(),
            roots: BTreeMap::new(),
            instances: 0,
        };
        let mut reader = Self { mirror, wanted: questions.sizes, peaks: Vec::new(), count: 0 };
        reader.keep_root();
        Ok(reader)
    }

    /// Returns how many leaves the checkpoint covers.
    pub const fn size(&self) -> u64 {
        self.mirror.seen.tree.size
    }

    /// Returns how many leaves were read.
    pub const fn read(&self) -> u64 {
        self.count
    }

    /// Reads the next leaf.
    pub fn leaf(&mut self, bytes: &[u8]) {
        if let Ok(leaf) = Leaf::parse(bytes) {
            let begins = leaf.kind == LeafKind::Artifact && leaf.sequence == 0;
            self.mirror.instances = self.mirror.instances.saturating_add(u64::from(begins));
            if let Some(chain) = self.mirror.chains.get_mut(&(leaf.kind, leaf.tag)) {
                chain.push(self.count, leaf);
            }
        }
        let mut hash = leaf_hash(bytes);
        let mut rest = self.count;
        while rest & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
            rest >>= 1;
        }
        self.peaks.push(hash);
        self.count = self.count.saturating_add(1);
        self.keep_root();
    }

    /// Returns the names of the objects of which one holds the next leaves, the better first; `None` when all were read. They are
    /// relative paths as `tlog-tiles` has them.
    pub fn next_objects(&self) -> Option<Vec<String>> {
        let width = self.next_end()?.saturating_sub(self.count);
        let mut index = self.count / BUNDLE_LEAVES;
        let mut name = format!("{:03}", index % 1_000);
        while index >= 1_000 {
            index /= 1_000;
            name = format!("x{:03}/{name}", index % 1_000);
        }
        let full = format!("tile/entries/{name}");
        Some(if width < BUNDLE_LEAVES { vec![format!("{full}.p/{width}"), full] } else { vec![full] })
    }

    /// Returns where the bundle of the next leaf ends, as far as the checkpoint covers it.
    fn next_end(&self) -> Option<u64> {
        let end = (self.count / BUNDLE_LEAVES).saturating_add(1).saturating_mul(BUNDLE_LEAVES);
        (self.count < self.size()).then(|| end.min(self.size()))
    }

    /// Reads the next bundle of leaves, each after its length in two bytes. Leaves that the checkpoint does not cover are left out.
    ///
    /// # Errors
    /// [`MirrorError::Cut`].
    pub fn entries(&mut self, bundle: &[u8]) -> Result<(), MirrorError> {
        let mut rest = bundle;
        let end = self.next_end().unwrap_or(self.count);
        while self.count < end {
            let cut = MirrorError::Cut { after: self.count };
            let (length, after) = rest.split_first_chunk::<2>().ok_or(cut)?;
            let (leaf, after) = after.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(cut)?;
            self.leaf(leaf);
            rest = after;
        }
        Ok(())
    }

    /// Returns the mirror, if these are the leaves that its checkpoint covers.
    ///
    /// # Errors
    /// [`MirrorError::Size`], [`MirrorError::Root`].
    pub fn finish(self) -> Result<Mirror, MirrorError> {
        let expected = self.size();
        if self.count != expected {
            return Err(MirrorError::Size { found: self.count, expected });
        }
        if self.root() == self.mirror.seen.tree.root { Ok(self.mirror) } else { Err(MirrorError::Root) }
    }

    fn keep_root(&mut self) {
        if self.wanted.contains(&self.count) {
            self.mirror.roots.insert(self.count, self.root());
        }
    }

    fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |root, left| node_hash(left, &root))
    }
}

impl Mirror {
    /// Returns which log this is a mirror of.
    pub const fn origin(&self) -> &LogOrigin {
        &self.origin
    }

    /// Returns the tree.
    pub const fn tree(&self) -> TreeHead {
        self.seen.tree
    }

    /// Returns the checkpoint, and who cosigned it.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Returns how many executions the log holds: the leaves that begin one.
    pub const fn instances(&self) -> u64 {
        self.instances
    }

    /// Returns the leaves of the chain of a leaf; `None` if the mirror was not asked about it.
    pub(super) fn chain(&self, leaf: &Leaf) -> Option<&LoggedChain> {
        self.chains.get(&(leaf.kind, leaf.tag))
    }

    /// Returns the leaves of a tenant's governance chain; `None` if the mirror was not asked about it.
    pub(super) fn governance(&self, tenant: &TenantId) -> Option<&LoggedChain> {
        self.chains.get(&(LeafKind::Governance, governance_tag(tenant)))
    }

    /// Returns the root of the first leaves; `None` if there are fewer, or the mirror was not asked.
    pub(super) fn root_of(&self, size: u64) -> Option<Digest> {
        if size == self.seen.tree.size { Some(self.seen.tree.root) } else { self.roots.get(&size).copied() }
    }
}

impl LoggedChain {
    /// The chain of an instance has at most [`ARTIFACTS_MAX`] artifacts. Among one leaf more there is one above that, or one that is
    /// wrong: what follows cannot change what is found. A governance chain has no end, and is read up to its limit.
    fn push(&mut self, index: u64, leaf: Leaf) {
        let max = match leaf.kind {
            LeafKind::Artifact => ARTIFACTS_MAX,
            LeafKind::Governance => GOVERNANCE_LEAVES_MAX,
        };
        if self.leaves.len() <= max {
            self.first.entry(leaf.sequence).or_insert(self.leaves.len());
            self.leaves.push((index, leaf));
        }
    }

    /// Returns the leaves, in the order of their indexes.
    pub(super) fn leaves(&self) -> &[(u64, Leaf)] {
        &self.leaves
    }

    /// Returns the first leaf of a sequence, and its index.
    pub(super) fn first(&self, sequence: u64) -> Option<(u64, Leaf)> {
        self.leaves.get(*self.first.get(&sequence)?).copied()
    }

    /// Tells whether leaves of this governance chain may have been left out.
    pub(super) fn is_cut(&self) -> bool {
        self.leaves.len() > GOVERNANCE_LEAVES_MAX
    }

    /// Returns the highest sequence.
    pub(super) fn highest(&self) -> Option<u64> {
        self.first.keys().next_back().copied()
    }

    /// Tells whether this leaf stands at this index.
    pub(super) fn holds(&self, index: u64, leaf: &Leaf) -> bool {
        let at = self.leaves.binary_search_by_key(&index, |(index, _)| *index).ok();
        at.and_then(|at| self.leaves.get(at)).is_some_and(|(_, held)| held == leaf)
    }
}
