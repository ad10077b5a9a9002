//! Decisions that the approver's own authenticator signed: what it answered.

use gantral_core::command::Command;
use gantral_core::digest::Digest;
use gantral_core::event::{Ballot, Event, HumanRequired};
use gantral_core::ids::PersonId;
use gantral_core::policy::Verdict;
use gantral_core::state::{DecisionKind, EventKind, HumanEvidence};
use gantral_core::time::DurationMs;
use gantral_evidence::human::{Assertion, DecisionStatement, DecisionTerms, Enrolment, display_digest};
use gantral_evidence::trust::{Require, Trust, TrustedKey};

use super::guards::and;
use crate::authenticator::*;
use crate::case::{Case, FileMap, lean};
use crate::cast::*;
use crate::governance::Governance;
use crate::story::{Story, ballot_mut};
use crate::tales;

pub(super) const TWIN: &str = "620-passkey";

/// The order of P-256, so that the negative of a signature can be taken.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Person 1 of finance approves at a gate that takes passkeys only; the chain ends with it.
pub(super) fn approved() -> Story {
    let mut story = tales::approved_with(HumanEvidence::Webauthn);
    story.statements.truncate(story.position(EventKind::Approved) + 1);
    story
}

/// Requires that every decision is signed by a key that cannot leave its device.
pub(super) const fn bound() -> Require {
    let human_evidence = Some(HumanEvidence::Webauthn);
    Require { human_evidence, human_device_bound: true, ..Require::signed() }
}

/// A story whose decisions are signed, and what shows that.
pub(super) struct Scene {
    pub(super) story: Story,
    pub(super) files: FileMap,
    pub(super) governance: Governance,
    pub(super) trust: Trust,
}

impl Scene {
    /// Every vote of a story is answered by the authenticator of whoever cast it, which the directory has enrolled.
    pub(super) fn of(
        mut story: Story,
        authenticator: impl Fn(PersonId) -> Authenticator,
        change: impl Fn(&Authenticator, &mut Assertion),
    ) -> Self {
        let enrolment = |person| authenticator(person).enrolment(person);
        let mut files = answered(&mut story, enrolment, |enrolment, decision| {
            let authenticator = authenticator(enrolment.person);
            let mut assertion = authenticator.answer(enrolment.digest(), decision);
            change(&authenticator, &mut assertion);
            assertion
        });
        let mut governance = Governance::begin();
        let voters: Vec<PersonId> = voters(&story);
        for enrolment in voters.into_iter().map(enrolment) {
            files.insert(Enrolment::path(&enrolment.digest()), enrolled_by(&enrolment, &directory()));
            governance = governance.then(recorded(&enrolment));
        }
        Self { story, files, governance, trust: believing(&trust_with(Require::signed())) }
    }

