//! The log, grown again from the archived artifacts, and held against the checkpoints of the heads.

use std::collections::BTreeMap;
use std::io;

use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::log::note::Note;
use gantral_evidence::log::policy::VouchError;
use gantral_evidence::trust::Trust;
use gantral_log::objects::{Object, ReadObjects};
use gantral_log::sequencer::{kind, leaf_of_envelope};
use gantral_log::tile::PARTIAL;
use gantral_log::tree::Edge;

use super::{Contents, FaultKind};
use crate::layout::{ArchivedArtifact, head_name, segment_name};

/// Tiles in memory.
#[derive(Debug, Default)]
pub(crate) struct Tiles(pub(crate) BTreeMap<String, Vec<u8>>);

impl ReadObjects for Tiles {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(name).cloned())
    }
}

/// The log of a tenant, as the archive makes it.
#[derive(Debug, Default)]
pub(crate) struct GrownLog {
    pub(crate) tiles: Tiles,
    /// The newest checkpoint that is of this tree, and to which proofs are made: its size and note.
    pub(crate) newest: Option<(u64, String)>,
    /// Checkpoints of this tree that witnesses have cosigned, by size.
    pub(crate) cosigned: BTreeMap<u64, String>,
}

/// A checkpoint that a head has.
struct Claim {
    object: String,
    note: String,
    checkpoint: Checkpoint,
    cosigned: bool,
}

/// Grows the log again, and checks every checkpoint against it.
pub(super) fn grow(contents: &mut Contents, trust: &Trust) -> GrownLog {
    let leaves = leaves(contents);
    let claims = claims(contents, trust);
    let total = leaves.len() as u64;
    let mut grown = GrownLog::default();
    let mut edge = Edge::default();
    let mut rest = leaves.as_slice();
    for claim in claims.iter().filter(|claim| claim.checkpoint.tree.size <= total) {
        let size = claim.checkpoint.tree.size;
        let take = usize::try_from(size.saturating_sub(edge.size())).unwrap_or(usize::MAX);
        let (now, later) = rest.split_at_checked(take).unwrap_or((rest, &[]));
        rest = later;
        append(&mut edge, now, &mut grown.tiles);
        if edge.head() != claim.checkpoint.tree {
            let what = format!("its checkpoint of {size} leaves is not of the tree that the segments make");
            contents.found(FaultKind::Contradiction, true, &claim.object, what);
            continue;
        }
        if claim.cosigned {
            grown.cosigned.insert(size, claim.note.clone());
        }
        grown.newest = Some((size, claim.note.clone()));
    }
    if edge.size() < total {
        // Proofs are made to the newest checkpoint, whose partial tiles must stay.
        let mut behind = Tiles::default();
        append(&mut edge, rest, &mut behind);
        for (name, bytes) in behind.0 {
            grown.tiles.0.entry(name).or_insert(bytes);
        }
    }
    if let Some(claim) = claims.iter().rev().find(|claim| claim.checkpoint.tree.size > total) {
        let log = claim.checkpoint.tree.size;
        let what = format!(
            "its checkpoint has {log} leaves, and the archive {total}: the end is missing, or on its way"
        );
        contents.found(FaultKind::Behind, false, &claim.object, what);
    }
    grown
}

/// Appends leaves, and keeps of each tile its widest form alone.
fn append(edge: &mut Edge, leaves: &[Leaf], tiles: &mut Tiles) {
    // A log cannot be larger than its sizes are long.
    let objects: Vec<Object> = edge.append(leaves).unwrap_or_default();
    for object in objects {
        let whole = object.name.split_once(PARTIAL).map_or(object.name.as_str(), |(tile, _)| tile);
        let partial = format!("{whole}{PARTIAL}");
        let narrower: Vec<String> = tiles
            .0
            .range(partial.clone()..)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(&partial))
            .cloned()
            .collect();
        for name in narrower {
            tiles.0.remove(&name);
        }
        tiles.0.insert(object.name, object.bytes);
    }
}

/// Returns the leaves of the artifacts, up to the first that cannot be read.
fn leaves(contents: &mut Contents) -> Vec<Leaf> {
    let mut leaves = Vec::with_capacity(contents.artifacts.len());
    let mut wrong = None;
    for (place, artifact) in contents.artifacts.iter().enumerate() {
        match leaf(contents, artifact) {
            Ok(leaf) => leaves.push(leaf),
            Err(what) => {
                wrong = Some((place, what));
                break;
            }
        }
    }
    if let Some((place, what)) = wrong {
        contents.artifacts.truncate(place);
        contents.found(FaultKind::Contradiction, true, &segment_name(0), format!("leaf {place}: {what}"));
    }
    leaves
}

/// Makes the leaf of an artifact from its envelope; that it stands where the segment says is checked.
fn leaf(contents: &Contents, artifact: &ArchivedArtifact) -> Result<Leaf, String> {
    let leaf = leaf_of_envelope(kind(artifact.chain), &artifact.envelope)?;
    let placed = leaf.tag == artifact.chain.tag(&contents.tenant) && leaf.sequence == artifact.sequence;
    if placed { Ok(leaf) } else { Err("it is of another place than the segment says".to_owned()) }
}

/// Returns the checkpoints that the heads have, by rising size, as far as a pinned log signed them.
fn claims(contents: &mut Contents, trust: &Trust) -> Vec<Claim> {
    let mut claims = Vec::new();
    let heads: Vec<_> = contents.heads.iter().map(|(number, head)| (*number, head.clone())).collect();
    for (number, head) in heads {
        let object = head_name(number);
        let notes =
            std::iter::once((&head.checkpoint, false)).chain(head.cosigned.iter().map(|note| (note, true)));
        for (note, cosigned) in notes {
            match vouched(note, contents, trust) {
                Ok(checkpoint) => {
                    claims.push(Claim { object: object.clone(), note: note.clone(), checkpoint, cosigned });
                }
                Err((invalid, what)) => {
                    let kind = if invalid { FaultKind::Contradiction } else { FaultKind::Untrusted };
                    contents.found(kind, invalid, &object, what);
                }
            }
        }
    }
    claims.sort_by_key(|claim| (claim.checkpoint.tree.size, claim.cosigned));
    claims
}

/// Reads a checkpoint that a pinned log of the tenant signed; the error says whether that makes the archive invalid.
fn vouched(note: &str, contents: &Contents, trust: &Trust) -> Result<Checkpoint, (bool, String)> {
    let parsed = Note::parse(note.as_bytes()).map_err(|error| (true, format!("its checkpoint: {error}")))?;
    let checkpoint =
        Checkpoint::parse(parsed.text).map_err(|error| (true, format!("its checkpoint: {error}")))?;
    let of_tenant = checkpoint.origin.as_str().rsplit_once('/').map(|(tenant, _)| tenant);
    if of_tenant != Some(contents.tenant.as_str()) {
        return Err((true, "its checkpoint is of another log".to_owned()));
    }
    let Some(log) = trust.log() else {
        return Err((false, "the trust file pins no log: nobody vouches for its checkpoint".to_owned()));
    };
    match log.policy().vouched(note.as_bytes()) {
        Ok(vouched) => Ok(vouched.checkpoint),
        Err(error @ VouchError::Unknown) => Err((false, format!("its checkpoint: {error}"))),
        Err(error) => Err((true, format!("its checkpoint: {error}"))),
    }
}
