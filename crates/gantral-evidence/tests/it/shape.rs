//! The form of what is signed, and of the chain.

use std::collections::BTreeMap;

use ed25519_dalek::Signer as _;
use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::state::EventKind;
use gantral_evidence::container::Scope;
use gantral_evidence::dsse::{Envelope, EnvelopeSignature, PAYLOAD_TYPE, pae};
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::Require;
use gantral_evidence::verify::{Report, Verdict};

use crate::story::*;

fn path(sequence: usize) -> String {
    format!("artifacts/{sequence:06}.dsse.json")
}

fn envelope(payload: Vec<u8>) -> Vec<u8> {
    let key = issuer();
    let signature = key.sign(&pae(PAYLOAD_TYPE, &payload)).to_bytes().to_vec();
    let signatures = vec![EnvelopeSignature { key_id: public(&key).id().to_string(), signature }];
    Envelope { payload, signatures }.encode()
}

/// Signs the last payload anew after its text was changed.
fn respelled(from: &str, to: &str) -> Report {
    let story = Story::allowed();
    assert_valid(&story.verify());
    let last = path(story.statements.len() - 1);
    story.verify_changed(story.scope(), Some(&trust()), |files| {
        let payload = String::from_utf8(Envelope::parse(&files[&last]).unwrap().payload).unwrap();
        assert!(payload.contains(from), "{payload}");
        files.insert(last, envelope(payload.replacen(from, to, 1).into_bytes()));
    })
}