    pub(super) fn under(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Returns the scene as a case, with its governance chain.
    pub(super) fn case(&self, number: u16, slug: &'static str, about: &'static str) -> Case {
        let mut files = lean(&self.story);
        files.extend(self.governance.files());
        files.extend(self.files.clone());
        Case::from_files(number, slug, about, &self.story, self.story.scope(), files).under(&self.trust)
    }
}

/// Returns whoever votes, each once.
fn voters(story: &Story) -> Vec<PersonId> {
    let mut voters = Vec::new();
    for statement in &story.statements {
        if gantral_evidence::commitments::ballot(&statement.entry.event).is_some() {
            let voter = PersonId::from_actor(&statement.entry.actor.id).unwrap();
            if !voters.contains(&voter) {
                voters.push(voter);
            }
        }
    }
    voters
}

/// The scene of [`approved`] with a key that cannot leave its device.
pub(super) fn scene(change: impl Fn(&Authenticator, &mut Assertion)) -> Scene {
    Scene::of(approved(), |_| Authenticator::device_bound(1), change)
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = good();
    cases.extend(unpinned());
    cases.extend(gates());
    cases
}

fn good() -> Vec<Case> {
    let asks = || believing(&trust_with(bound()));
    let least = Require { human_device_bound: false, ..bound() };
    let of = |story, authenticator: fn(u8) -> Authenticator, require| {
        Scene::of(story, |_| authenticator(1), |_, _| ()).under(believing(&trust_with(require)))
    };
    let number = |person: PersonId| if person == self::person(1) { 1 } else { 2 };
    let two = || Scene::of(two_persons(), |person| Authenticator::device_bound(number(person)), |_, _| ());
    let mut rejected = tales::asked(|story| story.plan(1, Vec::new()));
    rejected.evidence = HumanEvidence::Webauthn;
    rejected.decide(1, DecisionKind::Reject, None);
    vec![
        scene(|_, _| ())
            .under(asks())
            .case(620, "passkey", "The approver's own authenticator signed")
            .valid(&and([])),
        of(approved(), Authenticator::synced, least)
            .case(621, "passkey-synced", "A passkey that may be on several devices signed")
            .valid(&and([])),
        of(approved(), Authenticator::ed25519, bound())
            .case(622, "passkey-ed25519", "The authenticator signs with Ed25519")
            .valid(&and([])),
        two()
            .under(asks())
            .case(624, "passkeys-of-two", "Two persons sign, each with their own authenticator")
            .valid(&and([])),
        Scene::of(rejected, |_| Authenticator::device_bound(1), |_, _| ())
            .under(asks())
            .case(625, "passkey-to-reject", "A rejection is signed")
            .valid(&["N_WITHHELD"]),
        of(approved(), Authenticator::synced, bound())
            .case(
                626,
                "passkey-synced-where-it-must-not",
                "Keys that cannot leave their devices are required",
            )
            .inconclusive(&and(["E_HUMAN_ASSURANCE"])),
        scene(|authenticator, assertion| {
            retell(
                authenticator,
                assertion,
                "false}",
                "false,\"other_keys_can_be_added_here\":[1.5,\"\\u00fc\"]}",
            );
        })
        .case(676, "passkey-with-more-client-data", "The browser adds members")
        .valid(&and([])),
        scene(|authenticator, assertion| {
            assertion.authenticator_data[32] |= 0x80;
            assertion.authenticator_data.extend([0xa1, 0x63, b'u', b'v', b'm', 0x80]);
            authenticator.sign(assertion);
        })
        .case(677, "passkey-with-extensions", "The authenticator adds extensions")
        .valid(&and([])),
        scene(|_, assertion| assertion.signature = negated(&assertion.signature))
            .case(673, "passkey-negated", "The negative of a signature is as good")
            .valid(&and([])),
    ]
}

fn two_persons() -> Story {
    let mut story = Story::begin();
    story.evidence = HumanEvidence::Webauthn;
    story.launch();
    let plan = story.plan(2, Vec::new());
    story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
    story.decide(1, DecisionKind::Approve, None).decide(2, DecisionKind::Approve, None);
    story
}

/// What counts where the relying party does not say whom it believes.
fn unpinned() -> Vec<Case> {
    let keys = [TrustedKey::issuer(public(&issuer())), trusted_directory()];
    let directory_only = Trust::new(keys, Some(Require::signed())).unwrap();
    let mut voluntary = tales::asked(|story| story.plan(1, Vec::new()));
    voluntary.evidence = HumanEvidence::Webauthn;
    voluntary.decide(1, DecisionKind::Approve, None);
    vec![
        scene(|_, _| ())
            .under(directory_only)
            .case(627, "passkey-for-nobody", "The trust file names no relying party")
            .inconclusive(&and(["E_WEBAUTHN"])),
        scene(|_, _| ())
            .under(trust().with_relying_party(relying_party()))
            .case(628, "passkey-of-no-directory", "The trust file has no key of a directory")
            .inconclusive(&and(["E_DIRECTORY"])),
        Scene::of(voluntary, |_| Authenticator::device_bound(1), |_, _| ())
            .under(trust())
            .case(629, "passkey-unasked", "A passkey where the server's word is enough, and nobody is pinned")
            .valid(&and([])),
    ]
}

/// Changes the text of the client data, and signs it.
pub(super) fn retell(authenticator: &Authenticator, assertion: &mut Assertion, from: &str, to: &str) {
    let text = String::from_utf8(assertion.client_data.clone()).unwrap();
    assert!(text.contains(from), "the client data holds what is changed in it");
    assertion.client_data = text.replacen(from, to, 1).into_bytes();
    authenticator.sign(assertion);
}

/// Has the approval of a scene name another file of evidence.
pub(super) fn naming(mut scene: Scene, file: Vec<u8>) -> Scene {
    let digest = Digest::of(&file);
    scene.story = scene.story.retell(EventKind::Approved, |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().evidence_digest = Some(digest);
    });
    scene.files.retain(|path, _| !path.starts_with("human/"));
    scene.files.insert(Assertion::path(&digest), file);
    scene
}

