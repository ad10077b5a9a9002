//! Where artifacts are in the log: what the proofs of the bundle and the leaves of a mirror show.
//!
//! A note is judged once, however many proofs share it. Source: `spec/verification.md` V27 to V33.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::ids::LogOrigin;

use super::code::Code;
use super::finding::{Findings, Place};
use super::mirror::Mirror;
use super::sealed::{Artifact, Body};
use crate::bundle::{GOVERNANCE_PROOFS_DIRECTORY, PROOFS_DIRECTORY, sequence_of_proof};
use crate::container::Files;
use crate::governance::GovernanceStatement;
use crate::log::checkpoint::Checkpoint;
use crate::log::leaf::Leaf;
use crate::log::note::{Note, NoteError};
use crate::log::policy::{VouchError, Vouched};
use crate::log::proof::{LogProof, ProofFormatError};
use crate::log::tree::TreeHead;
use crate::trust::{Require, Trust, TrustedLog};

/// A checkpoint that a log signed and enough witnesses cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The tree.
    pub tree: TreeHead,
    /// The witnesses that cosigned, by the names of their keys, with the time of each in seconds since 1970; in the order of the
    /// log policy.
    pub witnesses: Vec<(String, u64)>,
}

/// Where an artifact is in the log, and by what that is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) index: u64,
    /// The checkpoint of the proof, by its place in [`LogView::good`].
    pub(super) by_proof: Option<usize>,
    pub(super) by_mirror: bool,
}

/// What is known of the log of one chain.
#[derive(Debug, Default)]
pub(super) struct LogView<'a> {
    pub(super) origin: Option<LogOrigin>,
    pub(super) log: Option<&'a TrustedLog>,
    /// A mirror of this log that was asked about this chain.
    pub(super) mirror: Option<&'a Mirror>,
    /// Whether anything rests on the log (V27).
    needed: bool,
    pub(super) is_required: bool,
    notes: BTreeMap<String, Standing>,
    /// Every good checkpoint, once for each note.
    pub(super) good: Vec<Seen>,
    /// The good checkpoint of the proofs with the largest tree.
    pub(super) newest: Option<TreeHead>,
    /// The good checkpoints whose trees are shown to be beginnings of the log.
    pub(super) shown: BTreeSet<usize>,
    /// The sequences whose proof counts for nothing, and was reported.
    reported: BTreeSet<u64>,
}

/// What a note is worth.
#[derive(Debug, Clone, Copy)]
pub(super) enum Standing {
    /// A good checkpoint, by its place in [`LogView::good`].
    Good(usize),
    /// Nothing, for a reason.
    Not(Code, &'static str),
}

impl Seen {
    pub(super) fn of(vouched: &Vouched<'_>) -> Self {
        let witnesses = vouched.witnesses.iter();
        let witnesses = witnesses.map(|(witness, time)| (witness.key.name().to_string(), *time));
        Self { tree: vouched.checkpoint.tree, witnesses: witnesses.collect() }
    }
}

impl<'a> LogView<'a> {
    /// Finds the place of every artifact. They are those of one instance and of its tenant's governance chain, by sequence.
    pub(super) fn gather(
        files: &Files<'_>,
        trust: Option<&'a Trust>,
        mirror: Option<&'a Mirror>,
        artifacts: &mut [Artifact],
        governance: &mut [Artifact<GovernanceStatement>],
        findings: &mut Findings,
    ) -> Self {
        let (Some(trust), Some(first)) = (trust, artifacts.first()) else { return Self::default() };
        let identity = &first.statement.identity;
        let requires = |demand: fn(&Require) -> bool| trust.require.as_ref().is_some_and(demand);
        let mut view = Self {
            origin: Some(identity.origin.clone()),
            log: trust.log(),
            needed: requires(|require| require.logged || require.complete || require.witnessed > 0)
                || artifacts.iter().any(|artifact| !artifact.signer.window.is_unlimited())
                || governance.iter().any(|artifact| !artifact.signer.window.is_unlimited()),
            is_required: requires(|require| require.logged),
            ..Self::default()
        };
        match mirror.filter(|_| view.log.is_some()) {
            Some(mirror) if *mirror.origin() != identity.origin => {
                findings.add(Code::LogUnknown, Place::Mirror, "the mirror is one of another log");
            }
            mirror => {
                view.mirror = mirror.filter(|mirror| mirror.chain(&first.leaf()).is_some());
            }
        }
        artifacts.iter_mut().for_each(|artifact| view.find_in_mirror(artifact));
        governance.iter_mut().for_each(|artifact| view.find_in_mirror(artifact));
        if view.log.is_some() || view.needed {
            view.reported = view.read_proofs(files, PROOFS_DIRECTORY, artifacts, findings);
            view.read_proofs(files, GOVERNANCE_PROOFS_DIRECTORY, governance, findings);
        }
        let trees = view.good.iter().map(|seen| seen.tree);
        view.newest = trees.max_by(|a, b| a.size.cmp(&b.size).then_with(|| b.root.cmp(&a.root)));
        view
    }

    pub(super) fn find_in_mirror<S: Body>(&self, artifact: &mut Artifact<S>) {
        let Some(mirror) = self.mirror else { return };
        let found = artifact.candidates().find_map(|(id, leaf)| {
            let (index, held) = mirror.chain(&leaf)?.first(leaf.sequence)?;
            (held == leaf).then_some((id, index))
        });
        if let Some((id, index)) = found {
            artifact.attribute(id);
            artifact.placed = Some(Placed { index, by_proof: None, by_mirror: true });
        }
    }

