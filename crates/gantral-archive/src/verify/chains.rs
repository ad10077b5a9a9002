//! Every chain as a bundle, for the verifier that everybody uses (`spec/verification.md`).

use std::collections::BTreeMap;

use gantral_core::event::{Event, Parent};
use gantral_core::ids::InstanceId;
use gantral_evidence::bundle::BundleWriter;
use gantral_evidence::commitments::{ballot, policy};
use gantral_evidence::container::{ContainerError, OwnedFiles, Scope};
use gantral_evidence::delegation::KeyDelegation;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::GovernanceStatement;
use gantral_evidence::keyring::Keyring;
use gantral_evidence::keys::KeyId;
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::proof::LogProof;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Verdict, verify as verify_bundle};
use gantral_log::proving::Prover;
use gantral_log::tree::LogError;
use gantral_store::ChainId;

use super::log::{GrownLog, Tiles};
use super::{Contents, FaultKind};
use crate::gather::{enrolment_name, evidence_name, policy_name, workflow_name};

/// How many parents of parents a bundle brings.
const PARENTS_MAX: usize = 16;
/// The folder of delegations.
const DELEGATIONS: &str = "delegations/";

/// Why a chain cannot be put together.
#[derive(Debug, thiserror::Error)]
enum ChainError {
    #[error(transparent)]
    Container(#[from] ContainerError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("an artifact cannot be read: {0}")]
    Artifact(String),
}

/// The places in the log of the artifacts of each chain.
type Places = BTreeMap<Option<InstanceId>, Vec<usize>>;

/// Verifies every chain; returns how many have which verdict.
pub(super) fn verify(contents: &mut Contents, log: &GrownLog, trust: &Trust) -> BTreeMap<String, u64> {
    let mut places = Places::new();
    for (place, artifact) in contents.artifacts.iter().enumerate() {
        let chain = match artifact.chain {
            ChainId::Instance(id) => Some(id),
            ChainId::Governance => None,
        };
        places.entry(chain).or_default().push(place);
    }
    governance(contents, &places, trust);
    let mut prover = log.newest.as_ref().and_then(|(size, _)| Prover::new(&log.tiles, *size).ok());
    let delegated = delegations(contents, trust);
    let judged: Vec<_> = places
        .keys()
        .flatten()
        .map(|id| match bundle(contents, &places, log, prover.as_mut(), &delegated, *id) {
            Ok(files) => (*id, judge(&files, trust)),
            Err(error) => (*id, (Verdict::Invalid, error.to_string())),
        })
        .collect();
    let mut verdicts = BTreeMap::new();
    for (id, (verdict, what)) in judged {
        let count: &mut u64 = verdicts.entry(verdict.as_str().to_owned()).or_default();
        *count = count.saturating_add(1);
        if verdict != Verdict::Valid {
            let name = format!("instances/{id}");
            contents.found(FaultKind::Chain, verdict == Verdict::Invalid, &name, what);
        }
    }
    verdicts
}

fn judge(files: &OwnedFiles, trust: &Trust) -> (Verdict, String) {
    let files = match files.as_files() {
        Ok(files) => files,
        Err(error) => return (Verdict::Invalid, error.to_string()),
    };
    let report = verify_bundle(&files, Some(trust));
    let codes: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.code.as_str().starts_with("E_"))
        .map(|finding| format!("{} {}", finding.code.as_str(), finding.message))
        .collect();
    (report.verdict, format!("{}: {}", report.verdict.as_str(), codes.join("; ")))
}

/// Checks the governance chain, which no instance may have brought up to its end: each artifact follows the one before and is signed by a
/// pinned key or its delegate.
fn governance(contents: &mut Contents, places: &Places, trust: &Trust) {
    let mut keyring = Keyring::new(trust);
    for (_, envelope) in delegations(contents, trust).into_iter().rev() {
        keyring.add(envelope, |_, _| true);
    }
    let mut previous = None;
    let mut wrong = Vec::new();
    for (sequence, place) in places.get(&None).into_iter().flatten().enumerate() {
        let Some(artifact) = contents.artifacts.get(*place) else { continue };
        let checked =
            Envelope::parse(&artifact.envelope).map_err(|error| error.to_string()).and_then(|envelope| {
                let statement =
                    GovernanceStatement::decode(&envelope.payload).map_err(|error| error.to_string())?;
                let message = envelope.signed_bytes();
                let signed = envelope.signatures.iter().any(|entry| {
                    keyring.known(&entry.key_id).is_some_and(|known| {
                        known.permits(&statement.tenant, &statement.origin, statement.at).is_ok()
                            && known.key.verify_strict(&message, &entry.signature).is_ok()
                    })
                });
                let follows = statement.previous == previous && statement.sequence == sequence as u64;
                previous = Some(artifact_hash(&envelope.payload));
                Ok((signed, follows))
            });
        match checked {
            Ok((true, true)) => {}
            Ok((_, false)) => {
                wrong.push((true, format!("artifact {sequence} does not follow the one before")))
            }
            Ok((false, true)) => wrong.push((false, format!("no pinned key signed artifact {sequence}"))),
            Err(what) => wrong.push((true, format!("artifact {sequence}: {what}"))),
        }
    }
    for (invalid, what) in wrong {
        let kind = if invalid { FaultKind::Contradiction } else { FaultKind::Untrusted };
        contents.found(kind, invalid, "governance", what);
    }
}

