//! Proofs for a bundle: where each artifact stands in the log, and that what the chain names is a beginning of it.

use std::time::Duration;

use gantral_core::ids::{InstanceId, TenantId};
use gantral_engine::checkpoints::Checkpoints as _;
use gantral_engine::{EngineError, Export};
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::proof::LogProof;
use gantral_log::proving::Prover;
use gantral_log::stored::KeptLog;
use gantral_log::tree::LogError;
use gantral_store::{CHAIN_PAGE_MAX, ChainId, StoreError};

use super::Logs;

/// How long an export waits for the log to cover the newest artifact, and for the witnesses.
const EXPORT_WAIT: Duration = Duration::from_secs(2);

/// What is proved, read before anything blocks.
struct Places {
    artifacts: Vec<u64>,
    governance: Vec<u64>,
    /// The size of each anchor, with the cosigned checkpoint of that size if there is one.
    anchors: Vec<(u64, Option<String>)>,
}

/// What was made, to be put into the bundle.
struct Proofs {
    artifacts: Vec<LogProof>,
    governance: Vec<LogProof>,
    anchors: Vec<(u64, LogConsistency)>,
}

impl Logs {
    /// Adds to a bundle what proves its place in the tenant's log, all to one checkpoint: the newest that all witnesses have cosigned,
    /// or as many as there are, if it covers the chain; else the newest. Where the log does not cover an artifact yet, it stays
    /// without a proof, and the verdict says so.
    pub(crate) async fn prove(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        export: &mut Export,
    ) -> Result<(), EngineError> {
        let Some((size, checkpoint)) = self.best(tenant, id, export.artifacts).await? else { return Ok(()) };
        let covered = |places: Vec<u64>| places.into_iter().take_while(|place| *place < size).collect();
        let mut anchors = Vec::new();
        for anchor in export.anchors.iter().filter(|anchor| anchor.size > 0 && anchor.size < size) {
            let note = self.store().cosigned_at(tenant, anchor.size).await?.map(|row| row.checkpoint);
            anchors.push((anchor.size, note));
        }
        let places = Places {
            artifacts: covered(self.places(tenant, ChainId::Instance(id), export.artifacts).await?),
            governance: covered(self.places(tenant, ChainId::Governance, export.governance).await?),
            anchors,
        };
        let damaged = |what: String| EngineError::Damaged { what };
        let objects = self.objects(tenant).map_err(|error| damaged(error.to_string()))?;
        let made = tokio::task::spawn_blocking(move || make(&objects, size, &checkpoint, places)).await;
        let proofs = made
            .map_err(|error| damaged(error.to_string()))?
            .map_err(|error| damaged(format!("the log of `{tenant}`: {error}")))?;
        let broken = |error: gantral_evidence::container::ContainerError| damaged(error.to_string());
        for (sequence, proof) in proofs.artifacts.iter().enumerate() {
            export.bundle.proof(sequence, proof).map_err(broken)?;
        }
        for (sequence, proof) in proofs.governance.iter().enumerate() {
            export.bundle.governance_proof(sequence, proof).map_err(broken)?;
        }
        for (size, consistency) in &proofs.anchors {
            export.bundle.consistency(*size, consistency).map_err(broken)?;
        }
        Ok(())
    }

    /// Returns the checkpoint to prove to: its size and note.
    async fn best(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        artifacts: usize,
    ) -> Result<Option<(u64, String)>, StoreError> {
        let last = u64::try_from(artifacts).unwrap_or(u64::MAX).saturating_sub(1);
        let until = tokio::time::Instant::now() + EXPORT_WAIT;
        for witnesses in (0..=self.witnesses()).rev() {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if let Some(tree) = self.covering(tenant, id, last, witnesses, left).await
                && witnesses > 0
                && let Some(row) = self.store().cosigned_at(tenant, tree.size).await?
            {
                return Ok(Some((row.size, row.checkpoint)));
            }
        }
        Ok(self.published().newest(tenant).map(|newest| (newest.tree.size, newest.note.clone())))
    }

    /// Returns the places in the log of the first artifacts of a chain, as far as they are in it.
    async fn places(&self, tenant: &TenantId, chain: ChainId, count: usize) -> Result<Vec<u64>, StoreError> {
        let mut all: Vec<u64> = Vec::with_capacity(count);
        while all.len() < count {
            let from = u64::try_from(all.len()).unwrap_or(u64::MAX);
            let limit = CHAIN_PAGE_MAX.min(count - all.len());
            let page = self.store().log_positions(tenant, chain, from, limit).await?;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        Ok(all)
    }
}

fn make(objects: &KeptLog, size: u64, checkpoint: &str, places: Places) -> Result<Proofs, LogError> {
    let mut prover = Prover::new(objects, size)?;
    let mut proof = |place: &u64| {
        let hashes = prover.inclusion(*place)?;
        Ok(LogProof { index: *place, hashes, checkpoint: checkpoint.to_owned() })
    };
    let artifacts = places.artifacts.iter().map(&mut proof).collect::<Result<_, LogError>>()?;
    let governance = places.governance.iter().map(&mut proof).collect::<Result<_, LogError>>()?;
    let mut anchors = Vec::with_capacity(places.anchors.len());
    for (size, checkpoint) in places.anchors {
        anchors.push((size, LogConsistency { hashes: prover.consistency(size)?, checkpoint }));
    }
    Ok(Proofs { artifacts, governance, anchors })
}
