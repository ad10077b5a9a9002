//! Decisions that the approver's own authenticator signed, and what whoever has the server's keys can make of them.

use std::collections::BTreeMap;

use gantral_core::digest::Digest;
use gantral_core::event::{Ballot, Event};
use gantral_core::state::{EventKind, HumanEvidence};
use gantral_evidence::bundle::BundleWriter;
use gantral_evidence::container::Scope;
use gantral_evidence::human::{Assertion, Enrolment};
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::trust::{Require, Trust};
use gantral_evidence::verify::{Report, Verdict, verify_tar};
use gantral_vectors::authenticator::*;
use gantral_vectors::governance::Governance;
use gantral_vectors::tales;

use crate::story::*;

/// An approval by person 1 at a gate that takes passkeys only, and every file that shows it.
struct Approval {
    story: Story,
    files: BTreeMap<String, Vec<u8>>,
}

fn approval(authenticator: fn(u8) -> Authenticator) -> Approval {
    let mut story = tales::approved_with(HumanEvidence::Webauthn);
    let enrolment = authenticator(1).enrolment(person(1));
    let mut files = answered(
        &mut story,
        |_| enrolment.clone(),
        |enrolment, decision| authenticator(1).answer(enrolment.digest(), decision),
    );
    files.insert(Enrolment::path(&enrolment.digest()), enrolled_by(&enrolment, &directory()));
    files.extend(Governance::begin().then(recorded(&enrolment)).files());
    Approval { story, files }
}

/// A relying party that pins the directory, and requires passkeys.
fn requiring(human_device_bound: bool) -> Trust {
    let human_evidence = Some(HumanEvidence::Webauthn);
    believing(&trust_with(Require { human_evidence, human_device_bound, ..Require::signed() }))
}

impl Approval {
    fn verify(&self, trust: &Trust) -> Report {
        let files = self.files.clone();
        self.story.verify_changed(Scope::Prefix, Some(trust), |all| all.extend(files))
    }

    /// Has whoever holds the issuer's key seal another ballot.
    fn resealed(mut self, change: impl FnOnce(&mut Ballot)) -> Self {
        self.story = self.story.retell(EventKind::Approved, |statement| {
            change(ballot_mut(&mut statement.entry.event).unwrap());
        });
        self
    }

    /// Has them seal another file of evidence.
    fn with_evidence(mut self, file: Vec<u8>) -> Self {
        let digest = Digest::of(&file);
        self.files.retain(|path, _| !path.starts_with("human/"));
        self.files.insert(Assertion::path(&digest), file);
        self.resealed(|ballot| ballot.evidence_digest = Some(digest))
    }

    fn evidence(&self) -> Vec<u8> {
        self.files.iter().find(|(path, _)| path.starts_with("human/")).unwrap().1.clone()
    }
}

#[test]
fn what_the_approvers_own_device_signed_is_said_to_be_that_and_whether_its_key_can_leave_it() {
    let bound = approval(Authenticator::device_bound).verify(&requiring(true));
    assert_valid(&bound);
    let said = "the approver's own device signed the decision, with a key that cannot leave it";
    assert!(to_text(&bound).contains(said), "{}", to_text(&bound));
    assert!(!to_text(&bound).contains("the server vouches"), "{}", to_text(&bound));

    let synced = approval(Authenticator::synced);
    let report = synced.verify(&requiring(false));
    assert_valid(&report);
    let said = "with a passkey that may be on other devices of theirs";
    assert!(to_text(&report).contains(said), "{}", to_text(&report));
    let json = String::from_utf8(to_json(&report)).unwrap();
    assert!(json.contains("\"human_device_bound\":false,\"human_evidence\":\"webauthn\""), "{json}");
    assert_answer(&synced.verify(&requiring(true)), "INCONCLUSIVE", &["E_HUMAN_ASSURANCE"]);
}

#[test]
fn evidence_that_is_not_judged_is_never_said_to_be_the_humans_own() {
    for (trust, codes) in [
        (trust(), vec!["E_DIRECTORY", "E_WEBAUTHN"]),
        (trust().with_relying_party(relying_party()), vec!["E_DIRECTORY"]),
    ] {
        let report = approval(Authenticator::device_bound).verify(&trust);
        assert_answer(&report, "INCONCLUSIVE", &codes);
        let text = to_text(&report);
        assert!(
            text.contains("the server vouches for who decided") && !text.contains("own device"),
            "{text}"
        );
    }
}

