//! A transparency log in memory, its witnesses, and stories that stand in it.
//!
//! It keeps leaves and nothing else, and makes each root and proof from them as RFC 6962 §2.1 defines it: slow, and for that
//! reason an oracle for whoever is fast.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_evidence::bundle::proof_path;
use gantral_evidence::container::{Files, Scope};
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::log::note::{NoteKey, NoteKeyKind, cosignature, cosigned, signature_line};
use gantral_evidence::log::proof::LogProof;
use gantral_evidence::log::tree::{TreeHead, empty_root, leaf_hash, node_hash};
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_evidence::trust::{Require, Trust, TrustedKey, TrustedLog};
use gantral_evidence::verify::{
    Beside, Mirror, MirrorError, MirrorReader, Questions, Receipt, Report, verify_beside,
};

use crate::cast::*;
use crate::story::Story;

/// The promise of the log of [`trusted_log`], in milliseconds.
pub const DELAY_MS: u64 = 60_000;
/// How far the clocks of [`trusted_log`] may lie apart, in milliseconds.
pub const SKEW_MS: u64 = 5_000;
/// How many leaves of other executions stand before a story.
pub const STRANGERS: u64 = 5;
/// The anchor of a story's first half; that of the second half has [`STRANGERS`] leaves.
const EARLY_ANCHOR: u64 = 3;

/// Returns the key of the log.
pub fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

/// Returns the key of a witness.
pub fn witness_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[100 + number; 32])
}

/// Returns the origin of the stories' log.
pub fn origin() -> LogOrigin {
    LogOrigin::parse("log.example/acme").unwrap()
}

fn log_name(key: &SigningKey, origin: &LogOrigin) -> NoteKey {
    NoteKey::new(origin.as_str(), NoteKeyKind::Text, public(key)).unwrap()
}

fn witness_name(number: u8) -> NoteKey {
    let name = format!("witness.example/w{number}");
    NoteKey::new(&name, NoteKeyKind::Cosignature, public(&witness_key(number))).unwrap()
}

/// Returns a log policy with so many witnesses, of whom so many must have cosigned.
pub fn policy(witnesses: u8, threshold: u8) -> String {
    let mut text = format!("log {}\n", log_name(&log_key(), &origin()));
    let mut members = String::new();
    for number in 1..=witnesses {
        text += &format!("witness w{number} {}\n", witness_name(number));
        members += &format!(" w{number}");
    }
    if threshold == 0 {
        return text + "quorum none\n";
    }
    text + &format!("group enough {threshold}{members}\nquorum enough\n")
}

/// Returns the stories' log as a relying party pins it.
pub fn trusted_log(witnesses: u8, threshold: u8) -> TrustedLog {
    TrustedLog::new(&policy(witnesses, threshold), DELAY_MS, SKEW_MS).unwrap()
}

/// Returns a profile that asks for a place in the log and two witnesses.
pub fn logged() -> Require {
    Require { logged: true, witnessed: 2, ..Require::signed() }
}

/// Returns a trust file with the issuer, the log and two witnesses who must both have cosigned.
pub fn trust_logged(require: Require) -> Trust {
    trust_keyed(TrustedKey::issuer(public(&issuer())), require)
}

/// Returns the same trust file with another entry for the issuer.
pub fn trust_keyed(issuer: TrustedKey, require: Require) -> Trust {
    Trust::new([issuer], Some(require)).unwrap().with_log(trusted_log(2, 2)).unwrap()
}

/// Leaves, in order.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The bytes of each.
    pub leaves: Vec<Vec<u8>>,
}

impl Log {
    /// Adds a leaf and returns its index.
    pub fn add(&mut self, leaf: &Leaf) -> u64 {
        self.leaves.push(leaf.encode().to_vec());
        self.leaves.len() as u64 - 1
    }

    /// Adds the first leaf of an execution of somebody else.
    pub fn add_stranger(&mut self) -> u64 {
        let number = self.leaves.len().to_be_bytes();
        let (tag, hash) = (Digest::of(&number), Digest::of(&[&number[..], b"artifact"].concat()));
        let kind = LeafKind::Artifact;
        self.add(&Leaf { kind, sequence: 0, terminal: false, tag, hash, issuer: [9; 8] })
    }