/// What is signed of the gate, and of what was to be seen there.
fn gates() -> Vec<Case> {
    let extended = || {
        let mut story = Story::begin();
        story.evidence = HumanEvidence::Webauthn;
        story.launch();
        let plan = story.plan(1, Vec::new());
        story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
        let gate = story.instance.gate().unwrap().clone();
        let deadline = gate.deadline.plus(DurationMs::from_secs(600));
        let (id, gate_version) = (gate.asked.id, gate.asked.version);
        story.command(&human(1, "finance"), Command::Extend { gate: id, gate_version, deadline });
        story.decide(1, DecisionKind::Approve, None);
        Scene::of(story, |_| Authenticator::device_bound(1), |_, _| ())
    };
    // What the same approver would have signed before the gate was extended.
    let earlier = signed(&extended().story, |terms, opened, ballot| {
        ballot.gate_version = 1;
        ballot.display = display_digest(&opened.gate, 1);
        *terms = DecisionTerms::of(opened);
    });
    let mut shown = scene(|_, _| ());
    shown.story = shown.story.retell(EventKind::Approved, |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().display = Digest::of(b"something else");
    });
    let of_what_was_shown = signed(&shown.story, |_, _, _| ());
    vec![
        extended().case(656, "passkey-at-an-extended-gate", "The gate had been extended").valid(&and([])),
        naming(extended(), earlier)
            .case(657, "passkey-for-an-earlier-version", "It was signed for an earlier version of the gate")
            .invalid(&and(["E_WEBAUTHN"]), "656-passkey-at-an-extended-gate"),
        naming(shown, of_what_was_shown)
            .case(658, "passkey-for-something-else-shown", "Something else is signed to have been displayed")
            .invalid(&and(["E_DECISION"]), TWIN),
    ]
}

/// Returns what the first authenticator answers to the approval of a story, or to what `change` makes of it.
fn signed(story: &Story, change: impl FnOnce(&mut DecisionTerms, &HumanRequired, &mut Ballot)) -> Vec<u8> {
    let mut open = None;
    for statement in &story.statements {
        match &statement.entry.event {
            Event::HumanRequired(detail) => open = Some((detail.clone(), DecisionTerms::of(detail))),
            Event::Extended(moved) => open = open.map(|(detail, terms)| (detail, terms.moved(moved))),
            _ => {}
        }
    }
    let (opened, mut terms) = open.unwrap();
    let statement = &story.statements[story.position(EventKind::Approved)];
    let mut ballot = gantral_evidence::commitments::ballot(&statement.entry.event).unwrap().clone();
    change(&mut terms, &opened, &mut ballot);
    let person = PersonId::from_actor(&statement.entry.actor.id).unwrap();
    let decision = DecisionStatement { identity: &statement.identity, terms, person, ballot: &ballot };
    Authenticator::device_bound(1).answer(ballot.directory_entry.unwrap(), &decision.digest()).encode()
}

/// Returns the signature with the negative of its second number.
fn negated(signature: &[u8]) -> Vec<u8> {
    let number = |content: &[u8]| -> [u8; 32] {
        let mut padded = [0; 64];
        padded[64 - content.len()..].copy_from_slice(content);
        padded[32..].try_into().unwrap()
    };
    let end = 4 + usize::from(signature[3]);
    let (r, s) = (number(&signature[4..end]), number(&signature[end + 2..]));
    let mut negative = ORDER;
    let mut borrow = 0_i16;
    for (digit, taken) in negative.iter_mut().zip(s).rev() {
        let rest = i16::from(*digit) - i16::from(taken) - borrow;
        borrow = i16::from(rest < 0);
        *digit = rest.rem_euclid(256) as u8;
    }
    der(&[r, negative].concat())
}