/// Puts the bundle of an instance together, as a server would export it, without what is never archived.
fn bundle(
    contents: &Contents,
    places: &Places,
    log: &GrownLog,
    prover: Option<&mut Prover<'_, Tiles>>,
    delegated: &[(KeyId, &[u8])],
    id: InstanceId,
) -> Result<OwnedFiles, ChainError> {
    let mut bundle = BundleWriter::new(id)?;
    let object = |name: String| contents.objects.get(&name).cloned();
    let chain = places.get(&Some(id)).map(Vec::as_slice).unwrap_or_default();
    let (mut anchors, mut parent, mut ended) = (BTreeMap::new(), None, false);
    for statement in statements(contents, chain) {
        let statement = statement?;
        let event = &statement.entry.event;
        anchors.extend(statement.anchor.map(|anchor| (anchor.size, anchor)));
        ended = statement.state.is_final();
        let digest = statement.identity.workflow.digest;
        if let Some(definition) = object(workflow_name(&digest)) {
            bundle.workflow(&digest, definition)?;
        }
        if let Some(version) = policy(event).map(|policy| policy.version)
            && let Some(archive) = object(policy_name(&version.0))
        {
            bundle.policy(&version, archive)?;
        }
        if let Some(ballot) = ballot(event) {
            if let Some(entry) = ballot.directory_entry
                && let Some(envelope) = object(enrolment_name(&entry))
            {
                bundle.enrolment(&entry, envelope)?;
            }
            if let Some(file) = ballot.evidence_digest.and_then(|digest| object(evidence_name(&digest))) {
                bundle.assertion(file)?;
            }
        }
        if let Event::Created(created) = statement.entry.event {
            parent = created.parent;
        }
    }
    for envelope in envelopes(contents, chain) {
        bundle.artifact(envelope.to_vec())?;
    }
    let governance = places.get(&None).map(Vec::as_slice).unwrap_or_default();
    for envelope in envelopes(contents, governance) {
        bundle.governance(envelope.to_vec())?;
    }
    parents(contents, places, parent, &mut bundle)?;
    for (delegate, envelope) in delegated {
        bundle.delegation(delegate, envelope.to_vec())?;
    }
    if let (Some(prover), Some((size, note))) = (prover, &log.newest) {
        let mut proof = |place: &usize| {
            let index = *place as u64;
            let hashes = prover.inclusion(index)?;
            Ok::<_, LogError>(LogProof { index, hashes, checkpoint: note.clone() })
        };
        let covered = |places: &[usize]| places.iter().filter(|place| (**place as u64) < *size).count();
        for (sequence, place) in chain.iter().enumerate().take(covered(chain)) {
            bundle.proof(sequence, &proof(place)?)?;
        }
        for (sequence, place) in governance.iter().enumerate().take(covered(governance)) {
            bundle.governance_proof(sequence, &proof(place)?)?;
        }
        for anchor in anchors.keys().filter(|anchor| **anchor > 0 && *anchor < size) {
            let (hashes, checkpoint) = (prover.consistency(*anchor)?, log.cosigned.get(anchor).cloned());
            bundle.consistency(*anchor, &LogConsistency { hashes, checkpoint })?;
        }
    }
    Ok(bundle.finish(if ended { Scope::Complete } else { Scope::Prefix })?)
}

fn envelopes<'c>(contents: &'c Contents, places: &'c [usize]) -> impl Iterator<Item = &'c [u8]> {
    places
        .iter()
        .filter_map(|place| contents.artifacts.get(*place))
        .map(|artifact| artifact.envelope.as_slice())
}

fn statements<'c>(
    contents: &'c Contents,
    places: &'c [usize],
) -> impl Iterator<Item = Result<Statement, ChainError>> + 'c {
    envelopes(contents, places).map(|envelope| {
        let wrong = |error: String| ChainError::Artifact(error);
        let envelope = Envelope::parse(envelope).map_err(|error| wrong(error.to_string()))?;
        Statement::decode(&envelope.payload).map_err(|error| wrong(error.to_string()))
    })
}

/// Adds the chains of those on whose behalf the execution ran, each up to the artifact that it rests on.
fn parents(
    contents: &Contents,
    places: &Places,
    parent: Option<Parent>,
    bundle: &mut BundleWriter,
) -> Result<(), ChainError> {
    let mut next = parent;
    for _ in 0..PARENTS_MAX {
        let Some(parent) = next.take() else { return Ok(()) };
        let chain = places.get(&Some(parent.instance)).map(Vec::as_slice).unwrap_or_default();
        for (sequence, envelope) in envelopes(contents, chain).enumerate() {
            bundle.parent(parent.instance, sequence, envelope.to_vec())?;
            let read = Envelope::parse(envelope).map_err(|error| ChainError::Artifact(error.to_string()))?;
            if sequence == 0
                && let Ok(statement) = Statement::decode(&read.payload)
                && let Event::Created(created) = statement.entry.event
            {
                next = created.parent;
            }
            if artifact_hash(&read.payload) == parent.artifact_hash {
                break;
            }
        }
    }
    Ok(())
}

/// Returns the delegations of pinned keys, the latest first: of two to one delegate the later counts.
fn delegations<'c>(contents: &'c Contents, trust: &Trust) -> Vec<(KeyId, &'c [u8])> {
    let named = contents.objects.range(DELEGATIONS.to_owned()..);
    let mut found: Vec<_> = named
        .take_while(|(name, _)| name.starts_with(DELEGATIONS))
        .filter_map(|(_, envelope)| {
            let opened = KeyDelegation::open(envelope, |id| trust.key(id).map(|key| &key.key)).ok()?;
            Some((opened.not_after, opened.delegate.id(), envelope.as_slice()))
        })
        .collect();
    found.sort_by_key(|(not_after, _, _)| std::cmp::Reverse(*not_after));
    found.into_iter().map(|(_, delegate, envelope)| (delegate, envelope)).collect()
}
