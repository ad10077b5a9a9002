//! Disclosures: which commitments are opened, which are withheld, and which openings are false.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::vec::Vec;

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::json::ParseClass;

use super::chain::Chain;
use super::code::Code;
use super::finding::{Findings, Place};
use super::governed::Governed;
use crate::commitments::commitments;
use crate::container::Files;
use crate::disclosure::{Disclosure, DisclosureError};

/// Where disclosures are.
const DIRECTORY: &str = "disclosures/";

/// What stands behind commitments, as far as it was disclosed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    disclosures: Vec<Disclosure>,
    by_commitment: BTreeMap<(CommitmentLabel, Digest), usize>,
    withheld: BTreeMap<CommitmentLabel, usize>,
    erased: BTreeMap<CommitmentLabel, usize>,
}

impl Opened {
    /// Returns the bytes behind a commitment.
    pub fn get(&self, label: CommitmentLabel, commitment: &Digest) -> Option<&[u8]> {
        let at = self.by_commitment.get(&(label, *commitment))?;
        self.disclosures.get(*at).map(|disclosure| disclosure.plaintext.as_slice())
    }

    /// Returns how many commitments of a label were erased by right, as the governance chain says: nobody can disclose them.
    pub fn erased(&self, label: CommitmentLabel) -> usize {
        self.erased.get(&label).copied().unwrap_or(0)
    }

    /// Returns how many commitments of a label were not disclosed, though they could be.
    pub fn withheld(&self, label: CommitmentLabel) -> usize {
        self.withheld.get(&label).copied().unwrap_or(0)
    }
}

/// Where each commitment first stands, for every label under which it does.
type Index = BTreeMap<Digest, BTreeMap<CommitmentLabel, u64>>;

/// Opens what the bundle discloses.
pub(super) fn open(files: &Files<'_>, chain: &Chain, governed: &Governed, findings: &mut Findings) -> Opened {
    let mut index = Index::new();
    for artifact in &chain.artifacts {
        for (label, commitment) in commitments(&artifact.statement.entry) {
            let places = index.entry(commitment).or_default();
            places.entry(label).or_insert(artifact.statement.sequence);
        }
    }
    let mut opened = Opened::default();
    for (path, content) in files.within(DIRECTORY) {
        opened.read(path, content, &index, findings);
    }
    let first = chain.artifacts.first().map(|first| first.statement.identity.instance);
    let erased = first.map(|instance| governed.erased(instance)).unwrap_or_default();
    opened.count_withheld(&index, &erased, findings);
    opened
}

impl Opened {
    fn read(&mut self, path: &str, content: &[u8], index: &Index, findings: &mut Findings) {
        let unasked = |findings: &mut Findings| {
            findings.add(
                Code::Unauth,
                Place::File(path.into()),
                "ignored: it opens no commitment of this chain",
            );
        };
        let Some(claimed) = Disclosure::commitment_of_path(path) else { return unasked(findings) };
        let places = index.get(&claimed);
        let fault = |code: Code, message: &str, findings: &mut Findings| match places {
            None => findings.add(code, Place::File(path.into()), message),
            Some(places) => {
                for (label, sequence) in places {
                    findings.add(code, Place::Label(*label, Some(*sequence)), message);
                }
            }
        };
        let disclosure = match Disclosure::parse(content) {
            Ok(disclosure) => disclosure,
            Err(error) => return fault(code_of(&error), &error.to_string(), findings),
        };
        if disclosure.commitment() != claimed {
            let label = disclosure.label.as_str();
            let message = alloc::format!("the disclosed {label} is not what was committed to");
            return fault(Code::Disclosure, &message, findings);
        }
        if places.is_some_and(|places| !places.contains_key(&disclosure.label)) {
            let message = "it was committed to as something else than it is disclosed as";
            return fault(Code::Disclosure, message, findings);
        }
        let names = names_of(&disclosure, claimed);
        if !names.iter().any(|(_, commitment)| index.contains_key(commitment)) {
            return unasked(findings);
        }
        let at = self.disclosures.len();
        self.by_commitment.extend(names.into_iter().map(|name| (name, at)));
        self.disclosures.push(disclosure);
    }

    fn count_withheld(
        &mut self,
        index: &Index,
        erased: &BTreeSet<(CommitmentLabel, Digest)>,
        findings: &mut Findings,
    ) {
        let all: BTreeSet<(CommitmentLabel, Digest)> = index
            .iter()
            .flat_map(|(commitment, places)| places.keys().map(|label| (*label, *commitment)))
            .collect();
        for label in CommitmentLabel::ALL {
            let of_label: Vec<_> = all.iter().filter(|(other, _)| *other == label).collect();
            let closed = of_label.iter().filter(|name| !self.by_commitment.contains_key(name));
            let closed: Vec<_> = closed.collect();
            let gone = closed.iter().filter(|name| erased.contains(**name)).count();
            if gone > 0 {
                self.erased.insert(label, gone);
            }
            let closed = closed.len().saturating_sub(gone);
            if closed == 0 {
                continue;
            }
            self.withheld.insert(label, closed);
            // Who somebody is stays behind its commitment unless it must be known.
            if label != CommitmentLabel::Person {
                let message = alloc::format!("{closed} of {} not disclosed", of_label.len());
                findings.add(Code::Withheld, Place::Label(label, None), message);
            }
        }
    }
}

/// Returns every commitment that a disclosure opens. The bytes that policy evaluated are the snapshot that approvers
/// are shown, so one file opens both (`spec/commitments.md` C6).
fn names_of(disclosure: &Disclosure, commitment: Digest) -> Vec<(CommitmentLabel, Digest)> {
    let twin = match disclosure.label {
        CommitmentLabel::Context => Some(CommitmentLabel::Input),
        CommitmentLabel::Input => Some(CommitmentLabel::Context),
        CommitmentLabel::Action
        | CommitmentLabel::Decision
        | CommitmentLabel::Justification
        | CommitmentLabel::Outcome
        | CommitmentLabel::Person => None,
    };
    let mut names = alloc::vec![(disclosure.label, commitment)];
    names.extend(twin.map(|label| (label, commit(label, &disclosure.salt, &disclosure.plaintext))));
    names
}

fn code_of(error: &DisclosureError) -> Code {
    match error {
        DisclosureError::Limit => Code::Limit,
        DisclosureError::Json(error) if error.kind.class() == ParseClass::Limit => Code::Limit,
        DisclosureError::Json(_) | DisclosureError::Member(_) | DisclosureError::UnknownMember => {
            Code::Disclosure
        }
    }
}