    /// Reads the proofs of one chain; returns the sequences whose proof counts for nothing, and was reported.
    fn read_proofs<S: Body>(
        &mut self,
        files: &Files<'_>,
        directory: &str,
        artifacts: &mut [Artifact<S>],
        findings: &mut Findings,
    ) -> BTreeSet<u64> {
        let mut reported = BTreeSet::new();
        for (path, content) in files.within(directory) {
            let of = |sequence: u64| {
                let before =
                    |end: u64| artifacts.partition_point(|artifact| artifact.statement.sequence() < end);
                before(sequence)..before(sequence.saturating_add(1))
            };
            let sequence = sequence_of_proof(directory, path);
            let range = sequence.map(of).unwrap_or_default();
            let (Some(sequence), Some(claimants)) =
                (sequence, artifacts.get_mut(range).filter(|range| !range.is_empty()))
            else {
                let message = "ignored: it proves nothing about this chain";
                findings.add(Code::Unauth, Place::File(path.into()), message);
                continue;
            };
            if let Err((code, message)) = self.read_proof(content, claimants, findings) {
                let is_proved = claimants.iter().any(|artifact| artifact.placed.is_some());
                let is_idle = !self.needed && matches!(code, Code::LogUnknown | Code::Quorum);
                if is_proved || is_idle {
                    let message = alloc::format!("ignored: {message}");
                    findings.add(Code::Unauth, Place::File(path.into()), message);
                } else {
                    reported.insert(sequence);
                    findings.add(code, S::place(sequence), message);
                }
            }
        }
        reported
    }

    /// Judges one proof against the artifacts with its sequence (V31).
    fn read_proof<S: Body>(
        &mut self,
        content: &[u8],
        claimants: &mut [Artifact<S>],
        findings: &mut Findings,
    ) -> Result<(), (Code, String)> {
        let proof = LogProof::parse(content).map_err(|error| {
            let code = if error == ProofFormatError::Limit { Code::Limit } else { Code::Container };
            (code, error.to_string())
        })?;
        let by = match self.judge(&proof.checkpoint) {
            Standing::Good(by) => by,
            Standing::Not(code, message) => return Err((code, message.to_string())),
        };
        let failed = || (Code::Inclusion, Code::Inclusion.meaning().to_string());
        let tree = self.good.get(by).map(|seen| seen.tree).ok_or_else(failed)?;
        let mut fits = false;
        for artifact in claimants {
            let found = artifact.candidates().find(|(_, leaf)| proof.check(leaf, &tree).is_ok());
            let Some((id, leaf)) = found else { continue };
            fits = true;
            self.place(artifact, &leaf, proof.index, by, findings);
            artifact.attribute(id);
        }
        if fits { Ok(()) } else { Err(failed()) }
    }

    fn place<S: Body>(
        &self,
        artifact: &mut Artifact<S>,
        leaf: &Leaf,
        index: u64,
        by: usize,
        findings: &mut Findings,
    ) {
        let place = artifact.place();
        if let Some(mirror) = self.mirror
            && index < mirror.tree().size
            && !mirror.chain(leaf).is_some_and(|chain| chain.holds(index, leaf))
        {
            let message = "the mirror has another leaf at the place that the proof shows";
            findings.add(Code::SplitView, place.clone(), message);
        }
        let by_mirror = artifact.placed.is_some_and(|placed| placed.by_mirror);
        if artifact.placed.is_some_and(|placed| placed.index != index) {
            findings.add(Code::LogOrder, place, "it stands in the log twice");
        }
        artifact.placed = Some(Placed { index, by_proof: Some(by), by_mirror });
    }

    /// Judges a note (V28), once.
    pub(super) fn judge(&mut self, note: &str) -> Standing {
        if let Some(standing) = self.notes.get(note) {
            return *standing;
        }
        let standing = self.judge_anew(note);
        self.notes.insert(note.into(), standing);
        standing
    }

    fn judge_anew(&mut self, note: &str) -> Standing {
        let bytes = note.as_bytes();
        let read = Note::parse(bytes).map(|note| Checkpoint::parse(note.text));
        let checkpoint = match read {
            Ok(Ok(checkpoint)) => checkpoint,
            Err(NoteError::Limit) => return Standing::Not(Code::Limit, "the checkpoint is over its limit"),
            Ok(Err(_)) | Err(NoteError::Text | NoteError::Shape | NoteError::Signature) => {
                return Standing::Not(Code::Container, "what should be a checkpoint cannot be read");
            }
        };
        let vouched = self.log.map_or(Err(VouchError::Unknown), |log| log.policy().vouched(bytes));
        if Some(&checkpoint.origin) != self.origin.as_ref() {
            return Standing::Not(
                Code::Inclusion,
                "the checkpoint is one of another log than the artifact's",
            );
        }
        match vouched {
            Ok(vouched) if vouched.quorum => {
                self.good.push(Seen::of(&vouched));
                Standing::Good(self.good.len().saturating_sub(1))
            }
            Ok(_) => Standing::Not(Code::Quorum, Code::Quorum.meaning()),
            Err(VouchError::Signature) => Standing::Not(Code::Checkpoint, Code::Checkpoint.meaning()),
            Err(VouchError::Unknown | VouchError::Note(_) | VouchError::Checkpoint(_)) => {
                Standing::Not(Code::LogUnknown, Code::LogUnknown.meaning())
            }
        }
    }

    /// Tells whether the proof of a sequence was reported as worth nothing.
    pub(super) fn was_reported(&self, sequence: u64) -> bool {
        self.reported.contains(&sequence)
    }
}
