//! The bundle as files, and what it discloses.

use gantral_core::digest::CommitmentLabel;
use gantral_core::json::{Object, Value};
use gantral_core::policy::Verdict as Policy;
use gantral_core::state::Mode;
use gantral_evidence::container::{ContainerError, Scope, write_tar};
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::trust::{Require, Trust};
use gantral_evidence::verify::{Finding, Place, refuse, verify, verify_tar};

use crate::story::*;

fn disclosed(story: &Story, label: CommitmentLabel) -> Disclosure {
    story.disclosures.iter().find(|disclosure| disclosure.label == label).unwrap().clone()
}

#[test]
fn a_tar_and_its_files_have_one_report() {
    let story = Story::refund();
    let bundle = story.bundle(story.scope(), story.files());
    let files = bundle.as_files().unwrap();
    assert_eq!(verify_tar(&write_tar(&files), Some(&trust())), verify(&files, Some(&trust())));
}

#[test]
fn a_file_that_the_list_does_not_know_is_invalid() {
    let story = Story::refund();
    let mut bundle = story.bundle(story.scope(), story.files());
    bundle.insert("human/stranger", b"hello".to_vec()).unwrap();
    let report = verify(&bundle.as_files().unwrap(), Some(&trust()));
    assert_answer(&report, "INVALID", &["E_CONTAINER"]);
    assert_eq!(report.findings[0].place, Place::File("human/stranger".to_owned()));
}

#[test]
fn what_is_no_bundle_at_all_is_invalid_and_over_a_limit_unknown() {
    assert_answer(&verify_tar(b"no tar", Some(&trust())), "INVALID", &["E_CONTAINER"]);
    assert_answer(&refuse(&ContainerError::NoManifest), "INVALID", &["E_CONTAINER"]);
    assert_answer(&refuse(&ContainerError::Limit("files")), "INCONCLUSIVE", &["E_LIMIT"]);
    assert_answer(&refuse(&ContainerError::UnknownFormat), "INCONCLUSIVE", &["E_UNSUPPORTED"]);
    let climbing = ContainerError::Path { path: "../x".to_owned() };
    assert_answer(&refuse(&climbing), "INVALID", &["E_CONTAINER"]);
}

#[test]
fn a_file_that_is_no_envelope_is_invalid() {
    let report = Story::refund().verify_changed(Scope::Complete, Some(&trust()), |files| {
        files.insert("artifacts/000003.dsse.json".to_owned(), b"{}".to_vec());
    });
    assert_answer(&report, "INVALID", &["E_CONTAINER"]);
    assert_eq!(report.findings[0].place, Place::Artifact(3));
}

#[test]
fn a_definition_that_is_not_what_it_is_named_after_is_invalid() {
    let report = Story::refund().verify_changed(Scope::Complete, Some(&trust()), |files| {
        let path = files.keys().find(|path| path.starts_with("semantics/")).unwrap().clone();
        files.insert(path, b"other rules".to_vec());
    });
    assert_answer(&report, "INVALID", &["E_CONTAINER"]);
}

#[test]
fn a_changed_disclosure_is_invalid_and_names_its_label() {
    let story = Story::refund();
    let mut changed = disclosed(&story, CommitmentLabel::Justification);
    let path = Disclosure::path(&changed.commitment());
    changed.plaintext[0] ^= 1;
    let report = story.verify_changed(Scope::Complete, Some(&trust()), |files| {
        files.insert(path, changed.encode());
    });
    assert_answer(&report, "INVALID", &["E_DISCLOSURE"]);
    assert!(matches!(report.findings[0].place, Place::Label(CommitmentLabel::Justification, Some(_))));
}

