//! The formats of the log: leaves, notes, checkpoints, proofs, policies, what a witness is sent, mirrors, tiles.

use std::io;
use std::sync::Mutex;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::leaf::{LEAF_BYTES, Leaf};
use gantral_evidence::log::note::{
    NOTE_BYTES_MAX, Note, NoteKey, NoteKeyKind, SIGNATURES_MAX, parse_signatures,
};
use gantral_evidence::log::policy::{ENTRIES_MAX, LogPolicy};
use gantral_evidence::log::proof::{LogProof, PROOF_BYTES_MAX};
use gantral_evidence::log::tree::{PROOF_HASHES_MAX, TreeHead, check_inclusion, leaf_hash};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{MirrorReader, Questions};
use gantral_log::monitor::{self, Monitor, Occasion};
use gantral_log::objects::{Object, ReadObjects, WriteObjects};
use gantral_log::proving::Prover;
use gantral_log::tile::{HASH_BYTES, Row, Tile};
use gantral_log::tree::Edge;
use gantral_log::witness::{Cosigner, REQUEST_BYTES_MAX, Request, Witness};

use super::json::members;
use crate::framed::FileMap;
use crate::seeds::Vectors;
use crate::target::{Answer, Seen, Target, ensure, refused, twice};

/// A checkpoint of the log of the vectors, with two cosignatures, and the trust file that believes it.
const CHECKPOINT_NOTE: &[u8] =
    include_bytes!("../../../../spec/vectors/bundles/800-mirrored/mirror/checkpoint");
const TRUST_FILE: &[u8] = include_bytes!("../../../../spec/vectors/bundles/800-mirrored/trust.json");
/// The leaves below that checkpoint.
const ENTRIES: &[u8] =
    include_bytes!("../../../../spec/vectors/bundles/800-mirrored/mirror/tile/entries/000.p/15");

const NOTE_TOKENS: &[&str] = &[
    "\u{2014} log.example/acme ",
    "\u{2014} witness.example/w1 ",
    "log.example/acme\n",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "c2sp.org/tlog-proof@v1\n",
    "extra AA==\n",
    "index 0\n",
    "old 0\n",
    "\n\n\u{2014} a AAAAAAA=\n",
];

pub const LEAF: Target =
    Target { name: "leaf", bytes_max: LEAF_BYTES + 16, tokens: &["GL1"], seeds: leaves, check: check_leaf };
pub const NOTE: Target = Target {
    name: "note",
    bytes_max: NOTE_BYTES_MAX + 64,
    tokens: NOTE_TOKENS,
    seeds: notes,
    check: check_note,
};
pub const CHECKPOINT: Target = Target {
    name: "checkpoint",
    bytes_max: 4 << 10,
    tokens: NOTE_TOKENS,
    seeds: notes,
    check: check_checkpoint,
};
pub const PROOF: Target = Target {
    name: "log_proof",
    bytes_max: PROOF_BYTES_MAX + 64,
    tokens: NOTE_TOKENS,
    seeds: |vectors| vectors.ending(".tlog-proof"),
    check: check_proof,
};
pub const CONSISTENCY: Target = Target {
    name: "log_consistency",
    bytes_max: PROOF_BYTES_MAX + 64,
    tokens: NOTE_TOKENS,
    seeds: |vectors| vectors.ending(".tlog-consistency"),
    check: check_consistency,
};
pub const POLICY: Target = Target {
    name: "log_policy",
    bytes_max: 8 << 10,
    tokens: &[
        "log ",
        "witness w1 ",
        "group g any w1 w2\n",
        "group g all w1\n",
        "group g 1 w1\n",
        "quorum g\n",
        "quorum none\n",
        "# ",
        "\t",
    ],
    seeds: policies,
    check: check_policy,
};
pub const KEY: Target = Target {
    name: "log_key",
    bytes_max: 512,
    tokens: &["+", "log.example/acme", "ea2ad007"],
    seeds: keys,
    check: check_key,
};
pub const WITNESS: Target = Target {
    name: "witness_request",
    bytes_max: REQUEST_BYTES_MAX + 64,
    tokens: NOTE_TOKENS,
    seeds: requests,
    check: check_request,
};
pub const MIRROR: Target = Target {
    name: "mirror",
    bytes_max: 4 << 10,
    tokens: &["GL1", "\0\u{53}"],
    seeds: |_| vec![ENTRIES.to_vec()],
    check: check_mirror,
};
pub const TILES: Target = Target {
    name: "tiles",
    bytes_max: 4 << 10,
    tokens: &["GL1"],
    seeds: |_| vec![tiles()],
    check: check_tiles,
};
pub const MONITOR: Target = Target {
    name: "monitor_state",
    bytes_max: 16 << 10,
    tokens: &["gantral-monitor-1\n", "[]"],
    seeds: states,
    check: check_state,
};

