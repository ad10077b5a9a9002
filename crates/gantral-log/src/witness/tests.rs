use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::note::NoteKeyKind;
use gantral_evidence::log::policy::LogPolicy;
use gantral_evidence::log::tree::leaf_hash;

use super::*;
use crate::folder::Folder;
use crate::proving::Prover;
use crate::testing::{Memory, grown, head};

const ORIGIN: &str = "acme/log.example";
const NOW: u64 = 1_800_000_000;

fn key(seed: u8, name: &str, kind: NoteKeyKind) -> (SigningKey, NoteKey) {
    let secret = SigningKey::from_bytes(&[seed; 32]);
    let public = PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap();
    (secret, NoteKey::new(name, kind, public).unwrap())
}

struct Local(SigningKey, NoteKey);

impl Local {
    fn new(seed: u8) -> Self {
        let (secret, key) = key(seed, &format!("witness.example/{seed}"), NoteKeyKind::Cosignature);
        Self(secret, key)
    }
}

impl Cosigner for Local {
    fn key(&self) -> &NoteKey {
        &self.1
    }

    fn sign(&self, message: &[u8]) -> io::Result<[u8; 64]> {
        Ok(self.0.sign(message).to_bytes())
    }
}

/// Returns a checkpoint of a tree, signed by the log with this seed.
fn signed(seed: u8, tree: TreeHead) -> String {
    let text = Checkpoint { origin: LogOrigin::parse(ORIGIN).unwrap(), tree }.text();
    let (secret, key) = key(seed, ORIGIN, NoteKeyKind::Text);
    format!("{text}\n{}", signature_line(&key, &secret.sign(text.as_bytes()).to_bytes()))
}

/// Returns the request by which the log, at `size`, asks a witness that has seen `old` leaves.
fn request(objects: &Memory, old: u64, size: u64) -> Request {
    let proof = Prover::new(objects, size).unwrap().consistency(old).unwrap();
    Request { old_size: old, proof, checkpoint: signed(1, head(size)) }
}

fn witness(seed: u8, folder: &std::path::Path) -> Witness<Folder, Local> {
    Witness::new(vec![key(1, ORIGIN, NoteKeyKind::Text).1], Folder::new(folder), Local::new(seed))
}

fn ask(witness: &Witness<Folder, Local>, request: &Request) -> Result<String, u16> {
    witness.add_checkpoint(request.encode().as_bytes(), NOW).map_err(|refusal| refusal.status())
}

/// Returns the texts of all refusals that were kept.
fn refusals(folder: &std::path::Path) -> Vec<String> {
    let folder = folder.join(REFUSED).join(Digest::of(ORIGIN.as_bytes()).to_hex());
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// A log with every size up to 300.
fn log() -> Memory {
    grown(&[1; 300]).0
}

#[test]
fn a_growing_log_is_cosigned_and_a_restart_forgets_nothing() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), log());
    let mut seen = 0;
    for size in [1, 7, 7, 256, 300] {
        let witness = witness(11, dir.path());
        let line = ask(&witness, &request(&objects, seen, size)).unwrap();
        let note = signed(1, head(size)) + &line;
        let signed = witness.cosigner.key().check(&Note::parse(note.as_bytes()).unwrap());
        assert_eq!(signed, Signed::Good { time: Some(NOW) });
        seen = size;
    }
    assert_eq!(witness(11, dir.path()).seen(&LogOrigin::parse(ORIGIN).unwrap()).unwrap(), head(300));
}

#[test]
fn a_log_that_forgot_what_was_seen_is_told() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), log());
    let witness = witness(11, dir.path());
    ask(&witness, &request(&objects, 0, 200)).unwrap();
    let refusal = witness.add_checkpoint(request(&objects, 0, 300).encode().as_bytes(), NOW).unwrap_err();
    assert!(matches!(refusal, Refusal::Size(200)), "{refusal}");
    // A log that was cut, or restored from a backup, is not cosigned either.
    assert_eq!(ask(&witness, &request(&objects, 100, 150)), Err(409));
    assert_eq!(ask(&witness, &Request { old_size: 200, ..request(&objects, 100, 150) }), Err(400));
}

