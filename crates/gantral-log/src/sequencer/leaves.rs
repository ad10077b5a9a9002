//! From rows of the ledger to leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantral_core::ids::TenantId;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::GovernanceStatement;
use gantral_evidence::keys::KeyId;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_store::{ChainId, CommittedArtifact, CommittedPage, CommittedSeal, DamagedArtifact, LogLink};

use super::error::SequencerError;

/// What one log takes in one round.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    pub(super) leaves: Vec<Leaf>,
    pub(super) links: Vec<LogLink>,
}

/// What one log makes of a page of the ledger.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// What it takes.
    pub(super) batch: Arc<Batch>,
    /// The numbers of what comes after that, which it does not take.
    pub(super) held: Vec<u64>,
    /// Why it does not, unless that was known before.
    pub(super) fault: Option<SequencerError>,
}

impl Part {
    /// Leaves out what the batch has from an artifact on, or all of it; returns false if there was nothing to leave out.
    pub(super) fn hold(&mut self, from: Option<u64>) -> bool {
        let batch = Arc::make_mut(&mut self.batch);
        let kept = from.map_or(0, |from| batch.links.partition_point(|link| link.number < from));
        let left: Vec<u64> = batch.links.drain(kept..).map(|link| link.number).collect();
        batch.leaves.truncate(kept);
        let is_some = !left.is_empty();
        self.held.splice(..0, left);
        is_some
    }
}

/// Makes leaves of a page of the ledger, for the log of each tenant in the order of the commits. A log that stands still takes
/// nothing, and one of which an artifact is damaged nothing from there on.
pub(super) fn parts(
    page: &CommittedPage,
    is_stopped: impl Fn(&TenantId) -> bool,
) -> BTreeMap<TenantId, Part> {
    let mut rows: Vec<(u64, &TenantId, Result<&CommittedArtifact, &DamagedArtifact>)> = Vec::new();
    rows.extend(page.artifacts.iter().map(|row| (row.number, &row.tenant, Ok(row))));
    rows.extend(page.damaged.iter().map(|row| (row.number, &row.tenant, Err(row))));
    if !page.damaged.is_empty() {
        rows.sort_unstable_by_key(|(number, ..)| *number);
    }
    let mut parts: BTreeMap<TenantId, Part> = BTreeMap::new();
    for (number, tenant, row) in rows {
        if !parts.contains_key(tenant) {
            parts.insert(tenant.clone(), Part::default());
        }
        let Some(part) = parts.get_mut(tenant) else { continue };
        if !part.held.is_empty() || is_stopped(tenant) {
            part.held.push(number);
            continue;
        }
        match row.map_err(|damaged| damaged.what.clone()).and_then(|row| Ok((row, leaf(row)?))) {
            Ok((row, leaf)) => {
                let batch = Arc::make_mut(&mut part.batch);
                batch.leaves.push(leaf);
                batch.links.push(link(row, &leaf));
            }
            Err(what) => {
                part.held.push(number);
                part.fault = Some(SequencerError::Damaged { tenant: tenant.clone(), number, what });
            }
        }
    }
    parts
}

/// Returns the leaf of a committed artifact.
///
/// # Errors
/// What is wrong with the artifact.
pub fn leaf(row: &CommittedArtifact) -> Result<Leaf, String> {
    match &row.seal {
        CommittedSeal::Told { ends_chain, signer } => Ok(Leaf {
            kind: kind(row.chain),
            sequence: row.sequence,
            terminal: *ends_chain,
            tag: row.chain.tag(&row.tenant),
            hash: row.hash,
            issuer: *signer,
        }),
        CommittedSeal::Envelope(envelope) => read(row, envelope),
    }
}

/// Returns what the store notes of a committed artifact that the log takes as this leaf.
pub const fn link(row: &CommittedArtifact, leaf: &Leaf) -> LogLink {
    let (tag, sequence, ends_chain) = (leaf.tag, leaf.sequence, leaf.terminal);
    LogLink { number: row.number, previous: row.previous, tag, sequence, ends_chain }
}

/// Returns what kind of leaf the artifacts of a chain make.
pub const fn kind(chain: ChainId) -> LeafKind {
    match chain {
        ChainId::Instance(_) => LeafKind::Artifact,
        ChainId::Governance => LeafKind::Governance,
    }
}

/// Makes the leaf of an instance's artifact from its envelope, as whoever verifies it will. No governance chain is older than the
/// log.
fn read(row: &CommittedArtifact, envelope: &[u8]) -> Result<Leaf, String> {
    let leaf = leaf_of_envelope(LeafKind::Artifact, envelope)?;
    if leaf.hash != row.hash {
        return Err("it has another hash".to_owned());
    }
    if leaf.tag == row.chain.tag(&row.tenant) && leaf.sequence == row.sequence {
        Ok(leaf)
    } else {
        Err("it is of another place".to_owned())
    }
}

/// Makes the leaf of an artifact from nothing but its envelope. Who signed that is not checked.
///
/// # Errors
/// What is wrong with the envelope.
pub fn leaf_of_envelope(kind: LeafKind, envelope: &[u8]) -> Result<Leaf, String> {
    let envelope = Envelope::parse(envelope).map_err(|error| error.to_string())?;
    let signature = envelope.signatures.first().ok_or("nobody has signed it")?;
    let issuer = KeyId::parse(&signature.key_id).map_err(|error| error.to_string())?;
    let hash = artifact_hash(&envelope.payload);
    match kind {
        LeafKind::Artifact => {
            let statement = Statement::decode(&envelope.payload).map_err(|error| error.to_string())?;
            Ok(Leaf::of_artifact(&statement, hash, issuer))
        }
        LeafKind::Governance => {
            let statement =
                GovernanceStatement::decode(&envelope.payload).map_err(|error| error.to_string())?;
            Ok(Leaf::of_governance(&statement, hash, issuer))
        }
    }
}
