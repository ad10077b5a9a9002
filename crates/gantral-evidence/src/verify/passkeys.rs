//! Decisions that a human's own authenticator signed.
//!
//! Two things must hold: the authenticator agreed to this very decision, and it was this human's before the decision was asked for. The first is
//! an assertion, the second an enrolment. Source: `spec/human.md` H8, H20.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::event::Ballot;
use gantral_core::ids::PersonId;
use gantral_core::state::HumanEvidence;

use super::chain::Chain;
use super::code::{Code, Weight};
use super::enrolled::Directory;
use super::finding::Findings;
use super::people::{Against, Checked, OpenGate, Referred, by_word};
use super::sealed::Artifact;
use crate::human::{Assertion, DecisionStatement, Enrolment, RelyingParty, display_digest};

/// What is to be said of a decision.
pub(super) type Said = Vec<(Code, Weight, String)>;

/// Whom a relying party believes about authenticators, as far as it says.
pub(super) struct Passkeys<'a> {
    relying_party: Option<&'a RelyingParty>,
    directory: Option<Directory<'a>>,
}

impl<'a> Passkeys<'a> {
    pub(super) fn of(chain: &Chain, against: Against<'a>) -> Self {
        let relying_party = against.trust.and_then(|trust| trust.relying_party.as_ref());
        Self { relying_party, directory: Directory::of(chain, against) }
    }

    /// Judges a decision by `webauthn`; returns what it counts as.
    pub(super) fn check(
        &self,
        gate: &OpenGate<'_>,
        artifact: &Artifact,
        ballot: &Ballot,
        referred: &Referred<'_>,
        findings: &mut Findings,
    ) -> Checked {
        let (Some(relying_party), Some(directory)) = (self.relying_party, &self.directory) else {
            self.say_what_is_not_pinned(gate, artifact, findings);
            return by_word(HumanEvidence::Operator);
        };
        let mut said = check_display(gate, ballot);
        let enrolment = referred.enrolment.as_ref().and_then(|signed| {
            let found = directory.check(signed, gate, artifact);
            said.extend(found.said);
            found.enrolment
        });
        if let (Some(evidence), Some(enrolment)) = (referred.evidence, &enrolment) {
            said.extend(check_assertion(evidence, enrolment, relying_party, gate, artifact, ballot));
        }
        let holds = said.iter().all(|(_, weight, _)| *weight == Weight::Note);
        for (code, weight, message) in said {
            findings.weighed(code, weight, artifact.place(), message);
        }
        match enrolment.filter(|_| holds && referred.evidence.is_some()) {
            Some(enrolment) => {
                Checked { evidence: HumanEvidence::Webauthn, device_bound: !enrolment.backup_eligible }
            }
            None => by_word(HumanEvidence::Operator),
        }
    }

    /// Where nobody says whom to believe, an assertion shows no more than the server's word does.
    fn say_what_is_not_pinned(&self, gate: &OpenGate<'_>, artifact: &Artifact, findings: &mut Findings) {
        if gate.demanded <= HumanEvidence::Operator {
            return;
        }
        let mut lacks = |code, message| {
            findings.weighed(code, Weight::Inconclusive, artifact.place(), message);
        };
        if self.relying_party.is_none() {
            lacks(Code::Webauthn, "the trust file names no relying party for which authenticators sign");
        }
        if self.directory.is_none() {
            lacks(
                Code::Directory,
                "the trust file has no key of a directory that speaks for this tenant and log",
            );
        }
    }
}

/// Compares what the ballot says was there to be displayed with the gate.
fn check_display(gate: &OpenGate<'_>, ballot: &Ballot) -> Said {
    if ballot.display == display_digest(gate.asked, ballot.gate_version) {
        return Vec::new();
    }
    alloc::vec![(Code::Decision, Weight::Invalid, "the display digest is not that of the gate".into())]
}

fn check_assertion(
    evidence: &[u8],
    enrolment: &Enrolment,
    relying_party: &RelyingParty,
    gate: &OpenGate<'_>,
    artifact: &Artifact,
    ballot: &Ballot,
) -> Said {
    let wrong = |message: String| alloc::vec![(Code::Webauthn, Weight::Invalid, message)];
    let entry = &artifact.statement.entry;
    let Some(person) = PersonId::from_actor(&entry.actor.id) else {
        return wrong("whoever decided is nobody who could have an authenticator".into());
    };
    let assertion = match Assertion::parse(evidence) {
        Ok(assertion) => assertion,
        Err(error) => return wrong(error.to_string()),
    };
    let identity = &artifact.statement.identity;
    let decision = DecisionStatement { identity, terms: gate.terms, person, ballot };
    match assertion.check(enrolment, relying_party, &decision.digest()) {
        Ok(()) => Vec::new(),
        Err(fault) => wrong(fault.to_string()),
    }
}
