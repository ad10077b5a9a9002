//! From rows of the ledger to leaves.

use std::collections::BTreeMap;

use gantral_core::ids::TenantId;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::keys::KeyId;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_store::{ChainId, CommittedArtifact, CommittedSeal, LogLink};

use super::error::SequencerError;

/// What one log takes in one round.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) leaves: Vec<Leaf>,
    pub(super) links: Vec<LogLink>,
}

/// Makes leaves of a page of the ledger, for the log of each tenant in the order of the commits.
pub(super) fn batches(page: &[CommittedArtifact]) -> Result<BTreeMap<TenantId, Batch>, SequencerError> {
    let mut batches: BTreeMap<TenantId, Batch> = BTreeMap::new();
    for row in page {
        let leaf = leaf(row)?;
        if !batches.contains_key(&row.tenant) {
            batches.insert(row.tenant.clone(), Batch::default());
        }
        if let Some(batch) = batches.get_mut(&row.tenant) {
            batch.leaves.push(leaf);
            batch.links.push(LogLink {
                number: row.number,
                previous: row.previous,
                tag: leaf.tag,
                sequence: leaf.sequence,
                ends_chain: leaf.terminal,
            });
        }
    }
    Ok(batches)
}

fn leaf(row: &CommittedArtifact) -> Result<Leaf, SequencerError> {
    match &row.seal {
        CommittedSeal::Told { ends_chain, signer } => Ok(Leaf {
            kind: match row.chain {
                ChainId::Instance(_) => LeafKind::Artifact,
                ChainId::Governance => LeafKind::Governance,
            },
            sequence: row.sequence,
            terminal: *ends_chain,
            tag: row.chain.tag(&row.tenant),
            hash: row.hash,
            issuer: *signer,
        }),
        CommittedSeal::Envelope(envelope) => {
            read(row, envelope).map_err(|what| SequencerError::Damaged { number: row.number, what })
        }
    }
}

/// Makes the leaf of an instance's artifact from its envelope, as whoever verifies it will. No governance chain is older than the
/// log.
fn read(row: &CommittedArtifact, envelope: &[u8]) -> Result<Leaf, String> {
    let envelope = Envelope::parse(envelope).map_err(|error| error.to_string())?;
    if artifact_hash(&envelope.payload) != row.hash {
        return Err("it has another hash".to_owned());
    }
    let signature = envelope.signatures.first().ok_or("nobody has signed it")?;
    let issuer = KeyId::parse(&signature.key_id).map_err(|error| error.to_string())?;
    let statement = Statement::decode(&envelope.payload).map_err(|error| error.to_string())?;
    let leaf = Leaf::of_artifact(&statement, row.hash, issuer);
    if leaf.tag == row.chain.tag(&row.tenant) && leaf.sequence == row.sequence {
        Ok(leaf)
    } else {
        Err("it is of another place".to_owned())
    }
}
