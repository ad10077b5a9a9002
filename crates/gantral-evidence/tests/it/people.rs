//! Humans at gates, and what stands behind their decisions.

use gantral_core::digest::Digest;
use gantral_core::event::*;
use gantral_core::ids::InstanceId;
use gantral_core::policy::Verdict;
use gantral_core::state::*;
use gantral_evidence::container::Scope;
use gantral_evidence::human::Enrolment;
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::Require;
use gantral_vectors::authenticator::{Authenticator, directory, enrolled_by};

use crate::story::*;

#[track_caller]
fn check(story: fn() -> Story, kind: EventKind, codes: &[&str], change: impl FnOnce(&mut Statement)) {
    assert_valid(&story().verify());
    assert_answer(&story().retell(kind, change).verify(), "INVALID", codes);
}

#[test]
fn whoever_owns_what_asked_cannot_decide() {
    check(Story::refund, EventKind::Overridden, &["E_SELF_APPROVAL"], |statement| {
        statement.entry.actor = human(200, "finance");
    });
}

#[test]
fn what_is_not_a_human_cannot_decide() {
    check(Story::refund, EventKind::Overridden, &["E_SELF_APPROVAL"], |statement| {
        statement.entry.actor = Actor { role: Some(role("finance")), ..agent() };
    });
}

#[test]
fn a_role_that_was_not_asked_cannot_decide() {
    check(Story::refund, EventKind::Overridden, &["E_QUORUM_HUMAN", "E_ROLE"], |statement| {
        statement.entry.actor = human(1, "intern");
        ballot_mut(&mut statement.entry.event).unwrap().role = role("intern");
    });
}

#[test]
fn one_person_cannot_be_two() {
    check(Story::quorum, EventKind::Approved, &["E_QUORUM_HUMAN"], |statement| {
        statement.entry.actor = human(1, "finance");
    });
}

#[test]
fn fewer_votes_than_the_sealed_rule_needs_are_invalid() {
    let mut story = Story::quorum();
    let at = story.position(EventKind::Vote);
    story.statements.remove(at);
    story.relink();
    assert_answer(&story.verify(), "INVALID", &["E_QUORUM_HUMAN"]);
}

#[test]
fn a_decision_about_another_version_of_the_gate_is_invalid() {
    check(Story::refund, EventKind::Overridden, &["E_DECISION"], |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().gate_version = 2;
    });
    check(Story::refund, EventKind::Overridden, &["E_DECISION"], |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().request_artifact_hash = Digest::of(b"another");
    });
}

#[test]
fn evidence_weaker_than_the_gate_demanded_is_invalid() {
    check(Story::refund, EventKind::Overridden, &["E_HUMAN_EVIDENCE"], |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().evidence = HumanEvidence::Development;
    });
}

#[test]
fn evidence_weaker_than_only_the_profile_asks_is_inconclusive() {
    let require = |least| Require { human_evidence: Some(least), ..Require::signed() };
    assert_valid(&Story::refund().verify_under(&trust_with(require(HumanEvidence::Operator))));
    let report = Story::refund().verify_under(&trust_with(require(HumanEvidence::Webauthn)));
    assert_answer(&report, "INCONCLUSIVE", &["E_HUMAN_ASSURANCE"]);

    let mut development = Story::begin();
    development.evidence = HumanEvidence::Development;
    development.launch();
    let plan = development.plan(1, Vec::new());
    development.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
    development.decide(1, DecisionKind::Approve, None);
    assert_valid(&development.verify());
    let report = development.verify_under(&trust_with(require(HumanEvidence::Operator)));
    assert_answer(&report, "INCONCLUSIVE", &["E_HUMAN_ASSURANCE"]);
}

#[test]
fn evidence_that_is_referred_to_must_be_there() {
    let evidence = b"a token".to_vec();
    let refer = |statement: &mut Statement| {
        ballot_mut(&mut statement.entry.event).unwrap().evidence_digest = Some(Digest::of(b"a token"));
    };
    let story = Story::refund().retell(EventKind::Overridden, refer);
    assert_answer(&story.verify(), "INCONCLUSIVE", &["E_EVIDENCE_WITHHELD"]);
    let path = format!("human/{}.jwt", Digest::of(&evidence));
    let there = |content: Vec<u8>| {
        story.verify_changed(Scope::Complete, Some(&trust()), |files| _ = files.insert(path.clone(), content))
    };
    assert_valid(&there(evidence.clone()));
    assert_answer(&there(b"another token".to_vec()), "INVALID", &["E_CONTAINER"]);
}

#[test]
fn evidence_that_this_verifier_cannot_check_leaves_the_verdict_open() {
    let mut story = Story::begin();
    story.evidence = HumanEvidence::Oidc;
    story.launch();
    let plan = story.plan(1, Vec::new());
    story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
    story.decide(1, DecisionKind::Approve, None);
    assert_answer(&story.verify(), "INCONCLUSIVE", &["E_EVIDENCE_WITHHELD"]);

    let story = story.retell(EventKind::Approved, |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().evidence_digest = Some(Digest::of(b"token"));
    });
    let report = story.verify_changed(Scope::Prefix, Some(&trust()), |files| {
        files.insert(format!("human/{}", Digest::of(b"token")), b"token".to_vec());
    });
    assert_answer(&report, "INCONCLUSIVE", &["E_UNSUPPORTED"]);
}

fn enrolment(number: u8) -> Enrolment {
    Authenticator::device_bound(number).enrolment(person(1))
}

#[test]
fn a_delegation_an_enrolment_and_a_parent_need_proof() {
    let delegated = Story::refund().retell(EventKind::Overridden, |statement| {
        let ballot = ballot_mut(&mut statement.entry.event).unwrap();
        ballot.acts_for = Some(person(9));
        ballot.delegation = Some(Digest::of(b"delegation"));
    });
    assert_answer(&delegated.verify(), "INCONCLUSIVE", &["E_GUARD"]);

    let enrolled = Story::refund().retell(EventKind::Overridden, |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().directory_entry = Some(enrolment(1).digest());
    });
    assert_answer(&enrolled.verify(), "INCONCLUSIVE", &["E_DIRECTORY"]);
    let with = |content: &Enrolment| {
        enrolled.verify_changed(Scope::Complete, Some(&trust()), |files| {
            let path = Enrolment::path(&enrolment(1).digest());
            files.insert(path, enrolled_by(content, &directory()));
        })
    };
    assert_valid(&with(&enrolment(1)));
    assert_answer(&with(&enrolment(2)), "INVALID", &["E_CONTAINER"]);

    let child = Story::refund().retell(EventKind::Created, |statement| {
        let Event::Created(created) = &mut statement.entry.event else { panic!("creates") };
        let instance = InstanceId::from_random([8; 16]);
        created.parent = Some(Parent { instance, artifact_hash: Digest::of(b"parent") });
    });
    assert_answer(&child.verify(), "INCONCLUSIVE", &["E_REQUESTER"]);
}
