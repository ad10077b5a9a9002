//! On whose behalf an execution ran: the chains of its parents.

use std::collections::BTreeMap;

use gantral_core::digest::Digest;
use gantral_core::event::*;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::state::{ActorKind, EventKind};
use gantral_evidence::container::Scope;
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::TrustedKey;
use gantral_evidence::verify::{Report, Verdict};
use gantral_vectors::log::{Log, Logged, logged, trust_keyed};

use crate::story::*;

type FileMap = BTreeMap<String, Vec<u8>>;

/// Who stands further inside in a chain of requesters.
fn inner(number: u8) -> Requester {
    let id = gantral_core::ids::ActorId::parse(&format!("agent-{number}")).unwrap();
    let issuer = "https://issuer.example".to_owned();
    Requester { id, kind: ActorKind::Workload, issuer, owner: Some(person(200)) }
}

/// Gives a story another instance, and a parent at an artifact.
fn placed(mut story: Story, number: u8, parent: Option<(&Story, usize)>) -> Story {
    let instance = InstanceId::from_random([number; 16]);
    let parent = parent.map(|(story, at)| {
        let artifact_hash = artifact_hash(&story.statements[at].encode());
        (story, Parent { instance: story.instance.identity.instance, artifact_hash })
    });
    for statement in &mut story.statements {
        statement.identity.instance = instance;
        if let (Event::Created(detail), Some((above, parent))) = (&mut statement.entry.event, &parent) {
            let Event::Created(of) = &above.statements[0].entry.event else { panic!("creates") };
            detail.parent = Some(parent.clone());
            detail.requester = of.requester.iter().cloned().chain([inner(number)]).collect();
        }
    }
    story.instance.identity.instance = instance;
    story.relink();
    story
}

/// Returns the chain of a parent up to an artifact, as files.
fn above(story: &Story, last: usize) -> FileMap {
    let id = story.instance.identity.instance;
    let artifacts = story.statements.iter().take(last + 1).enumerate();
    artifacts
        .map(|(at, statement)| {
            (format!("parents/{id}/{}", artifact(at)), sign(statement, &issuer()).envelope)
        })
        .collect()
}

fn verify(child: &Story, added: FileMap) -> Report {
    // What policy evaluated names the instance; that is not what this is about.
    child.verify_changed(Scope::Complete, Some(&trust()), |files| {
        files.retain(|path, _| path.starts_with("artifacts/"));
        files.extend(added);
    })
}

fn parent() -> Story {
    placed(Story::refund(), 21, None)
}

#[test]
fn a_parent_that_is_there_and_asks_through_the_same_people_is_proved() {
    let parent = parent();
    let child = placed(Story::refund(), 22, Some((&parent, 2)));
    assert_answer(&verify(&child, FileMap::new()), "INCONCLUSIVE", &["E_REQUESTER"]);
    assert_answer(&verify(&child, above(&parent, 1)), "INCONCLUSIVE", &["E_REQUESTER"]);
    assert_valid(&verify(&child, above(&parent, 2)));
    assert_valid(&verify(&child, above(&parent, 4)));
    let mut unsigned = above(&parent, 2);
    let id = parent.instance.identity.instance;
    let forged = sign(&parent.statements[1], &stranger()).envelope;
    unsigned.insert(format!("parents/{id}/{}", artifact(1)), forged);
    assert_answer(&verify(&child, unsigned), "INCONCLUSIVE", &["E_REQUESTER"]);
}

#[test]
fn a_parent_of_a_parent_needs_proof_as_well() {
    let grandparent = parent();
    let parent = placed(Story::refund(), 22, Some((&grandparent, 1)));
    let child = placed(Story::refund(), 23, Some((&parent, 2)));
    assert_answer(&verify(&child, above(&parent, 2)), "INCONCLUSIVE", &["E_REQUESTER"]);
    let mut both = above(&parent, 2);
    both.extend(above(&grandparent, 1));
    assert_valid(&verify(&child, both));
}

#[test]
fn requesters_that_do_not_go_on_from_those_of_the_parent_are_invalid() {
    let parent = parent();
    let changed = |change: fn(&mut Created)| {
        let child = placed(Story::refund(), 22, Some((&parent, 2))).retell(EventKind::Created, |statement| {
            let Event::Created(detail) = &mut statement.entry.event else { panic!("creates") };
            change(detail);
        });
        verify(&child, above(&parent, 2))
    };
    assert_valid(&changed(|_| {}));
    assert_answer(&changed(|created| _ = created.requester.pop()), "INVALID", &["E_REQUESTER"]);
    assert_answer(&changed(|created| created.requester.reverse()), "INVALID", &["E_REQUESTER"]);
}

