use alloc::string::ToString as _;
use alloc::{format, vec};

use super::*;

/// The public key of the first vector of RFC 8032 §7.1.
const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn key() -> TrustedKey {
    TrustedKey {
        tenants: Some(vec![TenantId::parse("acme").unwrap()]),
        origins: Some(vec![LogOrigin::parse("log.example/acme").unwrap()]),
        valid_from: Some(1),
        valid_until: Some(2),
        compromised_from: Some(3),
        ..TrustedKey::issuer(PublicKey::parse(KEY).unwrap())
    }
}

fn full() -> Trust {
    let require = Require {
        scope: Scope::Complete,
        enforced: true,
        human_evidence: Some(HumanEvidence::Operator),
        snapshots: true,
        ..Require::signed()
    };
    Trust::new([key()], Some(require)).unwrap()
}

fn refused(from: &str, to: &str) -> String {
    let text = String::from_utf8(full().encode()).unwrap();
    assert!(text.contains(from), "{text}");
    Trust::parse(text.replace(from, to).as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_trust_file_reads_back_as_it_was_written() {
    for trust in [
        full(),
        Trust::default(),
        Trust::new([TrustedKey::issuer(key().key)], Some(Require::signed())).unwrap(),
    ] {
        assert_eq!(Trust::parse(&trust.encode()), Ok(trust));
    }
}

#[test]
fn a_key_speaks_for_its_tenants_and_logs_only() {
    let tenant = |text| TenantId::parse(text).unwrap();
    let origin = |text| LogOrigin::parse(text).unwrap();
    assert!(key().covers(&tenant("acme"), &origin("log.example/acme")));
    assert!(!key().covers(&tenant("other"), &origin("log.example/acme")));
    assert!(!key().covers(&tenant("acme"), &origin("log.example/other")));
    assert!(TrustedKey::issuer(key().key).covers(&tenant("other"), &origin("any")));
}

#[test]
fn one_key_never_has_two_roles() {
    let log = TrustedKey { role: KeyRole::Log, ..key() };
    let key_id = key().key.id();
    assert_eq!(Trust::new([key(), log], None), Err(TrustError::Duplicate { key_id }));
}

#[test]
fn a_trust_file_that_says_something_else_is_refused() {
    let id = key().key.id().to_string();
    let other = "0".repeat(64);
    assert_eq!(
        [
            refused("gantral/trust/v1", "gantral/trust/v2"),
            refused("ed25519", "rsa"),
            refused("\"witnessed\":0", "\"witnessed\":0,\"zeal\":1"),
            refused("\"enforced\":true,", ""),
            refused("\"issuer\"", "\"root\""),
            refused(&id, &other),
            refused(KEY, &format!("{}00", "0".repeat(62))),
            refused("\"format\"", "\"format\":\"gantral/trust/v1\",\"format\""),
        ],
        [
            "trust file has another format than `gantral/trust/v1`".to_string(),
            "trust file: member `algorithm` of `key` is not `ed25519`".to_string(),
            "trust file: `require` has the unknown member `zeal`".to_string(),
            "trust file: `require` has no member `enforced`".to_string(),
            "trust file: member `role` of `key` is not a role of a key".to_string(),
            format!("trust file: `{other}` is not the id of its public key `{id}`"),
            format!("trust file: key `{id}`: public key has small order"),
            "trust file is not acceptable JSON: duplicate member name at byte 501".to_string(),
        ]
    );
}
