use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::ids::LogOrigin;

use super::*;
use crate::dsse::{EnvelopeSignature, PAYLOAD_TYPE, pae};
use crate::keys::PublicKey;
use crate::trust::{Require, TrustedKey};

const AT: u64 = 1_772_355_600_000;

fn instant(seconds: i64) -> UnixMillis {
    UnixMillis::new(AT.checked_add_signed(seconds * 1_000).unwrap()).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn workflow() -> WorkflowId {
    WorkflowId::parse("refund").unwrap()
}

fn lease() -> ModeLease {
    ModeLease {
        tenant: tenant(),
        origin: LogOrigin::parse("acme/log").unwrap(),
        workflow: workflow(),
        mode: Mode::Shadow,
        actions: [(name("close"), Mode::Shadow), (name("refund"), Mode::Enforce)].into(),
        governance_head: None,
        at: instant(0),
        expires_at: instant(900),
        anchor: None,
        blind: [7; 32],
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap()
}

fn signed(payload: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(&pae(PAYLOAD_TYPE, &payload)).to_bytes().to_vec();
    let key_id = public(key).id().to_string();
    Envelope { payload, signatures: vec![EnvelopeSignature { key_id, signature }] }.encode()
}

fn trust(change: impl FnOnce(&mut TrustedKey)) -> Trust {
    let mut pinned = TrustedKey::issuer(public(&key(1)));
    change(&mut pinned);
    Trust::new([pinned], Some(Require::signed())).unwrap()
}

fn open(envelope: &[u8], trust: &Trust) -> Result<ModeLease, Code> {
    let none = Files::from_list([]).unwrap();
    ModeLease::open(envelope, &none, trust).map_err(|fault| fault.code)
}

fn respelled(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(lease().encode()).unwrap();
    assert!(text.contains(from), "{text}");
    signed(text.replacen(from, to, 1).into_bytes(), &key(1))
}

#[test]
fn lease_reads_back_as_it_was_written() {
    assert_eq!(open(&signed(lease().encode(), &key(1)), &trust(|_| {})), Ok(lease()));
}

#[test]
fn nobody_else_gives_a_lease() {
    let payload = lease().encode();
    assert_eq!(open(&signed(payload.clone(), &key(2)), &trust(|_| {})), Err(Code::KeyUnknown));
    let mut forged = Envelope::parse(&signed(payload.clone(), &key(1))).unwrap();
    forged.payload = ModeLease { mode: Mode::Enforce, ..lease() }.encode();
    assert_eq!(open(&forged.encode(), &trust(|_| {})), Err(Code::Sig));
    let compromised = trust(|key| key.compromised_from = Some(0));
    assert_eq!(open(&signed(payload.clone(), &key(1)), &compromised), Err(Code::KeyCompromised));
    let ended = trust(|key| key.valid_until = Some(0));
    assert_eq!(open(&signed(payload, &key(1)), &ended), Err(Code::KeyWindow));
}

#[test]
fn other_statements_and_other_shapes_are_no_lease() {
    for (from, to, code) in [
        ("mode-lease/v1", "window/v1", Code::Unsupported),
        ("\"crit\":[]", "\"crit\":[\"x\"]", Code::Crit),
        ("T09:15:00.000Z", "T09:00:00.000Z", Code::Schema),
        ("urn:gantral:tenant:acme", "urn:gantral:tenant:other", Code::Schema),
        ("\"mode\":\"SHADOW\",\"tenant_id\"", "\"mode\":\"OFF\",\"tenant_id\"", Code::Schema),
        ("\"action\":\"close\"", "\"action\":\"refund\"", Code::Schema),
    ] {
        assert_eq!(open(&respelled(from, to), &trust(|_| {})), Err(code), "{from}");
    }
    let long = ModeLease { expires_at: instant(86_401), ..lease() };
    assert_eq!(open(&signed(long.encode(), &key(1)), &trust(|_| {})), Err(Code::Schema));
}

#[test]
fn permits_what_is_observed_for_as_long_as_it_lasts() {
    let (lease, tenant, workflow) = (lease(), tenant(), workflow());
    let permits = |action: &str, at| lease.permits(&tenant, &workflow, &name(action), instant(at));
    assert_eq!(permits("close", 0), Ok(()));
    assert_eq!(permits("anything", 899), Ok(()));
    assert_eq!(permits("refund", 0), Err(NotLeased::Enforced));
    assert_eq!(permits("close", 900), Err(NotLeased::Time));
    assert_eq!(permits("close", -60), Ok(()));
    assert_eq!(permits("close", -61), Err(NotLeased::Time));
    let (other, elsewhere) = (TenantId::parse("other").unwrap(), WorkflowId::parse("other").unwrap());
    assert_eq!(lease.permits(&other, &workflow, &name("close"), instant(0)), Err(NotLeased::Other));
    assert_eq!(lease.permits(&tenant, &elsewhere, &name("close"), instant(0)), Err(NotLeased::Other));
}

#[test]
fn workflow_of_which_everything_is_enforced_observes_nothing() {
    assert!(lease().observes());
    let enforced = ModeLease { mode: Mode::Enforce, ..lease() };
    assert!(enforced.observes(), "one action is only observed");
    assert!(!ModeLease { actions: [].into(), ..enforced }.observes());
}
