//! What stands behind the decisions of humans.
//!
//! This verifier knows the development issuer, the server's word (`operator`) and the human's own authenticator (`webauthn`). Evidence that a
//! gate demanded and that cannot be checked leaves the verdict open; it is never taken for granted. Source: `spec/human.md` §5.

use gantral_core::check::is_sufficient;
use gantral_core::digest::Digest;
use gantral_core::event::{Asked, Ballot, Event, HumanRequired};
use gantral_core::state::HumanEvidence;

use super::chain::Chain;
use super::code::{Code, Weight};
use super::delegated::Delegations;
use super::demanded::{Granting, asked_for};
use super::disclosed::Opened;
use super::finding::{Findings, Place};
use super::governed::Governed;
use super::keyring::Keyring;
use super::passkeys::Passkeys;
use super::sealed::Artifact;
use crate::commitments::ballot;
use crate::container::Files;
use crate::human::{DecisionTerms, Enrolment, SignedEnrolment};
use crate::trust::Trust;

/// What decisions are checked against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) files: &'a Files<'a>,
    pub(super) trust: Option<&'a Trust>,
    pub(super) keys: &'a Keyring<'a>,
    pub(super) governed: &'a Governed,
    /// The least evidence of the workflow's definition, where that is known.
    pub(super) floor: Option<HumanEvidence>,
    /// What policy answered, where that is disclosed.
    pub(super) opened: &'a Opened,
}

/// How far the decisions of humans can be relied upon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HumanAssurance {
    /// The weakest evidence of a decision that was checked; `None` if no human decided.
    pub(super) weakest: Option<HumanEvidence>,
    /// Whether every decision was signed by a key that cannot leave its device; `None` if no human decided.
    pub(super) device_bound: Option<bool>,
}

/// A gate while it is open.
pub(super) struct OpenGate<'a> {
    /// The artifact that opened it.
    pub(super) opening: &'a Artifact,
    pub(super) asked: &'a Asked,
    pub(super) terms: DecisionTerms,
    /// The least evidence that it takes.
    pub(super) demanded: HumanEvidence,
}

/// What a decision is worth.
#[derive(Clone, Copy)]
pub(super) struct Checked {
    pub(super) evidence: HumanEvidence,
    pub(super) device_bound: bool,
}

/// The files that a decision refers to, as far as they are what they are named after.
#[derive(Default)]
pub(super) struct Referred<'a> {
    pub(super) evidence: Option<&'a [u8]>,
    pub(super) enrolment: Option<SignedEnrolment>,
}

/// Checks every decision.
pub(super) fn check(chain: &Chain, against: Against<'_>, findings: &mut Findings) -> HumanAssurance {
    let delegations = Delegations::of(against.governed);
    let passkeys = Passkeys::of(chain, against);
    let mut assurance = HumanAssurance::default();
    let mut gate: Option<OpenGate<'_>> = None;
    let mut granted = Granting::default();
    for artifact in chain.lawful() {
        let event = &artifact.statement.entry.event;
        match event {
            Event::HumanRequired(detail) => gate = Some(open(artifact, detail, against, findings)),
            Event::Consumed(detail) => granted.check(artifact, detail, against.opened, findings),
            Event::Escalated(moved) | Event::Extended(moved) => {
                if let Some(gate) = &mut gate {
                    gate.terms = gate.terms.moved(moved);
                }
            }
            _ => {}
        }
        granted.count(event);
        let (Some(ballot), Some(gate)) = (ballot(event), &gate) else { continue };
        let referred = check_files(against.files, ballot, &artifact.place(), findings);
        delegations.check(artifact, ballot, findings);
        let checked = match ballot.evidence {
            HumanEvidence::Webauthn => passkeys.check(gate, artifact, ballot, &referred, findings),
            HumanEvidence::Oidc => unchecked(gate, artifact, ballot, findings),
            HumanEvidence::Development | HumanEvidence::Operator => by_word(ballot.evidence),
        };
        assurance.count(checked);
    }
    assurance
}

