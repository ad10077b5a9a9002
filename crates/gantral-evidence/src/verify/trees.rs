//! The trees that a chain rests on: each must be a beginning of the log.
//!
//! Source: `spec/verification.md` V29, V35 to V38.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;

use super::chain::Chain;
use super::code::{Code, Weight};
use super::finding::{Findings, Place};
use super::places::{LogView, Standing};
use crate::container::Files;
use crate::log::consistency::{ConsistencyFormatError, LOG_DIRECTORY, LogConsistency};
use crate::log::tree::{TreeHead, empty_root};

/// Trees, and where each is named first.
type Named = BTreeMap<(u64, Digest), u64>;

/// A consistency file that could be read.
struct Bridge {
    hashes: Vec<Digest>,
    note: Option<String>,
}

/// Whether a tree is a beginning of the log.
enum Shown {
    Yes,
    /// The mirror has another root.
    NotByMirror,
    /// The newest checkpoint has another root at this size.
    NotByNewest,
    /// The consistency file does not lead to the newest tree.
    NotByFile,
    /// Nothing says so.
    Absent,
    /// There is no tree that it could be a beginning of.
    Idle,
}

impl LogView<'_> {
    /// Checks every tree that the chain rests on.
    pub(super) fn check_trees(&mut self, files: &Files<'_>, chain: &Chain, findings: &mut Findings) {
        check_anchors(chain, findings);
        if self.log.is_none() {
            return;
        }
        let mut anchors = Named::new();
        for artifact in &chain.artifacts {
            if let Some(TreeHead { size, root }) = artifact.statement.anchor.filter(|anchor| anchor.size > 0)
            {
                anchors.entry((size, root)).or_insert(artifact.statement.sequence);
            }
        }
        // So far all good checkpoints are those of proofs.
        let of_proofs = self.good.len();
        let bridges = self.read_bridges(files, &anchors, findings);
        self.check_checkpoints(of_proofs, &bridges, findings);
        for ((size, root), sequence) in anchors {
            self.check_anchor(&TreeHead { size, root }, sequence, &bridges, findings);
        }
        self.use_notes(&bridges, findings);
        self.find_split_views(findings);
    }

    /// Reads the consistency files that something needs.
    fn read_bridges(
        &self,
        files: &Files<'_>,
        anchors: &Named,
        findings: &mut Findings,
    ) -> BTreeMap<u64, Bridge> {
        let newest = self.newest.map(|tree| tree.size);
        let sizes = anchors.keys().map(|(size, _)| *size).chain(self.good.iter().map(|seen| seen.tree.size));
        let needed: BTreeSet<u64> = sizes.filter(|size| Some(*size) != newest).collect();
        let mut bridges = BTreeMap::new();
        for (path, content) in files.within(LOG_DIRECTORY) {
            let place = || Place::File(path.into());
            let Some(size) = LogConsistency::size_of_path(path).filter(|size| needed.contains(size)) else {
                findings.add(Code::Unauth, place(), "ignored: nothing of this chain rests on it");
                continue;
            };
            match LogConsistency::parse(content) {
                Ok(LogConsistency { hashes, checkpoint }) => {
                    _ = bridges.insert(size, Bridge { hashes, note: checkpoint });
                }
                Err(error) if self.mirror_root(size).is_some() => {
                    findings.add(Code::Unauth, place(), alloc::format!("ignored: {error}"));
                }
                Err(error) => {
                    let is_large = error == ConsistencyFormatError::Limit;
                    let code = if is_large { Code::Limit } else { Code::Container };
                    findings.add(code, place(), error.to_string());
                }
            }
        }
        bridges
    }

    fn mirror_root(&self, size: u64) -> Option<Digest> {
        self.mirror.and_then(|mirror| mirror.root_of(size))
    }

    fn shown(&self, tree: &TreeHead, bridges: &BTreeMap<u64, Bridge>) -> Shown {
        if let Some(root) = self.mirror_root(tree.size) {
            return if root == tree.root { Shown::Yes } else { Shown::NotByMirror };
        }
        let Some(newest) = self.newest else { return Shown::Idle };
        if newest == *tree {
            return Shown::Yes;
        }
        if newest.size == tree.size {
            return Shown::NotByNewest;
        }
        match bridges.get(&tree.size).filter(|_| tree.size < newest.size) {
            None => Shown::Absent,
            Some(bridge) if newest.check_extends(tree, &bridge.hashes).is_ok() => Shown::Yes,
            Some(_) => Shown::NotByFile,
        }
    }

    fn check_checkpoints(
        &mut self,
        of_proofs: usize,
        bridges: &BTreeMap<u64, Bridge>,
        findings: &mut Findings,
    ) {
        let trees: Vec<TreeHead> = self.good.iter().take(of_proofs).map(|seen| seen.tree).collect();
        for (at, tree) in trees.into_iter().enumerate() {
            match self.shown(&tree, bridges) {
                Shown::Yes => _ = self.shown.insert(at),
                Shown::NotByMirror => self.split_by_mirror(&tree, findings),
                Shown::NotByFile => {
                    let place = Place::File(LogConsistency::path(tree.size));
                    findings.add(Code::Anchor, place, "it does not lead to the newest checkpoint");
                }
                Shown::Absent => self.lacks(
                    Place::Bundle,
                    alloc::format!(
                        "nothing shows that the tree of {} leaves is a beginning of the newest",
                        tree.size
                    ),
                    findings,
                ),
                // The first was said of both trees; without a newest there is no good checkpoint.
                Shown::NotByNewest | Shown::Idle => {}
            }
        }
    }

    fn check_anchor(
        &self,
        tree: &TreeHead,
        sequence: u64,
        bridges: &BTreeMap<u64, Bridge>,
        findings: &mut Findings,
    ) {
        let place = Place::Artifact(sequence);
        match self.shown(tree, bridges) {
            Shown::Yes | Shown::Idle => {}
            Shown::NotByMirror | Shown::NotByNewest => {
                findings.add(Code::Anchor, place, "it names a tree that the log never had");
            }
            Shown::NotByFile => {
                let message = "nothing leads from the tree that it names to the newest checkpoint";
                findings.add(Code::Anchor, place, message);
            }
            Shown::Absent => self.lacks(
                place,
                "nothing shows that the tree that it names is a beginning of the log".to_string(),
                findings,
            ),
        }
    }

    fn lacks(&self, place: Place, message: String, findings: &mut Findings) {
        if self.is_required {
            findings.weighed(Code::Anchor, Weight::Inconclusive, place, message);
        }
    }

    fn split_by_mirror(&self, tree: &TreeHead, findings: &mut Findings) {
        let message = alloc::format!("of {} leaves, the mirror has another tree than the bundle", tree.size);
        findings.add(Code::SplitView, Place::Bundle, message);
    }

    /// Uses the notes of consistency files: they show when their trees were seen.
    fn use_notes(&mut self, bridges: &BTreeMap<u64, Bridge>, findings: &mut Findings) {
        for (size, bridge) in bridges {
            let Some(note) = &bridge.note else { continue };
            let good = match self.judge(note) {
                Standing::Good(at) => self.good.get(at).map(|seen| (at, seen.tree)),
                Standing::Not(..) => None,
            };
            if let Some((at, tree)) = good.filter(|(_, tree)| tree.size == *size) {
                match self.shown(&tree, bridges) {
                    Shown::Yes => {
                        self.shown.insert(at);
                        continue;
                    }
                    Shown::NotByMirror => self.split_by_mirror(&tree, findings),
                    Shown::NotByNewest | Shown::NotByFile | Shown::Absent | Shown::Idle => {}
                }
            }
            let place = Place::File(LogConsistency::path(*size));
            findings.add(Code::Unauth, place, "ignored: the checkpoint below it counts for nothing here");
        }
    }

    /// Finds good checkpoints of one size that have two roots.
    fn find_split_views(&self, findings: &mut Findings) {
        let mut roots: BTreeMap<u64, Digest> = BTreeMap::new();
        for seen in &self.good {
            if *roots.entry(seen.tree.size).or_insert(seen.tree.root) != seen.tree.root {
                let message = alloc::format!("it signed two trees of {} leaves", seen.tree.size);
                findings.add(Code::SplitView, Place::Bundle, message);
            }
        }
    }
}

/// Checks anchors against each other and against the places of their artifacts (V38).
fn check_anchors(chain: &Chain, findings: &mut Findings) {
    let mut before: Option<TreeHead> = None;
    for artifact in &chain.artifacts {
        let Some(anchor) = artifact.statement.anchor else { continue };
        let mut wrong = |message: &str| {
            findings.add(Code::Anchor, Place::Artifact(artifact.statement.sequence), message);
        };
        if anchor.size == 0 && anchor.root != empty_root() {
            wrong("it names a tree without leaves that has another root than that tree");
        }
        if let Some(before) = before {
            if anchor.size < before.size {
                wrong("it names an older tree than the artifact before it");
            } else if anchor.size == before.size && anchor.root != before.root {
                wrong("it names another tree of the same size than the artifact before it");
            }
        }
        if artifact.placed.is_some_and(|placed| anchor.size > placed.index) {
            wrong("it names a tree that already holds it");
        }
        before = Some(anchor);
    }
}