fn leaves(vectors: &Vectors) -> Vec<Vec<u8>> {
    let mut leaves = entries(ENTRIES);
    leaves.extend(super::json::hex_members(
        vectors.get("primitives/hashes.json").unwrap_or_default(),
        "result",
    ));
    leaves
}

/// Takes a bundle of leaves apart, as far as it goes.
fn entries(bundle: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bundle;
    let mut leaves = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let Some((leaf, after)) = after.split_at_checked(u16::from_be_bytes(*length).into()) else { break };
        leaves.push(leaf.to_vec());
        rest = after;
    }
    leaves
}

fn check_leaf(bytes: &[u8]) -> Answer {
    let leaf = match twice(|| Leaf::parse(bytes))? {
        Ok(leaf) => leaf,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(leaf.encode() == bytes, "a leaf has one spelling")?;
    ensure(leaf.tree_hash() == leaf_hash(bytes), "a leaf enters the tree as its bytes")?;
    Ok(Seen::Accepted)
}

fn notes(vectors: &Vectors) -> Vec<Vec<u8>> {
    let list = members(vectors.get("primitives/notes.json").unwrap_or_default(), "note");
    let mut notes: Vec<Vec<u8>> = list.into_iter().map(String::into_bytes).collect();
    notes.extend(vectors.ending("/mirror/checkpoint"));
    notes
}

fn check_note(bytes: &[u8]) -> Answer {
    let note = match twice(|| Note::parse(bytes))? {
        Ok(note) => note,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(
        (1..=SIGNATURES_MAX).contains(&note.signatures.len()),
        "a note has some signatures, and not too many",
    )?;
    let rest = bytes.strip_prefix(note.text.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
    let signatures = rest.and_then(|rest| std::str::from_utf8(rest).ok()).map(parse_signatures);
    ensure(signatures == Some(Ok(note.signatures)), "a note is its text, an empty line and its signatures")?;
    Ok(Seen::Accepted)
}

fn check_checkpoint(bytes: &[u8]) -> Answer {
    // A checkpoint is the text of a note; text that is no note is read as it is.
    let note = Note::parse(bytes).ok().map(|note| note.text);
    let Some(text) = note.or_else(|| std::str::from_utf8(bytes).ok()) else { return Ok(Seen::Refused(0)) };
    let checkpoint = match twice(|| Checkpoint::parse(text))? {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(text.starts_with(&checkpoint.text()), "a checkpoint is its three lines, and extensions")?;
    ensure(
        Checkpoint::parse(&checkpoint.text()) == Ok(checkpoint),
        "a checkpoint is written as one that is read as the same",
    )?;
    Ok(Seen::Accepted)
}

fn check_proof(bytes: &[u8]) -> Answer {
    let proof = match twice(|| LogProof::parse(bytes))? {
        Ok(proof) => proof,
        Err(error) => return Ok(refused(&error)),
    };
    let encoded = proof.encode();
    ensure(
        LogProof::parse(encoded.as_bytes()).as_ref() == Ok(&proof),
        "a proof is written as one that is read as the same",
    )?;
    let is_bare = !bytes.starts_with(b"c2sp.org/tlog-proof@v1\nextra ");
    ensure(!is_bare || encoded.as_bytes() == bytes, "a proof without extra data has one spelling")?;
    ensure(proof.hashes.len() <= PROOF_HASHES_MAX, "a proof has not too many hashes")?;
    let leaf = leaf_hash(&[]);
    let unrelated = TreeHead { size: u64::MAX, root: leaf };
    let answer = check_inclusion(proof.index, unrelated.size, &unrelated.root, &leaf, &proof.hashes);
    ensure(answer.is_err(), "no proof leads to a root that is no tree's")?;
    Ok(Seen::Accepted)
}

fn check_consistency(bytes: &[u8]) -> Answer {
    let proof = match twice(|| LogConsistency::parse(bytes))? {
        Ok(proof) => proof,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(proof.encode().as_bytes() == bytes, "a consistency proof has one spelling")?;
    ensure(proof.hashes.len() <= PROOF_HASHES_MAX, "a proof has not too many hashes")?;
    Ok(Seen::Accepted)
}

fn trusted() -> Option<Trust> {
    Trust::parse(TRUST_FILE).ok()
}

fn policies(vectors: &Vectors) -> Vec<Vec<u8>> {
    let policy = |file: Vec<u8>| Some(Trust::parse(&file).ok()?.log()?.policy_text().as_bytes().to_vec());
    vectors.ending("/trust.json").into_iter().filter_map(policy).collect()
}

fn check_policy(bytes: &[u8]) -> Answer {
    let policy = match twice(|| LogPolicy::parse(bytes))? {
        Ok(policy) => policy,
        Err(error) => return Ok(refused(&error)),
    };
    let within = policy.logs().len().max(policy.witnesses().len()) <= ENTRIES_MAX;
    ensure(within, "a policy has not too many logs and witnesses")?;
    if let Ok(vouched) = policy.vouched(CHECKPOINT_NOTE) {
        ensure(policy.logs().contains(vouched.log), "the log that vouches is one of the policy")?;
        ensure(vouched.witnesses.len() <= policy.witnesses().len(), "each witness counts once")?;
    }
    Ok(Seen::Accepted)
}

fn keys(vectors: &Vectors) -> Vec<Vec<u8>> {
    let list = members(vectors.get("primitives/notes.json").unwrap_or_default(), "key");
    list.into_iter().map(String::into_bytes).collect()
}

fn check_key(bytes: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(Seen::Refused(0)) };
    match twice(|| NoteKey::parse(text))? {
        Ok(key) => {
            ensure(key.to_string() == text, "a key of a log has one spelling")?;
            Ok(Seen::Accepted)
        }
        Err(error) => Ok(refused(&error)),
    }
}

fn requests(_: &Vectors) -> Vec<Vec<u8>> {
    let checkpoint = String::from_utf8_lossy(CHECKPOINT_NOTE).into_owned();
    let hashes = vec![Digest::of(b"a"), Digest::of(b"b")];
    let request = |old_size, proof: &[Digest]| Request {
        old_size,
        proof: proof.to_vec(),
        checkpoint: checkpoint.clone(),
    };
    let requests = [request(0, &[]), request(3, &hashes), request(15, &[])];
    requests.iter().map(|request| request.encode().into_bytes()).collect()
}

/// What a witness remembers, in memory.
#[derive(Default)]
struct Memory(Mutex<FileMap>);

impl ReadObjects for Memory {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().map_err(|_| io::Error::other("poisoned"))?.get(name).cloned())
    }
}

impl WriteObjects for Memory {
    fn write(&self, objects: &[Object]) -> io::Result<()> {
        let mut files = self.0.lock().map_err(|_| io::Error::other("poisoned"))?;
        files.extend(objects.iter().map(|object| (object.name.clone(), object.bytes.clone())));
        Ok(())
    }

    fn remove_under(&self, folder: &str) -> io::Result<()> {
        let below = format!("{folder}/");
        self.0.lock().map_err(|_| io::Error::other("poisoned"))?.retain(|name, _| !name.starts_with(&below));
        Ok(())
    }
}

/// A witness's key that signs nothing else.
struct Key(SigningKey, NoteKey);

impl Cosigner for Key {
    fn key(&self) -> &NoteKey {
        &self.1
    }

    fn sign(&self, message: &[u8]) -> io::Result<[u8; 64]> {
        Ok(self.0.sign(message).to_bytes())
    }
}

fn cosigner() -> Option<Key> {
    let key = SigningKey::from_bytes(&[77; 32]);
    let public = PublicKey::from_bytes(key.verifying_key().as_bytes()).ok()?;
    Some(Key(key, NoteKey::new("witness.example/fuzz", NoteKeyKind::Cosignature, public).ok()?))
}

/// A witness that knows the log cosigns the one tree that the log has signed, and remembers no other.
fn check_request(bytes: &[u8]) -> Answer {
    let parsed = twice(|| Request::parse(bytes))?;
    if let Ok(request) = &parsed {
        ensure(request.encode().as_bytes() == bytes, "a request has one spelling")?;
    }
    let (Some(trust), Some(cosigner)) = (trusted(), cosigner()) else { return Ok(Seen::Refused(0)) };
    let policy = trust.log().map(|log| log.policy().clone());
    let Some(policy) = policy else { return Ok(Seen::Refused(0)) };
    let origin = policy.logs().first().and_then(|log| LogOrigin::parse(log.key.name()).ok());
    let Some(origin) = origin else { return Ok(Seen::Refused(0)) };
    let logs = policy.logs().iter().map(|log| log.key.clone()).collect();
    let witness = Witness::new(logs, Memory::default(), cosigner);
    let answer = witness.add_checkpoint(bytes, 1_800_000_000);
    let seen = witness.seen(&origin).map(|tree| tree.size).unwrap_or(u64::MAX);
    match answer {
        Ok(line) => {
            ensure(parsed.is_ok(), "what is cosigned is a request")?;
            ensure(
                parse_signatures(&line).is_ok_and(|lines| lines.len() == 1),
                "a witness answers with one signature",
            )?;
            ensure(seen == 15, "a witness remembers what it cosigns")?;
            Ok(Seen::Accepted)
        }
        Err(refusal) => {
            ensure(seen == 0, "a witness remembers nothing of what it refuses")?;
            Ok(refused(&refusal))
        }
    }
}

/// Only the leaves that the checkpoint covers are a mirror, whatever follows them.
fn check_mirror(bytes: &[u8]) -> Answer {
    let Some(trust) = trusted() else { return Ok(Seen::Refused(0)) };
    let Some(log) = trust.log() else { return Ok(Seen::Refused(0)) };
    let answer = MirrorReader::new(CHECKPOINT_NOTE, log, Questions::default()).and_then(|mut reader| {
        reader.entries(bytes)?;
        reader.finish()
    });
    match answer {
        Ok(mirror) => {
            ensure(bytes.starts_with(ENTRIES), "only the leaves of the tree are a mirror of it")?;
            ensure(mirror.tree().size == 15, "a mirror is of the tree of its checkpoint")?;
            Ok(Seen::Accepted)
        }
        Err(error) => {
            ensure(!bytes.starts_with(ENTRIES), "the leaves of the tree are a mirror of it")?;
            Ok(refused(&error))
        }
    }
}

/// The hash tile and the leaves of the tree, one behind the other.
fn tiles() -> Vec<u8> {
    let hashes = entries(ENTRIES).into_iter().flat_map(|leaf| *leaf_hash(&leaf).as_bytes());
    hashes.chain(ENTRIES.iter().copied()).collect()
}

/// Objects that are cut out of one input.
struct Cut(FileMap);

impl ReadObjects for Cut {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(name).cloned())
    }
}