/// Opens a gate, which asks for no less than the workflow's definition (H25) and policy (H26) say.
fn open<'a>(
    artifact: &'a Artifact,
    detail: &'a HumanRequired,
    against: Against<'_>,
    findings: &mut Findings,
) -> OpenGate<'a> {
    let demanded = detail.rule.required_evidence;
    if against.floor.is_some_and(|floor| !is_sufficient(demanded, floor)) {
        let message = "the gate takes weaker evidence than the definition of the workflow says";
        findings.add(Code::HumanEvidence, artifact.place(), message);
    }
    if asked_for(&detail.policy, against.opened).is_some_and(|asked| !is_sufficient(demanded, asked)) {
        let message = "the gate takes weaker evidence than policy asked for";
        findings.add(Code::HumanEvidence, artifact.place(), message);
    }
    OpenGate { opening: artifact, asked: &detail.gate, terms: DecisionTerms::of(detail), demanded }
}

/// What somebody says who is believed for it, and shows nothing.
pub(super) const fn by_word(evidence: HumanEvidence) -> Checked {
    Checked { evidence, device_bound: false }
}

/// Counts evidence that this verifier does not read as the server's word.
fn unchecked(gate: &OpenGate<'_>, artifact: &Artifact, ballot: &Ballot, findings: &mut Findings) -> Checked {
    if gate.demanded > HumanEvidence::Operator && ballot.evidence_digest.is_some() {
        let message = alloc::format!("evidence `{}` is not checked by this verifier", ballot.evidence);
        findings.add(Code::Unsupported, artifact.place(), message);
    }
    by_word(HumanEvidence::Operator)
}

impl HumanAssurance {
    fn count(&mut self, checked: Checked) {
        let Checked { evidence, device_bound } = checked;
        self.weakest = Some(self.weakest.map_or(evidence, |weakest| weakest.min(evidence)));
        self.device_bound = Some(self.device_bound.unwrap_or(true) && device_bound);
    }
}

/// Finds the files that a decision refers to (V21, V22).
fn check_files<'a>(
    files: &'a Files<'_>,
    ballot: &Ballot,
    place: &Place,
    findings: &mut Findings,
) -> Referred<'a> {
    let mut referred = Referred::default();
    match &ballot.evidence_digest {
        Some(digest) => match evidence(files, digest) {
            Some(Ok(content)) => referred.evidence = Some(content),
            Some(Err(())) => {
                let message = "evidence of the decision is not the file it is named after";
                findings.add(Code::Container, place.clone(), message);
            }
            None => findings.add(Code::EvidenceWithheld, place.clone(), Code::EvidenceWithheld.meaning()),
        },
        // An own signature or token is always a file.
        None if ballot.evidence > HumanEvidence::Operator => {
            findings.add(Code::EvidenceWithheld, place.clone(), Code::EvidenceWithheld.meaning());
        }
        None => {}
    }
    match &ballot.directory_entry {
        Some(entry) => match enrolment(files, entry) {
            Some(Ok(enrolment)) => referred.enrolment = Some(enrolment),
            Some(Err(())) => {
                let message = "a directory entry is not the file it is named after";
                findings.add(Code::Container, place.clone(), message);
            }
            None => findings.add(Code::Directory, place.clone(), Code::Directory.meaning()),
        },
        None if ballot.evidence == HumanEvidence::Webauthn => {
            let message = "the decision names no enrolment";
            findings.weighed(Code::Directory, Weight::Inconclusive, place.clone(), message);
        }
        None => {}
    }
    referred
}

/// Returns the evidence that is named after a digest, if it has it; `None` if there is no such file.
fn evidence<'a>(files: &'a Files<'_>, digest: &Digest) -> Option<Result<&'a [u8], ()>> {
    let prefix = alloc::format!("human/{digest}");
    let (_, content) = files.within(&prefix).next()?;
    Some(if Digest::of(content) == *digest { Ok(content) } else { Err(()) })
}

/// Returns the enrolment that is named after an entry, if its payload is the entry; `None` if there is no such file.
fn enrolment(files: &Files<'_>, entry: &Digest) -> Option<Result<SignedEnrolment, ()>> {
    let content = files.get(&Enrolment::path(entry))?;
    let read = SignedEnrolment::parse(content).ok().filter(|signed| signed.digest() == *entry);
    Some(read.ok_or(()))
}
