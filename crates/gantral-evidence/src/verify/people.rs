//! What stands behind the decisions of humans.
//!
//! This verifier knows the server's word (`operator`) and the development issuer. Stronger evidence that a gate
//! demanded and that it cannot check leaves the verdict open; it is never taken for granted.

use gantral_core::digest::Digest;
use gantral_core::event::{Ballot, Event};
use gantral_core::state::HumanEvidence;

use super::chain::Chain;
use super::code::Code;
use super::delegated::Delegations;
use super::finding::{Findings, Place};
use super::governed::Governed;
use crate::commitments::ballot;
use crate::container::Files;

/// Checks every decision; returns the weakest evidence that was checked, `None` if no human decided.
pub(super) fn check(
    files: &Files<'_>,
    chain: &Chain,
    governed: &Governed,
    findings: &mut Findings,
) -> Option<HumanEvidence> {
    let delegations = Delegations::of(governed);
    let mut demanded = HumanEvidence::Development;
    let mut weakest = None;
    for artifact in chain.lawful() {
        let place = Place::Artifact(artifact.statement.sequence);
        let event = &artifact.statement.entry.event;
        if let Event::HumanRequired(detail) = event {
            demanded = detail.rule.required_evidence;
        }
        let Some(ballot) = ballot(event) else { continue };
        check_files(files, ballot, &place, findings);
        delegations.check(artifact, ballot, findings);
        let checked = ballot.evidence.min(HumanEvidence::Operator);
        if demanded > checked && ballot.evidence > checked && ballot.evidence_digest.is_some() {
            let message = alloc::format!("evidence `{}` is not checked by this verifier", ballot.evidence);
            findings.add(Code::Unsupported, place, message);
        }
        weakest = Some(weakest.map_or(checked, |weakest: HumanEvidence| weakest.min(checked)));
    }
    weakest
}

fn check_files(files: &Files<'_>, ballot: &Ballot, place: &Place, findings: &mut Findings) {
    let referred = match &ballot.evidence_digest {
        Some(digest) => file_named(files, "human/", digest),
        // An own signature or token is always a file.
        None => (ballot.evidence <= HumanEvidence::Operator).then_some(true),
    };
    match referred {
        Some(true) => {}
        Some(false) => {
            findings.add(
                Code::Container,
                place.clone(),
                "evidence of the decision is not the file it is named after",
            );
        }
        None => findings.add(Code::EvidenceWithheld, place.clone(), Code::EvidenceWithheld.meaning()),
    }
    let Some(entry) = &ballot.directory_entry else { return };
    match file_named(files, "directory/", entry) {
        Some(true) => {}
        Some(false) => {
            findings.add(
                Code::Container,
                place.clone(),
                "a directory entry is not the file it is named after",
            );
        }
        None => findings.add(Code::Directory, place.clone(), Code::Directory.meaning()),
    }
}

/// Tells whether the file that is named after a digest has it; `None` if there is no such file.
fn file_named(files: &Files<'_>, directory: &str, digest: &Digest) -> Option<bool> {
    let prefix = alloc::format!("{directory}{digest}");
    files.within(&prefix).next().map(|(_, content)| Digest::of(content) == *digest)
}