fn check_tiles(bytes: &[u8]) -> Answer {
    let note = Note::parse(CHECKPOINT_NOTE).ok();
    let tree = note.and_then(|note| Checkpoint::parse(note.text).ok()).map(|checkpoint| checkpoint.tree);
    let Some(tree) = tree else { return Ok(Seen::Refused(0)) };
    let (hashes, leaves) = bytes.split_at(bytes.len().min(15 * HASH_BYTES));
    let name = |row| Tile::of_tree(row, 0, tree.size).map(|tile| tile.to_string()).unwrap_or_default();
    let files = [(name(Row::Hashes(0)), hashes.to_vec()), (name(Row::Entries), leaves.to_vec())];
    let objects = Cut(files.into_iter().collect());
    let loaded = Edge::load(&objects, &tree);
    if let Ok(mut prover) = Prover::new(&objects, tree.size) {
        for index in 0..tree.size {
            // Tiles are not checked when a proof is made; whoever is given it checks.
            let _ = prover.inclusion(index);
            let _ = prover.consistency(index);
        }
    }
    match loaded {
        Ok(edge) => {
            ensure(edge.head() == tree, "the edge is that of the tree")?;
            ensure(bytes == tiles(), "only the tiles of the tree are its edge")?;
            Ok(Seen::Accepted)
        }
        Err(error) => Ok(refused(&error)),
    }
}

