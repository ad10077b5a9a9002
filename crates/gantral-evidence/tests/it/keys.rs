//! Whose signatures count.

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::ids::TenantId;
use gantral_evidence::container::Scope;
use gantral_evidence::dsse::{Envelope, EnvelopeSignature};
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustedKey};
use gantral_evidence::verify::Place;

use crate::story::*;

const THIRD: &str = "artifacts/000003.dsse.json";

fn trusted(key: TrustedKey) -> Trust {
    Trust::new([key], Some(Require::signed())).unwrap()
}

fn issuer_key() -> TrustedKey {
    TrustedKey::issuer(public(&issuer()))
}

/// Adds a signature to an envelope; a bad one if `of` is another message.
fn countersign(envelope: &[u8], key: &SigningKey, of: Option<&[u8]>) -> Vec<u8> {
    let mut envelope = Envelope::parse(envelope).unwrap();
    let message = of.map_or_else(|| envelope.signed_bytes(), <[u8]>::to_vec);
    let signature = key.sign(&message).to_bytes().to_vec();
    envelope.signatures.push(EnvelopeSignature { key_id: public(key).id().to_string(), signature });
    envelope.encode()
}

#[test]
fn a_changed_payload_is_invalid_and_names_the_artifact() {
    let report = Story::refund().verify_changed(Scope::Complete, Some(&trust()), |files| {
        let mut envelope = Envelope::parse(&files[THIRD]).unwrap();
        let at = envelope.payload.len() / 2;
        envelope.payload[at] ^= 1;
        files.insert(THIRD.to_owned(), envelope.encode());
    });
    assert_answer(&report, "INVALID", &["E_SIG"]);
    assert_eq!(report.findings[0].place, Place::Artifact(3));
}

#[test]
fn a_changed_last_artifact_is_invalid_too() {
    let story = Story::refund();
    let last = format!("artifacts/{:06}.dsse.json", story.statements.len() - 1);
    let report = story.verify_changed(Scope::Complete, Some(&trust()), |files| {
        let mut envelope = Envelope::parse(&files[&last]).unwrap();
        envelope.payload[9] ^= 1;
        files.insert(last, envelope.encode());
    });
    assert_answer(&report, "INVALID", &["E_SIG"]);
}

#[test]
fn a_key_that_nobody_pinned_proves_nothing() {
    let other = trusted(TrustedKey::issuer(public(&stranger())));
    assert_answer(&Story::refund().verify_under(&other), "INCONCLUSIVE", &["E_KEY_UNKNOWN"]);
}

#[test]
fn without_a_trust_file_or_a_profile_there_is_no_verdict() {
    let story = Story::refund();
    let report = story.verify_changed(Scope::Complete, None, |_| {});
    assert_answer(&report, "INCONCLUSIVE", &["E_NO_TRUST"]);
    let without = Trust::new([issuer_key()], None).unwrap();
    assert_answer(&story.verify_under(&without), "INCONCLUSIVE", &["E_NO_REQUIRE"]);
}

#[test]
fn a_key_signs_only_what_it_is_for() {
    let log = trusted(TrustedKey { role: KeyRole::Directory, ..issuer_key() });
    assert_answer(&Story::refund().verify_under(&log), "INVALID", &["E_KEY_ROLE"]);

    let tenant = |name| Some(vec![TenantId::parse(name).unwrap()]);
    assert_valid(
        &Story::refund().verify_under(&trusted(TrustedKey { tenants: tenant("acme"), ..issuer_key() })),
    );
    let elsewhere = trusted(TrustedKey { tenants: tenant("other"), ..issuer_key() });
    assert_answer(&Story::refund().verify_under(&elsewhere), "INVALID", &["E_KEY_ROLE"]);
}

#[test]
fn a_compromised_key_proves_nothing_without_a_log() {
    let compromised = trusted(TrustedKey { compromised_from: Some(1_000_000), ..issuer_key() });
    assert_answer(&Story::refund().verify_under(&compromised), "INCONCLUSIVE", &["E_KEY_COMPROMISED"]);
}

#[test]
fn a_key_with_a_window_needs_a_place_in_the_log() {
    let window = trusted(TrustedKey { valid_until: Some(1_000_000), ..issuer_key() });
    assert_answer(&Story::refund().verify_under(&window), "INCONCLUSIVE", &["E_UNLOGGED"]);
}

#[test]
fn a_second_signature_beside_a_good_one_changes_nothing() {
    let with = |key: &SigningKey, of: Option<&'static [u8]>, trust: &Trust| {
        Story::refund().verify_changed(Scope::Complete, Some(trust), |files| {
            let envelope = countersign(&files[THIRD], key, of);
            files.insert(THIRD.to_owned(), envelope);
        })
    };
    let unknown = with(&stranger(), None, &trust());
    assert_valid(&unknown);
    assert_eq!(unknown.codes(), ["N_EXTRA_SIG"]);

    let rotated = TrustedKey::issuer(public(&stranger()));
    let both = Trust::new([issuer_key(), rotated.clone()], Some(Require::signed())).unwrap();
    let good = with(&stranger(), None, &both);
    assert_valid(&good);
    assert!(good.codes().is_empty(), "{:?}", good.codes());
    let bad = with(&stranger(), Some(b"another message"), &both);
    assert_valid(&bad);
    assert_eq!(bad.codes(), ["N_UNAUTH"]);

    let log = TrustedKey { role: KeyRole::Directory, ..rotated };
    let other_role = Trust::new([issuer_key(), log], Some(Require::signed())).unwrap();
    let ignored = with(&stranger(), None, &other_role);
    assert_valid(&ignored);
    assert_eq!(ignored.codes(), ["N_EXTRA_SIG"]);
}

#[test]
fn a_bundle_cannot_bring_its_own_trust() {
    let hint = |trust: &Trust| {
        let bytes = trust.encode();
        Story::refund().verify_changed(Scope::Complete, Some(&crate::story::trust()), |files| {
            files.insert("keys/trust.json".to_owned(), bytes);
        })
    };
    let same = hint(&trust());
    assert_valid(&same);
    assert!(same.codes().is_empty(), "{:?}", same.codes());
    let other = hint(&trusted(TrustedKey::issuer(public(&stranger()))));
    assert_valid(&other);
    assert_eq!(other.codes(), ["N_TRUST_HINT"]);
}