    /// Returns the root of the first leaves.
    pub fn tree(&self, size: u64) -> TreeHead {
        TreeHead { size, root: root(&self.leaves[..size as usize]) }
    }

    /// Returns how many leaves there are.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// Returns the checkpoint of the first leaves, signed by the log, and cosigned by witnesses: each with its number and its
    /// time in seconds since 1970.
    pub fn checkpoint(&self, size: u64, witnesses: &[(u8, u64)]) -> String {
        note(&log_key(), &origin(), self.tree(size), witnesses)
    }

    /// Returns the proof of a leaf to a checkpoint of the first leaves.
    pub fn proof(&self, index: u64, size: u64, checkpoint: &str) -> LogProof {
        let hashes = inclusion(index as usize, &self.leaves[..size as usize]);
        LogProof { index, hashes, checkpoint: checkpoint.to_owned() }
    }

    /// Returns what leads from a tree to a later one.
    pub fn consistency(&self, old: u64, new: u64) -> Vec<Digest> {
        if old == new { Vec::new() } else { subproof(old as usize, &self.leaves[..new as usize], true) }
    }

    /// Returns a mirror of the first leaves.
    pub fn mirror(
        &self,
        checkpoint: &str,
        log: &TrustedLog,
        files: &Files<'_>,
    ) -> Result<Mirror, MirrorError> {
        let mut reader = MirrorReader::new(checkpoint.as_bytes(), log, Questions::of(files))?;
        let covered = usize::try_from(reader.size()).unwrap_or(usize::MAX);
        self.leaves.iter().take(covered).for_each(|leaf| reader.leaf(leaf));
        reader.finish()
    }
}

/// Returns a checkpoint that any key signed for any log.
pub fn note(log: &SigningKey, origin: &LogOrigin, tree: TreeHead, witnesses: &[(u8, u64)]) -> String {
    let text = Checkpoint { origin: origin.clone(), tree }.text();
    let signature = log.sign(text.as_bytes()).to_bytes();
    let mut note = format!("{text}\n{}", signature_line(&log_name(log, origin), &signature));
    for (number, time) in witnesses {
        let signature = witness_key(*number).sign(cosigned(*time, &text).as_bytes()).to_bytes();
        note += &signature_line(&witness_name(*number), &cosignature(*time, &signature));
    }
    note
}

fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn root(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => leaf_hash(leaf),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

fn inclusion(index: usize, leaves: &[Vec<u8>]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (inclusion(index, left), root(right))
    } else {
        (inclusion(index - left.len(), right), root(left))
    };
    path.push(sibling);
    path
}

fn subproof(old: usize, leaves: &[Vec<u8>], is_whole: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if is_whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if old <= left.len() {
        (subproof(old, left, is_whole), root(right))
    } else {
        (subproof(old - left.len(), right, false), root(left))
    };
    path.push(sibling);
    path
}

/// A story that stands in a log, one leaf of a stranger after each of its own.
pub struct Logged {
    /// The story, anchored.
    pub story: Story,
    /// The log.
    pub log: Log,
    /// Where each artifact stands.
    pub places: Vec<u64>,
    /// The checkpoint of the proofs.
    pub newest: String,
    /// The checkpoints of anchors that were kept, by size.
    pub kept: BTreeMap<u64, String>,
}

impl Logged {
    /// Anchors a story and logs it.
    pub fn of(story: Story) -> Self {
        let mut log = Log::default();
        (0..STRANGERS).for_each(|_| _ = log.add_stranger());
        Self::after(log, story)
    }

    fn after(log: Log, mut story: Story) -> Self {
        let half = story.statements.len() / 2;
        for (at, statement) in story.statements.iter_mut().enumerate().skip(1) {
            let size = if at < half { EARLY_ANCHOR } else { STRANGERS };
            statement.anchor = Some(log.tree(size));
        }
        story.relink();
        Self::as_told(log, story)
    }

