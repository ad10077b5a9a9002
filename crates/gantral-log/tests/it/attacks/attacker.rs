//! Whoever holds the keys of the issuer and of the log, and may write what he likes. The witnesses are not his.

use std::collections::BTreeMap;
use std::io;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::ids::InstanceId;
use gantral_core::policy::Verdict;
use gantral_core::state::EventKind;
use gantral_evidence::bundle::proof_path;
use gantral_evidence::container::{OwnedFiles, Scope};
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::note::{NoteKey, NoteKeyKind};
use gantral_evidence::statement::Statement;
use gantral_log::folder::Folder;
use gantral_log::witness::{Cosigner, Refusal, Request, Witness};
use gantral_vectors::cast::{public, refund};
use gantral_vectors::log::{Log, leaf, log_key, note, origin, witness_key};
use gantral_vectors::story::Story;

/// How many leaves of other executions stand before every story; its artifacts are anchored there.
pub const OTHERS: u64 = 5;
/// How long after the last artifact the newest checkpoint is cosigned, in seconds: every promise is due by then.
const LATER_SECONDS: u64 = 600;

/// The key of an independent witness.
struct Own(SigningKey, NoteKey);

impl Cosigner for Own {
    fn key(&self) -> &NoteKey {
        &self.1
    }

    fn sign(&self, message: &[u8]) -> io::Result<[u8; 64]> {
        Ok(self.0.sign(message).to_bytes())
    }
}

/// A log as somebody can download it.
#[derive(Clone)]
pub struct Published {
    pub log: Log,
    pub note: String,
}

/// A bundle as it is handed over.
#[derive(Clone)]
pub struct Bundle {
    pub instance: InstanceId,
    pub scope: Scope,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    /// Returns the files with their list.
    pub fn listed(&self) -> OwnedFiles {
        let mut listed = OwnedFiles::new();
        for (path, content) in &self.files {
            listed.insert(path, content.clone()).unwrap();
        }
        listed.seal(self.instance, self.scope).unwrap();
        listed
    }
}

/// The keeper of the log, honest until he is not.
pub struct Attacker {
    /// The log as he tells it now.
    pub log: Log,
    witnesses: Vec<Witness<Folder, Own>>,
    /// What was published, by size.
    notes: BTreeMap<u64, String>,
    _memory: tempfile::TempDir,
}

impl Attacker {
    /// Begins with a log of other executions, which two witnesses have cosigned before any story begins.
    pub fn begin() -> Self {
        let memory = tempfile::tempdir().unwrap();
        let known = NoteKey::new(origin().as_str(), NoteKeyKind::Text, public(&log_key())).unwrap();
        let witness = |number: u8| {
            let secret = witness_key(number);
            let name = format!("witness.example/w{number}");
            let key = NoteKey::new(&name, NoteKeyKind::Cosignature, public(&secret)).unwrap();
            let folder = Folder::new(&memory.path().join(number.to_string()));
            Witness::new(vec![known.clone()], folder, Own(secret, key))
        };
        let witnesses = vec![witness(1), witness(2)];
        let mut attacker = Self { log: Log::default(), witnesses, notes: BTreeMap::new(), _memory: memory };
        (0..OTHERS).for_each(|_| _ = attacker.log.add_stranger());
        let before = at(&execution(1).statements[0]) - 30;
        attacker.publish(before).unwrap();
        attacker
    }

    /// Logs statements as they are.
    pub fn logs(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|statement| _ = self.log.add(&leaf(statement)));
    }

    /// Logs an execution while it happens, with a checkpoint at its gate, or half way if it has none, and one after its end.
    pub fn runs(&mut self, story: &Story) -> Published {
        let gate = story.position_of(EventKind::HumanRequired);
        let half = gate.unwrap_or(story.statements.len() / 2) + 1;
        let (first, second) = story.statements.split_at(half);
        self.logs(first);
        self.publish(at(&first[half - 1]) + 1).unwrap();
        self.logs(second);
        self.publish(after(story)).unwrap()
    }

    /// Asks both witnesses for the log as it is told now, and publishes it if they cosign.
    pub fn publish(&mut self, now: u64) -> Result<Published, Refusal> {
        let size = self.log.size();
        let mut note = self.unwitnessed().note;
        for witness in &self.witnesses {
            let old = witness.seen(&origin()).unwrap().size.min(size);
            let proof = if old == 0 { Vec::new() } else { self.log.consistency(old, size) };
            let request = Request { old_size: old, proof, checkpoint: self.unwitnessed().note };
            note += &witness.add_checkpoint(request.encode().as_bytes(), now)?;
        }
        self.notes.insert(size, note.clone());
        Ok(Published { log: self.log.clone(), note })
    }

    /// Signs the log as it is told now, and asks nobody.
    pub fn unwitnessed(&self) -> Published {
        let note = note(&log_key(), &origin(), self.log.tree(self.log.size()), &[]);
        Published { log: self.log.clone(), note }
    }

    /// Makes the bundle of a story, with proofs to a published log of all that stands in it.
    pub fn bundle(&self, story: &Story, published: &Published) -> Bundle {
        let mut files = story.files();
        let Published { log, note } = published;
        for (sequence, statement) in story.statements.iter().enumerate() {
            let own = leaf(statement).encode();
            if let Some(index) = log.leaves.iter().position(|leaf| *leaf == own) {
                let proof = log.proof(index as u64, log.size(), note);
                files.insert(proof_path(sequence), proof.encode().into_bytes());
            }
        }
        if story.statements.iter().any(|statement| statement.anchor.is_some()) {
            let hashes = log.consistency(OTHERS, log.size());
            let consistency = LogConsistency { hashes, checkpoint: self.notes.get(&OTHERS).cloned() };
            files.insert(LogConsistency::path(OTHERS), consistency.encode().into_bytes());
        }
        Bundle { instance: story.instance.identity.instance, scope: story.scope(), files }
    }

    /// Anchors a story where every story is anchored.
    pub fn anchored(&self, mut story: Story) -> Story {
        let tree = self.log.tree(OTHERS);
        story.statements.iter_mut().for_each(|statement| statement.anchor = Some(tree));
        story.relink();
        story
    }
}

/// The beginning of an execution with a number.
pub fn execution(number: u8) -> Story {
    let mut story = Story::begin();
    let id = InstanceId::from_random([number; 16]);
    story.instance.identity.instance = id;
    story.statements[0].identity.instance = id;
    story.relink();
    // What stands for randomness differs from execution to execution.
    (0..u32::from(number) * 1_000).for_each(|_| _ = story.draw());
    story
}

/// An execution that stands at its gate.
pub fn asked(number: u8) -> Story {
    let mut story = execution(number);
    story.launch();
    let plan = story.plan(1, Vec::new());
    story.ask(&refund(4_800), Verdict::RequireHuman, Some(plan)).exit(3);
    story
}

/// A human makes less of what was asked, and that is done.
pub fn overridden(number: u8) -> Story {
    let mut story = asked(number);
    story.override_to(&refund(480)).launch().act(&refund(480)).exit(0);
    story
}

/// Policy allows, and it is done.
pub fn allowed(number: u8) -> Story {
    let mut story = execution(number);
    story.launch().ask(&refund(20), Verdict::Allow, None).act(&refund(20)).exit(0);
    story
}

/// Returns when a statement claims to have been made, in seconds since 1970.
pub fn at(statement: &Statement) -> u64 {
    statement.entry.at.get() / 1_000
}

/// Returns when the checkpoint after an execution is cosigned, in seconds since 1970.
pub fn after(story: &Story) -> u64 {
    story.now / 1_000 + LATER_SECONDS
}
