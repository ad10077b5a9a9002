//! The chain: one artifact after the other, each linked, each lawful.
//!
//! Links are checked along the whole chain. The fold, which knows the rules, goes as far as everything before is known
//! and lawful; what comes after the first break is not judged by rules.

use alloc::collections::BTreeSet;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use gantral_core::event::{Event, Identity};
use gantral_core::instance::Instance;
use gantral_core::state::State;
use gantral_core::table::semantics_digest;

use super::authenticate::Rejected;
use super::code::{Code, Weight};
use super::finding::{Findings, Place};
use super::sealed::Artifact;
use crate::container::{Manifest, Scope};

/// The authentic artifacts of the bundle's instance, in order, one for each place.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) artifacts: Vec<Artifact>,
    /// The instance as far as it could be folded.
    pub(super) instance: Option<Instance>,
    /// How many artifacts were folded.
    pub(super) folded: usize,
}

impl Chain {
    /// Links the arranged artifacts. Whatever is known of their places in the log is known by now.
    pub(super) fn of(
        artifacts: Vec<Artifact>,
        rejected: Vec<Rejected>,
        unreadable: Vec<u64>,
        scope: Scope,
        findings: &mut Findings,
    ) -> Self {
        let mut occupied: BTreeSet<u64> = unreadable.into_iter().collect();
        let mut chain = Self { artifacts, ..Self::default() };
        let fork = chain.resolve_forks(findings);
        let ended = chain.artifacts.last().filter(|last| last.statement.state.is_final());
        let ended = ended.map(|last| last.statement.sequence);
        for file in rejected {
            let is_taken = file.position.is_some_and(|at| chain.position(at).is_some());
            let is_past_the_end = file.position.zip(ended).is_some_and(|(at, end)| at > end);
            if is_taken || is_past_the_end {
                file.ignore(findings);
            } else {
                file.report(findings);
                occupied.extend(file.position);
            }
        }
        chain.check_gaps(&occupied, scope, findings);
        chain.check_links(findings);
        chain.fold(fork, findings);
        chain.check_end(&occupied, scope, findings);
        chain
    }

    /// Returns the artifact of a sequence.
    pub(super) fn position(&self, sequence: u64) -> Option<&Artifact> {
        let at =
            self.artifacts.binary_search_by_key(&sequence, |artifact| artifact.statement.sequence).ok()?;
        self.artifacts.get(at)
    }

    /// Keeps one artifact for each place; returns the first place that two claim.
    fn resolve_forks(&mut self, findings: &mut Findings) -> Option<u64> {
        let mut first = None;
        let mut kept: Vec<Artifact> = Vec::with_capacity(self.artifacts.len());
        let mut artifacts = core::mem::take(&mut self.artifacts);
        // One that the log holds goes before one that it does not; a stable sort keeps the order of the hashes.
        artifacts.sort_by_key(|artifact| (artifact.statement.sequence, artifact.placed.is_none()));
        for artifact in artifacts {
            let sequence = artifact.statement.sequence;
            match kept.last().filter(|last| last.statement.sequence == sequence) {
                None => kept.push(artifact),
                Some(last)
                    if last.placed.is_some() && last.hash != artifact.hash && artifact.may_be_a_thiefs() =>
                {
                    let message = "ignored: another one, which only a compromised key vouches for";
                    findings.add(Code::Unauth, Place::Artifact(sequence), message);
                }
                Some(last) if last.hash == artifact.hash => {
                    findings.add(Code::Dup, Place::Artifact(sequence), Code::Dup.meaning());
                }
                Some(last) => {
                    let message = alloc::format!("signed as {} and as {}", last.hash, artifact.hash);
                    findings.add(Code::Fork, Place::Artifact(sequence), message);
                    first = first.or(Some(sequence));
                }
            }
        }
        self.artifacts = kept;
        first
    }

    /// Finds places that nothing claims. A place with a damaged artifact is not missing.
    fn check_gaps(&self, occupied: &BTreeSet<u64>, scope: Scope, findings: &mut Findings) {
        let mut next = 0;
        for artifact in &self.artifacts {
            let sequence = artifact.statement.sequence;
            let missing = sequence.saturating_sub(next);
            // Only as many places as there are files can be occupied: the range may be anything.
            let held = u64::try_from(occupied.range(next..sequence).count()).unwrap_or(u64::MAX);
            if missing > held {
                let (code, weight) = match (next, scope) {
                    (0, _) => (Code::NoGenesis, Code::NoGenesis.weight()),
                    (_, Scope::Complete) => (Code::Gap, Weight::Invalid),
                    (_, Scope::Prefix) => (Code::Gap, Code::Gap.weight()),
                };
                let message = alloc::format!("{} artifacts before it are missing", missing - held);
                findings.weighed(code, weight, Place::Artifact(sequence), message);
            }
            next = sequence.saturating_add(1);
        }
    }

    fn check_links(&self, findings: &mut Findings) {
        let mut before: Option<&Artifact> = None;
        for artifact in &self.artifacts {
            let statement = &artifact.statement;
            let sequence = statement.sequence;
            if statement.previous.is_none() != (sequence == 0) {
                findings.add(Code::Genesis, Place::Artifact(sequence), Code::Genesis.meaning());
            } else if let Some(before) = before
                && before.statement.sequence.checked_add(1) == Some(sequence)
                && statement.previous != Some(before.hash)
            {
                let message = alloc::format!("it does not name artifact {} as its predecessor", sequence - 1);
                findings.add(Code::Chain, Place::Artifact(sequence), message);
            }
            before = Some(artifact);
        }
    }

