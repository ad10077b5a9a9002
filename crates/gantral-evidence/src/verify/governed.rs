//! The governance chain of the bundle: which of its files count, where they stand in the log, and how far they are one chain.
//!
//! Source: `spec/verification.md` V55 to V57.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::ids::InstanceId;

use super::code::{Code, Weight};
use super::finding::{Findings, Place};
use super::keyring::Keyring;
use super::places::LogView;
use super::sealed::{Artifact, Body as _};
use super::timing::check_order;
use crate::bundle::{GOVERNANCE_DIRECTORY, GOVERNANCE_PROOFS_DIRECTORY, sequence_of_envelope};
use crate::container::Files;
use crate::governance::{Detail, GovernanceStatement, InForce, ProposerFault};
use crate::keys::KeyId;

/// What a bundle holds of its tenant's governance chain.
#[derive(Debug, Default)]
pub(super) struct Governed {
    /// The usable artifacts, by sequence.
    pub(super) artifacts: Vec<Artifact<GovernanceStatement>>,
    /// The sequences that have a file, usable or not.
    files: BTreeSet<u64>,
    /// How many of the artifacts, from sequence 0 on, are one chain.
    length: usize,
    /// Where each artifact of the chain stands in it.
    by_hash: BTreeMap<Digest, usize>,
}

impl Governed {
    /// Reads what is there of the governance chain that an instance rests on; `of` is some artifact of it.
    pub(super) fn read(
        files: &Files<'_>,
        keys: &Keyring<'_>,
        of: Option<&Artifact>,
        findings: &mut Findings,
    ) -> Self {
        let mut governed = Self::default();
        let Some(of) = of.filter(|_| keys.is_given()) else { return governed };
        for (path, content) in files.within(GOVERNANCE_DIRECTORY) {
            if path.starts_with(GOVERNANCE_PROOFS_DIRECTORY) {
                continue;
            }
            let Some(sequence) = sequence_of_envelope(GOVERNANCE_DIRECTORY, path) else {
                let message = "ignored: no artifact of a governance chain is named so";
                findings.add(Code::Unauth, Place::File(path.into()), message);
                continue;
            };
            governed.files.insert(sequence);
            match usable(path, content, sequence, of, keys, findings) {
                Ok(artifact) => governed.artifacts.push(artifact),
                Err((code, message)) => findings.add(code, Place::Governance(sequence), message),
            }
        }
        governed
    }

    /// Checks keys, places and links. The places of the artifacts are known by now.
    pub(super) fn check(&mut self, view: &LogView<'_>, of: Option<&Artifact>, findings: &mut Findings) {
        let Some(of) = of else { return };
        check_order(&self.artifacts, findings);
        let logged = view.mirror.and_then(|mirror| mirror.governance(of.statement.scope().0));
        if let Some(logged) = logged {
            view.check_logged(logged, &self.artifacts, findings);
        }
        self.link(findings);
    }

    /// Follows the chain from sequence 0 to the first place that breaks it (V56).
    fn link(&mut self, findings: &mut Findings) {
        let mut in_force = InForce::default();
        let mut before: Option<&Artifact<GovernanceStatement>> = None;
        for sequence in 0_u64.. {
            match self.files.range(sequence..).next() {
                None => return,
                Some(next) if *next == sequence => {}
                Some(next) => {
                    let code = if sequence == 0 { Code::NoGenesis } else { Code::Gap };
                    let message = "governance artifacts before it are missing";
                    return findings.weighed(code, Weight::Inconclusive, Place::Governance(*next), message);
                }
            }
            let next = self.artifacts.get(self.length);
            let Some(artifact) = next.filter(|artifact| artifact.statement.sequence == sequence) else {
                return;
            };
            let mut broken = breaks(artifact, before);
            if broken.is_empty()
                && let Err(fault) = in_force.apply(&artifact.statement.detail, artifact.hash)
            {
                broken.push((Code::Guard, fault.to_string()));
            }
            if !broken.is_empty() {
                for (code, message) in broken {
                    findings.add(code, artifact.place(), message);
                }
                return;
            }
            self.by_hash.insert(artifact.hash, self.length);
            self.length = self.length.saturating_add(1);
            before = Some(artifact);
        }
    }

