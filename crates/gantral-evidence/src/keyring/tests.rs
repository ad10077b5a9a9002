use ed25519_dalek::{Signer as _, SigningKey};

use super::*;

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

fn origin() -> LogOrigin {
    LogOrigin::parse("log.example/acme").unwrap()
}

/// Keys 1 and 2 are issuers, the second for one tenant; key 3 is a directory.
fn trust() -> Trust {
    let narrow = TrustedKey { tenants: Some(alloc::vec![tenant("acme")]), ..TrustedKey::issuer(public(2)) };
    let directory = TrustedKey { role: KeyRole::Directory, ..TrustedKey::issuer(public(3)) };
    Trust::new([TrustedKey::issuer(public(1)), narrow, directory], None).unwrap()
}

/// One key delegates to another for a second.
fn delegation(by: u8, to: u8) -> alloc::vec::Vec<u8> {
    let (delegator, delegate) = (public(by).id(), public(to));
    let (not_before, not_after) = (at(BEGIN), at(BEGIN + 1_000));
    let delegation =
        KeyDelegation { delegator, delegate, tenants: None, origins: None, not_before, not_after };
    delegation.signed(&key(by).sign(&delegation.message()).to_bytes())
}

fn pinned(ring: &Keyring<'_>, seed: u8) -> Option<KeyId> {
    let known = ring.known(&alloc::format!("{}", public(seed).id()))?;
    assert_eq!(known.key, &public(seed));
    Some(known.pinned.key.id())
}

#[test]
fn a_delegate_is_believed_under_the_limits_of_its_delegator() {
    let trust = trust();
    let mut ring = Keyring::new(&trust);
    assert!(ring.add(&delegation(2, 9), |_, _| true));
    assert_eq!(pinned(&ring, 9), Some(public(2).id()));
    let known = ring.known(&alloc::format!("{}", public(9).id())).unwrap();
    let permits = |name: &str, millis| known.permits(&tenant(name), &origin(), at(millis));
    assert_eq!(permits("acme", BEGIN), Ok(()));
    assert_eq!(permits("acme", BEGIN + 1_000), Err(NotPermitted::Delegated(NotDelegated::Time)));
    assert_eq!(permits("other", BEGIN), Err(NotPermitted::Pinned));
    let known = ring.known(&alloc::format!("{}", public(1).id())).unwrap();
    assert_eq!(known.permits(&tenant("other"), &origin(), at(1)), Ok(()), "a pinned key has no time");
}

#[test]
fn what_no_issuer_delegated_is_ignored() {
    let trust = trust();
    let mut ring = Keyring::new(&trust);
    assert!(ring.add(&delegation(1, 9), |_, _| true));
    for (by, to) in [(3, 8), (7, 8), (9, 8), (2, 1), (1, 3)] {
        assert!(!ring.add(&delegation(by, to), |_, _| true), "{by} to {to}");
    }
    assert!(!ring.add(b"{}", |_, _| true));
    assert_eq!(pinned(&ring, 8), None);
    assert_eq!(pinned(&ring, 1), Some(public(1).id()));
    assert_eq!(pinned(&ring, 3), Some(public(3).id()), "a pinned key of any role is known");
    assert!(ring.known("no key").is_none());
}

#[test]
fn a_delegation_that_does_not_count_takes_nothing_from_one_that_does() {
    let trust = trust();
    let mut ring = Keyring::new(&trust);
    assert!(ring.add(&delegation(1, 9), |_, _| true));
    assert!(!ring.add(&delegation(2, 9), |_, delegator| delegator.tenants.is_none()));
    assert!(!ring.add(&delegation(2, 9), |delegation, _| delegation.delegate == public(8)));
    assert_eq!(pinned(&ring, 9), Some(public(1).id()));
    assert!(ring.add(&delegation(2, 9), |_, _| true));
    assert_eq!(pinned(&ring, 9), Some(public(2).id()), "the later one counts");
}