    /// Logs a story behind what is in the log, as it is.
    pub fn as_told(mut log: Log, story: Story) -> Self {
        let mut places = Vec::new();
        for statement in &story.statements {
            places.push(log.add(&leaf(statement)));
            log.add_stranger();
        }
        Self::sealed(log, story, places)
    }

    /// Takes what is in the log as it is.
    pub fn sealed(log: Log, story: Story, places: Vec<u64>) -> Self {
        let before = START / 1_000 - 30;
        let after = story.now / 1_000 + 20;
        let kept = log.checkpoint(STRANGERS, &[(1, before), (2, before + 1)]);
        let newest = log.checkpoint(log.size(), &[(1, after), (2, after + 1)]);
        Self { story, log, places, newest, kept: [(STRANGERS, kept)].into() }
    }

    /// Signs a new checkpoint of everything, cosigned by witnesses at so many seconds after the end of the story.
    pub fn witnessed(mut self, witnesses: &[(u8, i64)]) -> Self {
        let end = self.story.now / 1_000;
        let times: Vec<(u8, u64)> =
            witnesses.iter().map(|(number, after)| (*number, end.saturating_add_signed(*after))).collect();
        self.newest = self.log.checkpoint(self.log.size(), &times);
        self
    }

    /// Returns the bundle's files before they are listed.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.story.files();
        let size = self.log.size();
        for (sequence, index) in self.places.iter().enumerate() {
            let proof = self.log.proof(*index, size, &self.newest);
            files.insert(proof_path(sequence), proof.encode().into_bytes());
        }
        let anchors = self.story.statements.iter().filter_map(|statement| statement.anchor);
        for anchor in anchors.map(|anchor| anchor.size).filter(|anchor| (1..size).contains(anchor)) {
            let hashes = self.log.consistency(anchor, size);
            let consistency = LogConsistency { hashes, checkpoint: self.kept.get(&anchor).cloned() };
            files.insert(LogConsistency::path(anchor), consistency.encode().into_bytes());
        }
        files
    }

    /// Returns the mirror of everything under the newest checkpoint.
    pub fn mirror(&self, trust: &Trust) -> Mirror {
        let bundle = self.story.bundle(self.story.scope(), self.files());
        self.log.mirror(&self.newest, trust.log().unwrap(), &bundle.as_files().unwrap()).unwrap()
    }

    /// Verifies the bundle under a trust file.
    pub fn verify(&self, trust: &Trust) -> Report {
        self.verify_changed(trust, |_| {})
    }

    /// Verifies the bundle after its files were changed, and listed anew.
    pub fn verify_changed(
        &self,
        trust: &Trust,
        change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
    ) -> Report {
        self.verify_beside(self.story.scope(), trust, None, &[], change)
    }

    /// Verifies the bundle with the mirror of everything beside it.
    pub fn verify_mirrored(&self, trust: &Trust) -> Report {
        self.verify_beside(self.story.scope(), trust, Some(&self.mirror(trust)), &[], |_| {})
    }

    /// Verifies the bundle after its files were changed, with whatever stands beside it.
    pub fn verify_beside(
        &self,
        scope: Scope,
        trust: &Trust,
        mirror: Option<&Mirror>,
        receipts: &[Receipt],
        change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
    ) -> Report {
        let mut files = self.files();
        change(&mut files);
        let bundle = self.story.bundle(scope, files);
        verify_beside(&bundle.as_files().unwrap(), Some(trust), Beside { mirror, receipts })
    }
}

/// Returns the leaf of a statement that the issuer signed.
pub fn leaf(statement: &Statement) -> Leaf {
    Leaf::of_artifact(statement, artifact_hash(&statement.encode()), public(&issuer()).id())
}

/// Returns a receipt of a statement as one line, as an answer to a write holds it.
pub fn receipt_line(statement: &Statement) -> String {
    let envelope = String::from_utf8(sign(statement, &issuer()).envelope).unwrap();
    format!("{{\"sequence\":{},\"envelope\":{envelope}}}\n", statement.sequence)
}