    /// Returns the governance chain, from sequence 0.
    pub(super) fn chain(&self) -> &[Artifact<GovernanceStatement>] {
        self.artifacts.get(..self.length).unwrap_or_default()
    }

    /// Returns where in the chain the artifact with a hash stands.
    pub(super) fn position(&self, hash: &Digest) -> Option<usize> {
        self.by_hash.get(hash).copied()
    }

    /// Returns the artifact of the chain with a hash.
    pub(super) fn artifact(&self, hash: &Digest) -> Option<&Artifact<GovernanceStatement>> {
        self.chain().get(self.position(hash)?)
    }

    /// Returns what the chain says was erased by right, of this instance or of none (G13).
    pub(super) fn erased(&self, of: InstanceId) -> BTreeSet<(CommitmentLabel, Digest)> {
        let erased = self.chain().iter().filter_map(|artifact| match &artifact.statement.detail {
            Detail::Erased { instance, commitment, label } if instance.is_none_or(|id| id == of) => {
                Some((*label, *commitment))
            }
            _ => None,
        });
        erased.collect()
    }

    /// Returns the keys that signed artifacts at places of the log at which the chain no longer vouches for them, and of which the
    /// trust file says nothing (G15).
    pub(super) fn doubted(&self, artifacts: &[Artifact]) -> Vec<KeyId> {
        let mut ends: BTreeMap<KeyId, u64> = BTreeMap::new();
        for artifact in self.chain() {
            let (key, from) = match &artifact.statement.detail {
                Detail::KeyRetired { key } => (key, artifact.index()),
                Detail::KeyCompromised { key, from_index } => (key, Some(*from_index)),
                _ => continue,
            };
            let Some(from) = from else { continue };
            ends.entry(*key).and_modify(|end| *end = from.min(*end)).or_insert(from);
        }
        let is_doubted = |artifact: &&Artifact| {
            let signer = &artifact.signer;
            let is_limited = signer.window.until.is_some() || signer.window.compromised_from.is_some();
            let end = ends.get(&signer.id);
            !is_limited && artifact.index().zip(end).is_some_and(|(index, end)| index >= *end)
        };
        let keys: BTreeSet<KeyId> =
            artifacts.iter().filter(is_doubted).map(|artifact| artifact.signer.id).collect();
        keys.into_iter().collect()
    }
}

/// Reads one file; returns the row of the verdict table if it is not usable.
fn usable(
    path: &str,
    content: &[u8],
    sequence: u64,
    of: &Artifact,
    keys: &Keyring<'_>,
    findings: &mut Findings,
) -> Result<Artifact<GovernanceStatement>, (Code, String)> {
    let (artifact, extensions) = Artifact::<GovernanceStatement>::open(path, content, keys, findings)?;
    if artifact.statement.sequence != sequence {
        return Err((Code::Container, "it is another place of the chain than its name says".into()));
    }
    if artifact.statement.scope() != of.statement.scope() {
        return Err((Code::Mixed, "it is about another tenant or log than the rest of the bundle".into()));
    }
    for name in extensions {
        let message = alloc::format!("extension `{name}` was ignored");
        findings.add(Code::Ext, artifact.place(), message);
    }
    Ok(artifact)
}

/// Returns how an artifact does not follow the one before.
fn breaks(
    artifact: &Artifact<GovernanceStatement>,
    before: Option<&Artifact<GovernanceStatement>>,
) -> Vec<(Code, String)> {
    let statement = &artifact.statement;
    let mut broken = Vec::new();
    if statement.previous.is_none() != (statement.sequence == 0) {
        broken.push((Code::Genesis, Code::Genesis.meaning().to_string()));
    } else if statement.previous != before.map(|before| before.hash) {
        broken.push((Code::Chain, Code::Chain.meaning().to_string()));
    }
    if before.is_some_and(|before| before.statement.at > statement.at) {
        broken.push((Code::TimeBack, Code::TimeBack.meaning().to_string()));
    }
    if let Err(fault) = statement.check_proposer() {
        let code = match fault {
            ProposerFault::SamePerson | ProposerFault::NoHuman => Code::SelfApproval,
            ProposerFault::Later => Code::TimeBack,
        };
        broken.push((code, fault.to_string()));
    }
    broken
}