#[test]
fn every_damaged_disclosure_names_its_label_and_its_file() {
    let story = Story::refund();
    let whole = story.bundle(story.scope(), story.files());
    for disclosure in &story.disclosures {
        let path = Disclosure::path(&disclosure.commitment());
        let mut damaged = whole.clone();
        let mut content = damaged.remove(&path).unwrap();
        let last = content.len() - 9;
        content[last] ^= 1;
        damaged.insert(&path, content).unwrap();
        let report = verify(&damaged.as_files().unwrap(), Some(&trust()));
        assert_answer(&report, "INVALID", &["E_CONTAINER", "E_DISCLOSURE"]);
        let found: Vec<_> = report.findings.iter().map(|finding| finding.place.clone()).collect();
        assert!(found.contains(&Place::File(path)), "{found:?}");
        let label = disclosure.label.as_str();
        let names_it = |finding: &Finding| {
            matches!(finding.place, Place::Label(found, Some(_)) if found == disclosure.label)
                || finding.message.contains(label)
        };
        assert!(report.findings.iter().any(names_it), "{label}: {:#?}", report.findings);
    }
}

#[test]
fn content_may_be_withheld_unless_it_is_required() {
    let story = Story::refund();
    let path = Disclosure::path(&disclosed(&story, CommitmentLabel::Action).commitment());
    let snapshots = trust_with(Require { snapshots: true, ..Require::signed() });
    assert_valid(&story.verify_under(&snapshots));
    let without =
        |trust: &Trust| story.verify_changed(Scope::Complete, Some(trust), |files| _ = files.remove(&path));
    let report = without(&trust());
    assert_valid(&report);
    assert_eq!(report.codes(), ["N_WITHHELD"]);
    assert_answer(&without(&snapshots), "INCONCLUSIVE", &["E_REQUIRE"]);
}

#[test]
fn a_disclosure_that_opens_nothing_is_ignored() {
    let stray =
        Disclosure { plaintext: b"stray".to_vec(), ..disclosed(&Story::refund(), CommitmentLabel::Action) };
    let report = Story::refund().verify_changed(Scope::Complete, Some(&trust()), |files| {
        files.insert(Disclosure::path(&stray.commitment()), stray.encode());
    });
    assert_valid(&report);
    assert_eq!(report.codes(), ["N_UNAUTH"]);
}

/// A story in which policy evaluated a changed input.
fn evaluated(change: impl FnOnce(&mut Object)) -> Story {
    let mut story = Story::begin();
    story.launch();
    let action = refund(20);
    let mut input = story.input(&action);
    change(&mut input);
    let (advice, context) = story.advise_on(input, Policy::Allow, None);
    story.ask_with(&action, advice, context, Mode::Enforce);
    story
}

fn set(input: &mut Object, group: &str, member: &str, value: impl Into<Value>) {
    let Some(Value::Object(mut object)) = input.remove(group) else { panic!("has `{group}`") };
    object.insert(member, value);
    input.insert(group, object);
}

#[test]
fn what_policy_evaluated_must_be_what_the_artifact_is_about() {
    assert_valid(&evaluated(|_| {}).verify());
    type Change = fn(&mut Object);
    let cases: [(&str, Change); 8] = [
        ("instance", |input| set(input, "instance", "instance_id", "00000000-0000-4000-8000-000000000000")),
        ("workflow", |input| set(input, "instance", "workflow_id", "payouts")),
        ("workflow version", |input| set(input, "instance", "workflow_version", "4")),
        ("materiality", |input| set(input, "instance", "materiality", "LOW")),
        ("policy version", |input| set(input, "policy", "policy_version_id", "00")),
        ("actor", |input| set(input, "identity", "actor_id", "somebody")),
        ("action", |input| set(input, "action", "target", "payments/customer-8")),
        ("action", |input| set(input, "action", "parameters", Object::new().with("amount", 2_u32))),
    ];
    for (what, change) in cases {
        let report = evaluated(change).verify();
        assert_answer(&report, "INVALID", &["E_INPUT_BINDING"]);
        let message = &report.findings[0].message;
        assert!(message.starts_with(&format!("the {what} that")), "{message}");
    }
}
