//! Keys that an issuer key lets sign for it: believed as far as the issuer is, for as long as it said.

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::container::Scope;
use gantral_evidence::delegation::KeyDelegation;
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustedKey};
use gantral_evidence::verify::Report;
use gantral_vectors::log::{Log, Logged, logged, trust_keyed};

use crate::story::*;

fn delegate() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

/// A delegation of the issuer for a day from the beginning of the story.
fn delegation() -> KeyDelegation {
    let begin = Story::begin().statements[0].entry.at;
    KeyDelegation {
        delegator: public(&issuer()).id(),
        delegate: public(&delegate()),
        tenants: None,
        origins: None,
        not_before: begin,
        not_after: begin.plus(DurationMs::from_secs(86_400)),
    }
}

/// Has the delegate sign every artifact of a bundle.
fn resign(story: &Story, files: &mut std::collections::BTreeMap<String, Vec<u8>>) {
    for (sequence, statement) in story.statements.iter().enumerate() {
        let path = gantral_evidence::bundle::artifact_path(sequence);
        files.insert(path, sign(statement, &delegate()).envelope);
    }
}

fn verify(delegation: Option<(&KeyDelegation, &SigningKey)>, trust: &Trust) -> Report {
    let story = Story::refund();
    story.verify_changed(Scope::Complete, Some(trust), |files| {
        resign(&story, files);
        if let Some((delegation, key)) = delegation {
            let bytes = delegation.signed(&key.sign(&delegation.message()).to_bytes());
            files.insert(format!("keys/{}.delegation.json", public(&delegate()).id()), bytes);
        }
    })
}

#[test]
fn a_delegate_signs_for_its_issuer() {
    let report = verify(Some((&delegation(), &issuer())), &trust());
    assert_valid(&report);
    assert_eq!(report.assurance.unwrap().signed_by, [public(&delegate()).id()]);
    assert_answer(&verify(None, &trust()), "INCONCLUSIVE", &["E_KEY_UNKNOWN"]);
}

#[test]
fn a_delegation_that_its_issuer_did_not_sign_counts_for_nothing() {
    let by_itself = verify(Some((&delegation(), &delegate())), &trust());
    assert_answer(&by_itself, "INCONCLUSIVE", &["E_KEY_UNKNOWN"]);
    let of_stranger = KeyDelegation { delegator: public(&stranger()).id(), ..delegation() };
    let by_stranger = verify(Some((&of_stranger, &stranger())), &trust());
    assert_answer(&by_stranger, "INCONCLUSIVE", &["E_KEY_UNKNOWN"]);
    let directory = TrustedKey { role: KeyRole::Directory, ..TrustedKey::issuer(public(&stranger())) };
    let pinned = Trust::new([directory], Some(Require::signed())).unwrap();
    let by_directory = verify(Some((&of_stranger, &stranger())), &pinned);
    assert_answer(&by_directory, "INCONCLUSIVE", &["E_KEY_UNKNOWN"]);
}

#[test]
fn a_delegate_signs_what_was_delegated_and_when() {
    let later = Story::begin().statements[0].entry.at.get() + 1_000;
    let cases: [(KeyDelegation, &str); 4] = [
        (
            KeyDelegation { tenants: Some(vec![TenantId::parse("other").unwrap()]), ..delegation() },
            "E_KEY_ROLE",
        ),
        (
            KeyDelegation { origins: Some(vec![LogOrigin::parse("other").unwrap()]), ..delegation() },
            "E_KEY_ROLE",
        ),
        (KeyDelegation { not_before: UnixMillis::new(later).unwrap(), ..delegation() }, "E_KEY_WINDOW"),
        (KeyDelegation { not_after: UnixMillis::new(later).unwrap(), ..delegation() }, "E_KEY_WINDOW"),
    ];
    for (delegation, code) in cases {
        assert_answer(&verify(Some((&delegation, &issuer())), &trust()), "INVALID", &[code]);
    }
}

#[test]
fn a_key_that_is_pinned_needs_no_delegation_and_gets_none() {
    let role = |role| {
        let own = TrustedKey { role, ..TrustedKey::issuer(public(&delegate())) };
        let keys = [TrustedKey::issuer(public(&issuer())), own];
        verify(Some((&delegation(), &issuer())), &Trust::new(keys, Some(Require::signed())).unwrap())
    };
    assert_valid(&role(KeyRole::Issuer));
    assert_answer(&role(KeyRole::Directory), "INVALID", &["E_KEY_ROLE"]);
}

#[test]
fn a_delegate_stands_in_the_leaf_and_falls_with_its_issuer() {
    let (story, mut log, mut places) = (Story::refund(), Log::default(), Vec::new());
    for statement in &story.statements {
        let hash = artifact_hash(&statement.encode());
        places.push(log.add(&Leaf::of_artifact(statement, hash, public(&delegate()).id())));
    }
    let told = Logged::sealed(log, story, places);
    let compromised = |from: u64| {
        let key = TrustedKey { compromised_from: Some(from), ..TrustedKey::issuer(public(&issuer())) };
        told.verify_changed(&trust_keyed(key, logged()), |files| {
            resign(&told.story, files);
            let signature = issuer().sign(&delegation().message()).to_bytes();
            let path = format!("keys/{}.delegation.json", public(&delegate()).id());
            files.insert(path, delegation().signed(&signature));
        })
    };
    let later = compromised(told.log.size());
    assert_valid(&later);
    assert_eq!(later.codes(), ["N_KEY_COMPROMISED"]);
    assert_answer(&compromised(3), "INCONCLUSIVE", &["E_KEY_COMPROMISED"]);
}