#[test]
fn who_stole_the_servers_key_forges_no_approval_of_a_workflow_that_takes_passkeys() {
    let thief = || Authenticator::device_bound(9);
    let whole = || approval(Authenticator::device_bound);
    let answered_by = |authenticator: &Authenticator| {
        let approval = whole();
        let mut assertion = Assertion::parse(&approval.evidence()).unwrap();
        authenticator.sign(&mut assertion);
        approval.with_evidence(assertion.encode())
    };
    // Everything is sealed anew but what the human signed.
    let otherwise = whole().resealed(|ballot| ballot.justification = Some(Digest::of(b"another reason")));
    // An authenticator of their own, recorded on the governance chain, and enrolled by a key that they hold.
    let of_own = |key| {
        let mut story = tales::approved_with(HumanEvidence::Webauthn);
        let enrolment = thief().enrolment(person(1));
        let mut files = answered(
            &mut story,
            |_| enrolment.clone(),
            |enrolment, decision| thief().answer(enrolment.digest(), decision),
        );
        files.insert(Enrolment::path(&enrolment.digest()), enrolled_by(&enrolment, key));
        files.extend(Governance::begin().then(recorded(&enrolment)).files());
        Approval { story, files }
    };
    let mut asks_less = whole().resealed(|ballot| ballot.evidence = HumanEvidence::Operator);
    for statement in &mut asks_less.story.statements {
        if let Event::HumanRequired(detail) = &mut statement.entry.event {
            detail.rule.required_evidence = HumanEvidence::Operator;
        }
    }
    asks_less.story.relink();
    for (what, forgery, verdict, code) in [
        ("signs by themselves", answered_by(&thief()), "INVALID", "E_WEBAUTHN"),
        ("uses a signature for something else", otherwise, "INVALID", "E_WEBAUTHN"),
        ("enrols themselves", of_own(&issuer()), "INVALID", "E_KEY_ROLE"),
        ("has a directory of their own", of_own(&stranger()), "INVALID", "E_DIRECTORY"),
        (
            "says that the server's word is enough",
            whole().resealed(|ballot| ballot.evidence = HumanEvidence::Operator),
            "INVALID",
            "E_HUMAN_EVIDENCE",
        ),
        // Without the definition of the workflow nothing contradicts this; with it, see vector 669.
        ("opens a gate that takes less", asks_less, "INCONCLUSIVE", "E_HUMAN_ASSURANCE"),
    ] {
        let report = forgery.verify(&requiring(false));
        let (found, codes) = answer(&report);
        assert!(found == verdict && codes.contains(&code), "{what}: {found} {codes:?}");
    }
}

/// A part of what an authenticator answers.
type Part = fn(&mut Assertion) -> &mut Vec<u8>;

#[test]
fn no_bit_of_what_an_authenticator_answered_can_be_sealed_otherwise() {
    let trust = requiring(false);
    let file = approval(Authenticator::device_bound).evidence();
    let assertion = Assertion::parse(&file).unwrap();
    let parts: [(Part, usize, usize); 3] = [
        (|assertion| &mut assertion.authenticator_data, assertion.authenticator_data.len(), 1),
        (|assertion| &mut assertion.client_data, assertion.client_data.len(), 5),
        (|assertion| &mut assertion.signature, assertion.signature.len(), 3),
    ];
    for (part, length, step) in parts {
        for at in (0..length).step_by(step) {
            let mut forged = assertion.clone();
            part(&mut forged)[at] ^= 1 << (at % 8);
            let report = approval(Authenticator::device_bound).with_evidence(forged.encode()).verify(&trust);
            assert_eq!(report.verdict, Verdict::Invalid, "bit of byte {at}: {:?}", report.codes());
        }
    }
}

#[test]
fn no_flipped_byte_of_an_assertion_or_an_enrolment_stays_valid_with_the_same_assurance() {
    let (trust, approval) = (requiring(true), approval(Authenticator::device_bound));
    let whole = approval.verify(&trust);
    assert_valid(&whole);
    let evidence = approval.files.iter().filter(|(path, _)| !path.starts_with("governance/"));
    for (path, content) in evidence {
        for at in (0..content.len()).step_by(3) {
            let mut damaged = Approval { story: Story::begin(), files: approval.files.clone() };
            damaged.files.get_mut(path).unwrap()[at] ^= 1;
            let files = damaged.files;
            let report = approval.story.verify_changed(Scope::Prefix, Some(&trust), |all| all.extend(files));
            let same = report.verdict == Verdict::Valid && report.assurance == whole.assurance;
            assert!(!same, "byte {at} of {path}: {:?}", report.codes());
        }
    }
}

#[test]
fn a_bundle_from_the_writer_holds_what_shows_a_passkey() {
    let approval = approval(Authenticator::device_bound);
    let mut writer = BundleWriter::new(approval.story.instance.identity.instance).unwrap();
    for statement in &approval.story.statements {
        writer.artifact(sign(statement, &issuer()).envelope).unwrap();
    }
    let governance = |(path, _): &(&String, &Vec<u8>)| path.starts_with("governance/");
    for (_, envelope) in approval.files.iter().filter(governance) {
        writer.governance(envelope.clone()).unwrap();
    }
    let enrolment = Authenticator::device_bound(1).enrolment(person(1));
    writer.assertion(approval.evidence()).unwrap();
    writer.enrolment(&enrolment.digest(), enrolled_by(&enrolment, &directory())).unwrap();
    let tar = writer.finish_tar(Scope::Prefix).unwrap();
    assert_valid(&verify_tar(&tar, Some(&requiring(true))));
}
