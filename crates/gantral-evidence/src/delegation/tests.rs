use alloc::string::String;
use alloc::vec;

use ed25519_dalek::{Signer as _, SigningKey};

use super::*;

const DAY: u64 = 86_400_000;
const BEGIN: u64 = 1_700_000_000_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> PublicKey {
    PublicKey::from_bytes(key(seed).verifying_key().as_bytes()).unwrap()
}

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn origin(name: &str) -> LogOrigin {
    LogOrigin::parse(name).unwrap()
}

/// Key 1 delegates to key 2, for one tenant and a day.
fn delegation() -> KeyDelegation {
    KeyDelegation {
        delegator: public(1).id(),
        delegate: public(2),
        tenants: Some(vec![tenant("acme")]),
        origins: None,
        not_before: at(BEGIN),
        not_after: at(BEGIN + DAY),
    }
}

fn signed(delegation: &KeyDelegation, by: u8) -> Vec<u8> {
    delegation.signed(&key(by).sign(&delegation.message()).to_bytes())
}

/// Opens as somebody who believes key 1 and no other.
fn open(bytes: &[u8]) -> Result<KeyDelegation, DelegationError> {
    let known = public(1);
    KeyDelegation::open(bytes, |id| (*id == known.id()).then_some(&known))
}

/// Signs any payload as key 1 would.
fn payload_by_delegator(payload: &[u8]) -> Vec<u8> {
    let signature = key(1).sign(&pae(DELEGATION_PAYLOAD_TYPE, payload)).to_bytes().to_vec();
    let signatures = vec![EnvelopeSignature { key_id: public(1).id().to_string(), signature }];
    Envelope { payload: payload.to_vec(), signatures }.encode_typed(DELEGATION_PAYLOAD_TYPE)
}

#[test]
fn delegation_reads_back_as_it_was_signed() {
    for delegation in [
        delegation(),
        KeyDelegation { tenants: None, origins: Some(vec![origin("acme/log")]), ..delegation() },
        KeyDelegation { not_after: at(BEGIN).plus(DELEGATION_MAX), ..delegation() },
    ] {
        assert_eq!(open(&signed(&delegation, 1)), Ok(delegation));
    }
}

#[test]
fn delegation_is_only_that_of_the_key_that_signed_it() {
    assert_eq!(open(&signed(&delegation(), 3)), Err(DelegationError::Signature));
    let by_stranger = KeyDelegation { delegator: public(3).id(), ..delegation() };
    assert_eq!(open(&signed(&by_stranger, 3)), Err(DelegationError::Unknown(public(3).id())));
    // A finder that answers with another key than was asked for convinces nobody.
    let other = public(3);
    let opened = KeyDelegation::open(&signed(&delegation(), 3), |_| Some(&other));
    assert_eq!(opened, Err(DelegationError::Signature));
}

#[test]
fn delegate_delegates_nothing() {
    let further = KeyDelegation { delegator: public(2).id(), delegate: public(4), ..delegation() };
    assert_eq!(open(&signed(&further, 2)), Err(DelegationError::Unknown(public(2).id())));
    let itself = KeyDelegation { delegate: public(1), ..delegation() };
    assert_eq!(open(&signed(&itself, 1)), Err(DelegationError::Itself));
}

#[test]
fn delegation_is_short() {
    let too_long = at(BEGIN).plus(DELEGATION_MAX).plus(DurationMs::new(1));
    for not_after in [at(BEGIN), at(BEGIN - 1), too_long] {
        let delegation = KeyDelegation { not_after, ..delegation() };
        assert_eq!(open(&signed(&delegation, 1)), Err(DelegationError::Window), "{not_after:?}");
    }
}

#[test]
fn delegate_signs_for_its_tenants_and_time_only() {
    let case = |tenant_name: &str, origin_name: &str, millis: u64| {
        let limited = KeyDelegation { origins: Some(vec![origin("acme/log")]), ..delegation() };
        limited.permits(&tenant(tenant_name), &origin(origin_name), at(millis))
    };
    assert_eq!(case("acme", "acme/log", BEGIN), Ok(()));
    assert_eq!(case("acme", "acme/log", BEGIN + DAY - 1), Ok(()));
    assert_eq!(case("acme", "acme/log", BEGIN - 1), Err(NotDelegated::Time));
    assert_eq!(case("acme", "acme/log", BEGIN + DAY), Err(NotDelegated::Time));
    assert_eq!(case("other", "acme/log", BEGIN), Err(NotDelegated::Scope));
    assert_eq!(case("acme", "acme/log2", BEGIN), Err(NotDelegated::Scope));
}

#[test]
fn payload_is_closed_and_canonical() {
    let text = String::from_utf8(delegation().encode()).unwrap();
    assert!(open(&payload_by_delegator(text.as_bytes())).is_ok());
    let change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        open(&payload_by_delegator(text.replacen(from, to, 1).as_bytes())).unwrap_err()
    };
    assert!(matches!(change("{", "{ "), DelegationError::Json(_)));
    assert!(matches!(change("delegation/v1", "delegation/v2"), DelegationError::Format));
    assert!(matches!(change("{", "{\"a\":1,"), DelegationError::Field(_)));
    assert!(matches!(change("\"origins\":null,", ""), DelegationError::Field(_)));
    assert!(matches!(change("[\"acme\"]", "[7]"), DelegationError::Field(_)));
    let (id, other) = (public(2).id().to_string(), public(3).id().to_string());
    assert!(matches!(change(&id, &other), DelegationError::KeyId { .. }));
    assert!(matches!(change(&public(2).to_hex(), &"0".repeat(64)), DelegationError::Key { .. }));
}

#[test]
fn artifact_is_no_delegation_and_delegation_no_artifact() {
    let bytes = signed(&delegation(), 1);
    assert!(matches!(Envelope::parse(&bytes), Err(EnvelopeError::PayloadType(_))));
    let payload = delegation().encode();
    let signature = key(1).sign(&pae(crate::dsse::PAYLOAD_TYPE, &payload)).to_bytes().to_vec();
    let signatures = vec![EnvelopeSignature { key_id: public(1).id().to_string(), signature }];
    let artifact = Envelope { payload, signatures };
    assert!(matches!(open(&artifact.encode()), Err(DelegationError::Envelope(_))));
    // Its bytes under the other type: the signature covers the type.
    let relabelled = artifact.encode_typed(DELEGATION_PAYLOAD_TYPE);
    assert_eq!(open(&relabelled), Err(DelegationError::Signature));
}

#[test]
fn no_changed_byte_gives_another_delegation() {
    let bytes = signed(&delegation(), 1);
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        if let Ok(opened) = open(&changed) {
            assert_eq!(opened, delegation(), "byte {index}");
        }
    }
}

#[test]
fn one_more_signature_changes_nothing() {
    let envelope = Envelope::parse_typed(&signed(&delegation(), 1), DELEGATION_PAYLOAD_TYPE).unwrap();
    let bad = EnvelopeSignature { key_id: public(1).id().to_string(), signature: vec![0; 64] };
    let signatures = [vec![bad], envelope.signatures].concat();
    let more = Envelope { payload: envelope.payload, signatures }.encode_typed(DELEGATION_PAYLOAD_TYPE);
    assert_eq!(open(&more), Ok(delegation()));
}