fn changed(story: &Story, scope: Scope, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Report {
    story.verify_changed(scope, Some(&trust()), change)
}

#[test]
fn the_stories_are_valid_and_say_so() {
    for story in [Story::refund(), Story::allowed(), Story::quorum(), Story::timed_out()] {
        let report = story.verify();
        assert_valid(&report);
        assert!(report.codes().is_empty(), "{:?}", report.codes());
        assert_eq!(report.timeline.len(), story.statements.len());
    }
}

#[test]
fn signed_bytes_in_another_spelling_are_invalid() {
    for (from, to) in [
        ("\"crit\":[]", "\"crit\": []"),
        ("\"crit\":[]", "\"crit\":[],\"crit\":[]"),
        ("\"attempt\":1", "\"attempt\":1.0"),
        ("\"attempt\":1", "\"attempt\":1e0"),
        ("\"attempt\":1", "\"attempt\":-0"),
        ("\"attempt\":1", "\"attempt\":9007199254740992"),
        ("\"event\"", "\"\\u0065vent\""),
    ] {
        assert_answer(&respelled(from, to), "INVALID", &["E_NONCANONICAL"]);
    }
}

#[test]
fn signed_text_that_hides_something_is_invalid() {
    assert_answer(&respelled("\"runner-1\"", "\"runnеr-1\""), "INVALID", &["E_UNICODE"]);
    assert_answer(&respelled("\"runner-1\"", "\"runner\u{202e}-1\""), "INVALID", &["E_UNICODE"]);
}

#[test]
fn members_that_are_missing_unknown_or_of_the_wrong_type_are_invalid() {
    for (from, to) in [
        ("\"anchor\":null,", ""),
        ("\"crit\":[]", "\"crit\":{}"),
        ("\"ext\":{}", "\"extra\":1"),
        ("\"mode\":\"ENFORCE\"", "\"mode\":\"enforce\""),
        ("\"tenant_id\":\"acme\"", "\"tenant_id\":\"acne\""),
    ] {
        assert_answer(&respelled(from, to), "INVALID", &["E_SCHEMA"]);
    }
    assert_answer(&respelled("\"cause\":null", "\"cause\":\"failed\""), "INVALID", &["E_MATRIX"]);
}

#[test]
fn a_gating_event_without_policy_is_invalid() {
    let story = Story::allowed();
    let at = path(story.position(EventKind::Allowed));
    let report = changed(&story, Scope::Complete, |files| {
        let payload = String::from_utf8(Envelope::parse(&files[&at]).unwrap().payload).unwrap();
        let start = payload.find("\"policy\":{").unwrap();
        let end = start + payload[start..].find('}').unwrap();
        let without = format!("{}\"policy\":null{}", &payload[..start], &payload[end + 1..]);
        files.insert(at, envelope(without.into_bytes()));
    });
    assert_answer(&report, "INVALID", &["E_NO_POLICY"]);
}

#[test]
fn what_a_later_version_says_is_unknown_and_not_wrong() {
    for (from, to) in [
        ("\"artifact_version\":\"1.0\"", "\"artifact_version\":\"2.0\""),
        ("Statement/v1", "Statement/v2"),
        ("commitment/v1", "commitment/v2"),
    ] {
        assert_answer(&respelled(from, to), "INCONCLUSIVE", &["E_UNSUPPORTED"]);
    }
    let mut other_rules = Story::allowed();
    for statement in &mut other_rules.statements {
        statement.semantics = Digest::of(b"later rules");
    }
    other_rules.relink();
    assert_answer(&other_rules.verify(), "INCONCLUSIVE", &["E_UNSUPPORTED"]);
}

#[test]
fn a_critical_extension_is_unknown_and_another_is_ignored() {
    assert_answer(&respelled("\"crit\":[]", "\"crit\":[\"x\"]"), "INCONCLUSIVE", &["E_CRIT"]);
    let ignored = respelled("\"ext\":{}", "\"ext\":{\"x\":1}");
    assert_valid(&ignored);
    assert_eq!(ignored.codes(), ["N_EXT"]);
}

#[test]
fn a_payload_over_its_limit_is_unknown() {
    let story = Story::allowed();
    let report = changed(&story, Scope::Complete, |files| {
        files.insert(path(story.statements.len() - 1), envelope(vec![b' '; (64 << 10) + 1]));
    });
    assert_answer(&report, "INCONCLUSIVE", &["E_LIMIT"]);
}

#[test]
fn a_chain_is_linked_by_hash() {
    let mut story = Story::allowed();
    let at = story.statements.len() - 1;
    story.statements[at].previous = Some(Digest::of(b"another"));
    assert_answer(&story.verify(), "INVALID", &["E_CHAIN"]);

    let mut rootless = Story::allowed();
    rootless.statements[at].previous = None;
    assert_answer(&rootless.verify(), "INVALID", &["E_GENESIS"]);
    let mut rooted = Story::allowed();
    rooted.statements[0].previous = Some(Digest::of(b"another"));
    assert_answer(&rooted.verify(), "INVALID", &["E_CHAIN", "E_GENESIS"]);
}

#[test]
fn a_missing_beginning_and_a_gap_are_not_overlooked() {
    let story = Story::allowed();
    let without =
        |scope, sequence: usize| changed(&story, scope, |files| _ = files.remove(&path(sequence)).unwrap());
    assert_answer(&without(Scope::Complete, 0), "INCONCLUSIVE", &["E_NO_GENESIS"]);
    assert_answer(&without(Scope::Prefix, 3), "INCONCLUSIVE", &["E_GAP"]);
    assert_answer(&without(Scope::Complete, 3), "INVALID", &["E_GAP"]);
}

#[test]
fn a_cut_tail_is_open_and_a_prefix_is_valid() {
    let story = Story::allowed();
    let last = story.statements.len() - 1;
    let cut = |scope| changed(&story, scope, |files| _ = files.remove(&path(last)).unwrap());
    assert_answer(&cut(Scope::Complete), "INCONCLUSIVE", &["E_OPEN"]);
    let prefix = cut(Scope::Prefix);
    assert_valid(&prefix);
    assert_eq!(prefix.codes(), ["N_PREFIX"]);
}

#[test]
fn two_signed_artifacts_for_one_place_are_a_fork() {
    let story = Story::allowed();
    let mut other = story.statements[3].clone();
    other.blind = [9; 32];
    let forked = changed(&story, Scope::Complete, |files| {
        files.insert("artifacts/fork.dsse.json".to_owned(), sign(&other, &issuer()).envelope);
    });
    assert_answer(&forked, "INVALID", &["E_FORK"]);

    let same = changed(&story, Scope::Complete, |files| {
        let copy = files[&path(3)].clone();
        files.insert("artifacts/copy.dsse.json".to_owned(), copy);
    });
    assert_valid(&same);
    assert_eq!(same.codes(), ["N_DUP"]);
}

#[test]
fn a_strangers_file_never_displaces_an_authentic_one() {
    let story = Story::allowed();
    let mut other = story.statements[3].clone();
    other.blind = [9; 32];
    let report = changed(&story, Scope::Complete, |files| {
        files.insert("artifacts/a.dsse.json".to_owned(), sign(&other, &stranger()).envelope);
        let mut forged = Envelope::parse(&sign(&other, &issuer()).envelope).unwrap();
        forged.signatures[0].signature[5] ^= 1;
        files.insert("artifacts/b.dsse.json".to_owned(), forged.encode());
        let mut after = story.statements.last().unwrap().clone();
        after.sequence += 1;
        files.insert("artifacts/c.dsse.json".to_owned(), sign(&after, &stranger()).envelope);
    });
    assert_valid(&report);
    assert_eq!(report.codes(), ["N_UNAUTH"]);
    assert_eq!(report.findings.len(), 3);
    assert_eq!(report.assurance, story.verify().assurance);
}

#[test]
fn artifacts_of_other_executions_do_not_mix() {
    let story = Story::allowed();
    let mixed = |change: fn(&mut Statement)| {
        let mut other = story.statements[3].clone();
        change(&mut other);
        changed(&story, Scope::Complete, |files| {
            files.insert("artifacts/other.dsse.json".to_owned(), sign(&other, &issuer()).envelope);
        })
    };
    let instance = mixed(|other| other.identity.instance = InstanceId::from_random([8; 16]));
    assert_answer(&instance, "INVALID", &["E_MIXED"]);
    let tenant = mixed(|other| other.identity.tenant = TenantId::parse("other").unwrap());
    assert_answer(&tenant, "INVALID", &["E_MIXED"]);
    let mut version = Story::allowed();
    version.statements.last_mut().unwrap().identity.workflow.digest = Digest::of(b"another version");
    assert_answer(&version.verify(), "INVALID", &["E_MIXED"]);
    let mut rules = Story::allowed();
    rules.statements.last_mut().unwrap().semantics = Digest::of(b"other rules");
    assert_answer(&rules.verify(), "INVALID", &["E_MIXED"]);
}

#[test]
fn a_bundle_without_artifacts_proves_nothing() {
    let report = changed(&Story::allowed(), Scope::Complete, |files| {
        files.retain(|path, _| !path.starts_with("artifacts/"));
        files.retain(|path, _| !path.starts_with("disclosures/"));
    });
    assert_answer(&report, "INCONCLUSIVE", &["E_EMPTY"]);
    assert_eq!(report.assurance, None);
}

#[test]
fn an_execution_that_never_asked_is_valid_and_says_so() {
    let mut story = Story::begin();
    story.launch().exit(0);
    let report = story.verify();
    assert_valid(&report);
    assert_eq!(report.codes(), ["N_UNGATED"]);
}

#[test]
fn what_the_profile_requires_and_the_bundle_lacks_is_inconclusive() {
    let signed = Require::signed();
    let under = |story: &Story, require| story.verify_under(&trust_with(require));
    let whole = Story::refund();
    let complete = Require { scope: Scope::Complete, enforced: true, snapshots: true, ..signed };
    assert_valid(&under(&whole, complete));

    let mut by_itself = Story::begin();
    by_itself.executor = gantral_core::state::ExecutorKind::SelfExecuted;
    by_itself.launch().ask(&refund(20), gantral_core::policy::Verdict::Allow, None).act(&refund(20));
    assert_valid(&under(&by_itself, signed));
    assert_answer(&under(&by_itself, complete), "INCONCLUSIVE", &["E_REQUIRE"]);

    for (require, code) in [
        (Require { logged: true, ..signed }, "E_UNLOGGED"),
        (Require { witnessed: 1, ..signed }, "E_REQUIRE"),
        (Require { complete: true, ..signed }, "E_COMPLETENESS_UNPROVED"),
    ] {
        assert_answer(&under(&whole, require), "INCONCLUSIVE", &[code]);
    }
}

#[test]
fn equal_inputs_give_equal_bytes() {
    for story in [Story::refund, Story::allowed, Story::quorum, Story::timed_out] {
        assert_eq!(story().files(), story().files());
    }
}

#[test]
fn the_verdict_is_the_same_every_time() {
    let story = Story::refund();
    let (once, again) = (story.verify(), story.verify());
    assert_eq!(once, again);
    assert_eq!(once.verdict, Verdict::Valid);
}
