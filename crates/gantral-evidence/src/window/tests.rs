use alloc::vec;
use alloc::vec::Vec;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::ids::{InstanceId, LogOrigin, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;

use super::*;
use crate::delegation::{KeyDelegation, delegation_path};
use crate::dsse::{EnvelopeSignature, PAYLOAD_TYPE, pae};
use crate::keys::PublicKey;
use crate::log::tree::TreeHead;
use crate::trust::{KeyRole, Require, TrustedKey};

fn head(number: u8) -> InstanceHead {
    let instance = InstanceId::from_random([number; 16]);
    InstanceHead { instance, sequence: u64::from(number), hash: Digest::of(&[number]) }
}

fn list() -> InstanceList {
    InstanceList { instances: vec![head(1), head(2), head(3)] }
}

fn statement(list: &[u8], count: u64) -> WindowStatement {
    WindowStatement {
        tenant: TenantId::parse("acme").unwrap(),
        origin: LogOrigin::parse("acme/log").unwrap(),
        from: UnixMillis::new(1_772_355_600_000).unwrap(),
        to: UnixMillis::new(1_772_359_200_000).unwrap(),
        filter: WindowFilter {
            workflow: Some(WorkflowId::parse("refund").unwrap()),
            ..WindowFilter::default()
        },
        count,
        instances_digest: Digest::of(list),
        at: UnixMillis::new(1_772_359_200_001).unwrap(),
        anchor: None,
        blind: [7; 32],
    }
}

fn signed(statement: &WindowStatement, key: &SigningKey) -> Vec<u8> {
    let payload = statement.encode();
    let signature = key.sign(&pae(PAYLOAD_TYPE, &payload)).to_bytes().to_vec();
    let key_id = public(key).id().to_string();
    Envelope { payload, signatures: vec![EnvelopeSignature { key_id, signature }] }.encode()
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap()
}

fn issuer() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn trust(role: KeyRole) -> Trust {
    let key = TrustedKey { role, ..TrustedKey::issuer(public(&issuer())) };
    Trust::new([key], Some(Require::signed())).unwrap()
}

/// Opens a window without delegations.
fn open(statement: &[u8], list: &[u8], trust: Option<&Trust>) -> Result<Window, WindowFault> {
    Window::open(statement, Some(list), &Files::from_list([]).unwrap(), trust)
}

fn code(statement: &[u8], list: &[u8], trust: Option<&Trust>) -> Code {
    open(statement, list, trust).unwrap_err().code
}

#[test]
fn a_window_reads_back_as_it_was_signed() {
    let bytes = list().encode();
    let said = statement(&bytes, 3);
    assert_eq!(WindowStatement::decode(&said.encode()), Ok(said.clone()));
    let window = open(&signed(&said, &issuer()), &bytes, Some(&trust(KeyRole::Issuer))).unwrap();
    assert_eq!(window, Window { statement: said, list: list(), notes: Vec::new() });
}

#[test]
fn nobody_but_a_trusted_issuer_vouches_for_a_window() {
    let bytes = list().encode();
    let envelope = signed(&statement(&bytes, 3), &issuer());
    assert_eq!(code(&envelope, &bytes, None), Code::NoTrust);
    assert_eq!(code(&envelope, &bytes, Some(&trust(KeyRole::Directory))), Code::KeyRole);
    let strangers = signed(&statement(&bytes, 3), &SigningKey::from_bytes(&[2; 32]));
    assert_eq!(code(&strangers, &bytes, Some(&trust(KeyRole::Issuer))), Code::KeyUnknown);
    let mut forged = Envelope::parse(&envelope).unwrap();
    forged.payload = statement(&bytes, 4).encode();
    assert_eq!(code(&forged.encode(), &bytes, Some(&trust(KeyRole::Issuer))), Code::Sig);
}

#[test]
fn window_that_was_not_over_or_is_none_is_not_read() {
    let bytes = list().encode();
    let said = statement(&bytes, 3);
    for wrong in [
        WindowStatement { at: UnixMillis::new(said.to.get() - 1).unwrap(), ..said.clone() },
        WindowStatement { from: said.to, ..said.clone() },
    ] {
        assert_eq!(code(&signed(&wrong, &issuer()), &bytes, Some(&trust(KeyRole::Issuer))), Code::Schema);
    }
    let at_once = WindowStatement { at: said.to, ..said };
    assert!(open(&signed(&at_once, &issuer()), &bytes, Some(&trust(KeyRole::Issuer))).is_ok());
}

#[test]
fn key_that_is_not_fit_vouches_for_no_window() {
    let bytes = list().encode();
    let key = TrustedKey::issuer(public(&issuer()));
    let trusts = |key: TrustedKey| Trust::new([key], Some(Require::signed())).unwrap();
    let anchor = Some(TreeHead { size: 10, root: Digest::of(b"root") });
    let said = WindowStatement { anchor, ..statement(&bytes, 3) };
    let envelope = signed(&said, &issuer());
    let (other, own) = (TenantId::parse("other").unwrap(), TenantId::parse("acme").unwrap());
    for (key, expected) in [
        (TrustedKey { tenants: Some([other].into()), ..key.clone() }, Some(Code::KeyRole)),
        (TrustedKey { tenants: Some([own].into()), ..key.clone() }, None),
        (TrustedKey { compromised_from: Some(100), ..key.clone() }, Some(Code::KeyCompromised)),
        (TrustedKey { valid_until: Some(10), ..key.clone() }, Some(Code::KeyWindow)),
        (TrustedKey { valid_until: Some(11), ..key }, None),
    ] {
        let opened = open(&envelope, &bytes, Some(&trusts(key)));
        assert_eq!(opened.err().map(|fault| fault.code), expected);
    }
}

#[test]
fn delegate_vouches_with_its_delegation_and_while_it_lasts() {
    let (bytes, delegate) = (list().encode(), SigningKey::from_bytes(&[9; 32]));
    let said = statement(&bytes, 3);
    let envelope = signed(&said, &delegate);
    let name = delegation_path(&public(&delegate).id());
    let until = |not_after: UnixMillis| {
        let delegation = KeyDelegation {
            delegator: public(&issuer()).id(),
            delegate: public(&delegate),
            tenants: None,
            origins: None,
            not_before: said.from,
            not_after,
        };
        let signature = issuer().sign(&delegation.message()).to_bytes();
        let delegation = delegation.signed(&signature);
        let keys = Files::from_list([(name.as_str(), delegation.as_slice())]).unwrap();
        Window::open(&envelope, Some(&bytes), &keys, Some(&trust(KeyRole::Issuer)))
            .err()
            .map(|fault| fault.code)
    };
    assert_eq!(code(&envelope, &bytes, Some(&trust(KeyRole::Issuer))), Code::KeyUnknown);
    assert_eq!(until(UnixMillis::new(said.at.get() + 1).unwrap()), None);
    assert_eq!(until(said.to), Some(Code::KeyWindow));
}

#[test]
fn a_list_with_one_instance_less_is_not_the_list_that_was_signed() {
    let bytes = list().encode();
    let envelope = signed(&statement(&bytes, 3), &issuer());
    let shorter = InstanceList { instances: vec![head(1), head(2)] }.encode();
    assert_eq!(code(&envelope, &shorter, Some(&trust(KeyRole::Issuer))), Code::Container);
    let miscounted = signed(&statement(&bytes, 2), &issuer());
    assert_eq!(code(&miscounted, &bytes, Some(&trust(KeyRole::Issuer))), Code::Container);
}

#[test]
fn a_list_has_each_instance_once_and_in_one_order_only() {
    assert_eq!(InstanceList::parse(&list().encode()), Ok(list()));
    let twice = InstanceList { instances: vec![head(1), head(1)] };
    assert_eq!(InstanceList::parse(&twice.encode()), Err(ListError::Order));
    let text = String::from_utf8(list().encode()).unwrap();
    assert!(matches!(InstanceList::parse(text.replace(',', ", ").as_bytes()), Err(ListError::Json(_))));
    assert_eq!(
        InstanceList::parse(text.replace("instances/v1", "instances/v2").as_bytes()),
        Err(ListError::Format)
    );
}

#[test]
fn flipped_bit_of_a_statement_or_its_list_takes_the_vouching_away() {
    let bytes = list().encode();
    let envelope = signed(&statement(&bytes, 3), &issuer());
    let trust = trust(KeyRole::Issuer);
    assert!(open(&envelope, &bytes, Some(&trust)).is_ok());
    for (at, bit) in (0..envelope.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = envelope.clone();
        changed[at] ^= 1 << bit;
        assert!(open(&changed, &bytes, Some(&trust)).is_err(), "bit {bit} of byte {at} of the statement");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(code(&envelope, &changed, Some(&trust)), Code::Container, "byte {at} of the list");
    }
}

#[test]
fn what_changes_nothing_is_noted_beside_a_window() {
    let bytes = list().encode();
    let said = statement(&bytes, 3).encode();
    let extended = String::from_utf8(said).unwrap().replacen(r#""ext":{}"#, r#""ext":{"more":1}"#, 1);
    let payload = extended.into_bytes();
    let message = pae(PAYLOAD_TYPE, &payload);
    let by = |key: &SigningKey| EnvelopeSignature {
        key_id: public(key).id().to_string(),
        signature: key.sign(&message).to_bytes().to_vec(),
    };
    let signatures = vec![by(&issuer()), by(&SigningKey::from_bytes(&[2; 32]))];
    let envelope = Envelope { payload: payload.clone(), signatures }.encode();
    let window = open(&envelope, &bytes, Some(&trust(KeyRole::Issuer))).unwrap();
    let noted: Vec<_> = window.notes.iter().map(|note| (note.code, note.weight)).collect();
    assert_eq!(noted, [(Code::ExtraSig, Weight::Note), (Code::Ext, Weight::Note)]);
}