    fn fold(&mut self, fork: Option<u64>, findings: &mut Findings) {
        let Some(first) = self.artifacts.first() else { return };
        let semantics = first.statement.semantics;
        if semantics != semantics_digest() {
            let message = alloc::format!("the rules {semantics} are unknown to this verifier");
            return findings.add(Code::Unsupported, Place::Artifact(first.statement.sequence), message);
        }
        let identity = first.statement.identity.clone();
        let mut previous = None;
        for (index, artifact) in self.artifacts.iter().enumerate() {
            let statement = &artifact.statement;
            let sequence = statement.sequence;
            let place = Place::Artifact(sequence);
            let is_next = u64::try_from(index) == Ok(sequence) && statement.previous == previous;
            if !is_next || fork == Some(sequence) || statement.identity != identity {
                return;
            }
            if statement.semantics != semantics {
                let message = "it was made under other rules than the artifacts before it";
                return findings.add(Code::Mixed, place, message);
            }
            let codes = step(&mut self.instance, artifact);
            if !codes.is_empty() {
                for code in codes {
                    findings.add(code, place.clone(), describe(code, &statement.entry.event));
                }
                return;
            }
            self.folded = self.folded.saturating_add(1);
            previous = Some(artifact.hash);
        }
    }

    /// Judges the end, if the rules were followed up to it and nothing unreadable stands behind it.
    fn check_end(&self, occupied: &BTreeSet<u64>, scope: Scope, findings: &mut Findings) {
        let (Some(instance), Some(last)) = (&self.instance, self.artifacts.last()) else { return };
        let goes_on = occupied.last().is_some_and(|at| *at > last.statement.sequence);
        if goes_on || self.folded < self.artifacts.len() {
            return;
        }
        let place = Place::Artifact(last.statement.sequence);
        match (instance.state().is_final(), scope) {
            (true, _) => {}
            (false, Scope::Complete) => findings.add(Code::Open, place.clone(), Code::Open.meaning()),
            (false, Scope::Prefix) => findings.add(Code::Prefix, place.clone(), Code::Prefix.meaning()),
        }
        if instance.state() == State::Completed && !instance.asked {
            findings.add(Code::Ungated, place, Code::Ungated.meaning());
        }
    }

    /// Returns the artifacts that the fold accepted.
    pub(super) fn lawful(&self) -> &[Artifact] {
        self.artifacts.get(..self.folded).unwrap_or_default()
    }
}

/// Sorts artifacts by place, leaving out those of other instances.
pub(super) fn arrange(
    mut artifacts: Vec<Artifact>,
    manifest: &Manifest,
    findings: &mut Findings,
) -> Vec<Artifact> {
    artifacts.sort_by_key(|artifact| (artifact.statement.sequence, artifact.hash));
    let ours = |artifact: &Artifact| artifact.statement.identity.instance == manifest.instance;
    let reference: Option<Identity> =
        artifacts.iter().find(|artifact| ours(artifact)).map(|artifact| artifact.statement.identity.clone());
    for artifact in &artifacts {
        let Identity { tenant, origin, instance, workflow } = &artifact.statement.identity;
        let differs = match &reference {
            None => Some("instance"),
            Some(reference) if *instance != reference.instance => Some("instance"),
            Some(reference) if *tenant != reference.tenant => Some("tenant"),
            Some(reference) if *origin != reference.origin => Some("log"),
            Some(reference) if *workflow != reference.workflow => Some("workflow version"),
            Some(_) => None,
        };
        if let Some(what) = differs {
            let message = alloc::format!("it is about another {what} than the rest of the bundle");
            findings.add(Code::Mixed, Place::Artifact(artifact.statement.sequence), message);
        }
    }
    artifacts.retain(|artifact| {
        reference.as_ref().is_some_and(|reference| {
            let identity = &artifact.statement.identity;
            identity.instance == reference.instance && identity.tenant == reference.tenant
        })
    });
    artifacts
}

/// Folds one artifact in, and compares the states that it claims with those that follow; returns what it breaks.
pub(super) fn step(instance: &mut Option<Instance>, artifact: &Artifact) -> Vec<Code> {
    let statement = &artifact.statement;
    let entry = &statement.entry;
    let before = instance.as_ref().map(Instance::state);
    let folded = match instance {
        None => Instance::begin(statement.identity.clone(), entry).map(|begun| *instance = Some(begun)),
        Some(instance) => instance.apply(entry, artifact.hash),
    };
    if let Err(faults) = folded {
        return faults.into_iter().filter_map(|fault| Code::parse(fault.as_str())).collect();
    }
    let after = instance.as_ref().map(Instance::state);
    let holds = statement.from_state == before && Some(statement.state) == after;
    if holds { Vec::new() } else { alloc::vec![Code::State] }
}

fn describe(code: Code, event: &Event) -> alloc::string::String {
    let mut text = event.kind().to_string();
    text.push_str(": ");
    text.push_str(code.meaning());
    text
}