#[test]
fn a_chain_of_a_parent_that_contradicts_the_rules_or_the_child_is_invalid() {
    let whole = parent();
    let child = placed(Story::refund(), 22, Some((&whole, 3)));
    assert_valid(&verify(&child, above(&whole, 3)));
    // Another telling of the parent, to its end, without the artifact that the child names.
    let other = placed(Story::refund(), 21, None).retell(EventKind::Created, |statement| {
        statement.blind = [0; 32];
    });
    let last = other.statements.len() - 1;
    assert_answer(&verify(&child, above(&other, last)), "INVALID", &["E_REQUESTER"]);
    assert_answer(&verify(&child, above(&other, last - 1)), "INCONCLUSIVE", &["E_REQUESTER"]);
    let broken = placed(Story::refund(), 21, None).retell(EventKind::AttemptAssigned, |statement| {
        statement.entry.attempt = gantral_core::ids::AttemptNo(7);
    });
    assert_answer(&verify(&child, above(&broken, 3)), "INVALID", &["E_REQUESTER"]);
    let mut unlinked = above(&whole, 3);
    let id = whole.instance.identity.instance;
    let mut second = whole.statements[1].clone();
    second.previous = Some(Digest::of(b"another"));
    unlinked.insert(format!("parents/{id}/{}", artifact(1)), sign(&second, &issuer()).envelope);
    assert_answer(&verify(&child, unlinked), "INVALID", &["E_REQUESTER"]);
}

#[test]
fn a_parent_of_another_tenant_is_not_proved_and_strangers_are_ignored() {
    let mut foreign = parent();
    for statement in &mut foreign.statements {
        statement.identity.tenant = TenantId::parse("other").unwrap();
    }
    foreign.relink();
    let child = placed(Story::refund(), 22, Some((&foreign, 2)));
    assert_answer(&verify(&child, above(&foreign, 2)), "INCONCLUSIVE", &["E_REQUESTER"]);
    let report = verify(&placed(Story::refund(), 22, None), above(&parent(), 2));
    assert_valid(&report);
    assert!(report.codes().contains(&"N_UNAUTH"));
}

#[test]
fn a_parent_under_a_key_that_was_replaced_needs_its_places() {
    let parent = parent();
    let child = placed(Story::refund(), 22, Some((&parent, 1)));
    let mut log = Log::default();
    let places: Vec<u64> = parent
        .statements
        .iter()
        .take(2)
        .map(|statement| log.add(&gantral_vectors::log::leaf(statement)))
        .collect();
    let told = Logged::as_told(log, child);
    let id = parent.instance.identity.instance;
    let check = |with_proofs: bool, from: u64| {
        let key = TrustedKey { valid_from: Some(from), ..TrustedKey::issuer(public(&issuer())) };
        let mut added = above(&parent, 1);
        for (at, index) in places.iter().enumerate().filter(|_| with_proofs) {
            let proof = told.log.proof(*index, told.log.size(), &told.newest);
            let path = format!("parents/{id}/{}", gantral_evidence::bundle::proof_path(at));
            added.insert(path, proof.encode().into_bytes());
        }
        told.verify_changed(&trust_keyed(key, logged()), |files| {
            files.retain(|path, _| !path.starts_with("disclosures/"));
            files.extend(added);
        })
    };
    assert_valid(&check(true, 0));
    assert_answer(&check(false, 0), "INCONCLUSIVE", &["E_REQUESTER"]);
    assert_answer(&check(true, 1), "INCONCLUSIVE", &["E_REQUESTER"]);
}

#[test]
fn no_flipped_byte_of_the_chain_of_a_parent_stays_valid() {
    let parent = parent();
    let child = placed(Story::begin(), 22, Some((&parent, 1)));
    let files = above(&parent, 1);
    let with = |added: FileMap| {
        child.verify_changed(Scope::Prefix, Some(&trust()), |files| files.extend(added)).verdict
    };
    assert_eq!(with(files.clone()), Verdict::Valid);
    for (path, content) in &files {
        for at in (0..content.len()).step_by(29) {
            let mut damaged = files.clone();
            damaged.get_mut(path).unwrap()[at] ^= 1;
            assert_ne!(with(damaged), Verdict::Valid, "byte {at} of {path}");
        }
    }
}