/// What a monitor remembers after it has read the mirror, without the digest at its end.
fn states(vectors: &Vectors) -> Vec<Vec<u8>> {
    let mirror = Cut(vectors.folder("bundles/800-mirrored/mirror"));
    let policy = trusted().and_then(|trust| trust.log().map(|log| log.policy().clone()));
    let Some(policy) = policy else { return Vec::new() };
    let mut monitor = Monitor::new(policy);
    let occasion = Occasion { now_ms: 1_800_000_000_000, is_live: false };
    let report = monitor.pass(&mirror, &monitor::Questions::default(), occasion);
    let state = report.ok().and_then(|_| monitor.state()).unwrap_or_default();
    vec![state.get(..state.len().saturating_sub(32)).unwrap_or_default().to_vec()]
}

fn check_state(bytes: &[u8]) -> Answer {
    let policy = trusted().and_then(|trust| trust.log().map(|log| log.policy().clone()));
    let Some(policy) = policy else { return Ok(Seen::Refused(0)) };
    let state = [bytes, Digest::of(bytes).as_bytes()].concat();
    let resumed = match Monitor::resume(policy.clone(), &state) {
        Ok(monitor) => monitor,
        Err(error) => return Ok(refused(&error)),
    };
    let kept = resumed.state().unwrap_or_default();
    let again = Monitor::resume(policy, &kept).ok().and_then(|monitor| monitor.state());
    ensure(again.as_ref() == Some(&kept), "what a monitor remembers is written as what is read as the same")?;
    Ok(Seen::Accepted)
}