#[test]
fn two_histories_are_not_both_cosigned() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), log());
    let witness = witness(11, dir.path());
    ask(&witness, &request(&objects, 0, 200)).unwrap();
    let other = TreeHead { size: 200, root: leaf_hash(b"another") };
    let fork = Request { old_size: 200, proof: Vec::new(), checkpoint: signed(1, other) };
    let refusal = witness.add_checkpoint(fork.encode().as_bytes(), NOW).unwrap_err();
    assert!(matches!(refusal, Refusal::SplitView), "{refusal}");
    let longer = TreeHead { size: 300, root: leaf_hash(b"another") };
    let proof = request(&objects, 200, 300).proof;
    assert_eq!(ask(&witness, &Request { old_size: 200, proof, checkpoint: signed(1, longer) }), Err(422));
    let unproved = Request { proof: Vec::new(), ..request(&objects, 200, 300) };
    assert_eq!(ask(&witness, &unproved), Err(422));
    // Both checkpoints of each refusal are kept, and a repetition adds nothing.
    let kept = refusals(dir.path());
    assert_eq!(kept.len(), 3, "{kept:?}");
    let split = kept.iter().find(|text| text.starts_with("the log was seen with another tree")).unwrap();
    assert!(split.contains(&signed(1, head(200))) && split.contains(&signed(1, other)), "{split}");
    assert_eq!(ask(&witness, &Request { old_size: 200, ..unproved.clone() }), Err(422));
    assert_eq!(refusals(dir.path()), kept);
    // What was refused has changed nothing.
    assert_eq!(witness.seen(&LogOrigin::parse(ORIGIN).unwrap()).unwrap(), head(200));
    assert!(ask(&witness, &request(&objects, 200, 300)).is_ok());
}

#[test]
fn logs_that_are_not_known_or_did_not_sign_are_refused() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), log());
    let witness = witness(11, dir.path());
    let of = |checkpoint: String| Request { checkpoint, ..request(&objects, 0, 7) };
    assert_eq!(ask(&witness, &of(signed(2, head(7)))), Err(403));
    assert_eq!(ask(&witness, &of(signed(1, head(7)).replace("\n7\n", "\n8\n"))), Err(403));
    assert_eq!(ask(&witness, &of(signed(1, head(7)).replace("acme/", "emca/"))), Err(404));
    assert_eq!(witness.seen(&LogOrigin::parse(ORIGIN).unwrap()).unwrap(), TreeHead::empty());
}

#[test]
fn what_is_no_request_is_refused() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), log());
    let witness = witness(11, dir.path());
    let good = request(&objects, 0, 7).encode();
    let many = Request { proof: vec![leaf_hash(b"x"); 64], ..request(&objects, 0, 7) };
    for text in [
        String::new(),
        good.replace("old 0\n", ""),
        good.replace("old 0", "old 00"),
        good.replace("old 0\n", "old 0\nAAAA\n"),
        good.split_once("\n\n").unwrap().0.to_owned(),
        good.replace("\n7\n", "\n07\n"),
        format!("old 0\n\n{}", "x".repeat(REQUEST_BYTES_MAX)),
        many.encode(),
    ] {
        let refusal = witness.add_checkpoint(text.as_bytes(), NOW).unwrap_err();
        assert_eq!(refusal.status(), 400, "{refusal}: {text:.60}");
    }
    assert_eq!(Request::parse(good.as_bytes()).unwrap(), request(&objects, 0, 7));
}

#[test]
fn damaged_memory_cosigns_nothing() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), log());
    let witness = witness(11, dir.path());
    ask(&witness, &request(&objects, 0, 200)).unwrap();
    let file = dir.path().join(name(&LogOrigin::parse(ORIGIN).unwrap()));
    let note = std::fs::read_to_string(&file).unwrap();
    for damaged in ["", "nothing", &note.replace("acme/", "emca/")] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(ask(&witness, &request(&objects, 200, 300)), Err(500), "{damaged}");
    }
}

/// One witness is behind, the other lies: it signs whatever it is shown. Only a quorum of both is fooled by neither alone.
#[test]
fn a_lying_witness_alone_makes_no_quorum() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), log());
    let (honest, liar) = (witness(11, dir.path()), Local::new(12));
    ask(&honest, &request(&objects, 0, 200)).unwrap();
    let policy = format!(
        "log {}\nwitness honest {}\nwitness liar {}\ngroup both all honest liar\nquorum both\n",
        key(1, ORIGIN, NoteKeyKind::Text).1,
        honest.cosigner.key(),
        liar.key(),
    );
    let policy = LogPolicy::parse(policy.as_bytes()).unwrap();
    let fork = signed(1, TreeHead { size: 200, root: leaf_hash(b"another") });
    let text = Note::parse(fork.as_bytes()).unwrap().text;
    let lie =
        signature_line(liar.key(), &cosignature(NOW, &liar.sign(cosigned(NOW, text).as_bytes()).unwrap()));
    let shown = fork.clone() + &lie;
    let vouched = policy.vouched(shown.as_bytes()).unwrap();
    assert_eq!((vouched.witnesses.len(), vouched.quorum), (1, false));
    assert_eq!(ask(&honest, &Request { old_size: 200, proof: Vec::new(), checkpoint: fork }), Err(409));
}
