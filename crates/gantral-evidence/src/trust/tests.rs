use alloc::string::ToString as _;
use alloc::{format, vec};

use super::*;
use crate::human::{Origin, RelyingPartyId};

/// The public key of the first vector of RFC 8032 §7.1.
const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// Those of the second and third.
const OTHER: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const THIRD: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";

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
        full().with_log(logged_by(OTHER)).unwrap(),
        Trust::default(),
        Trust::new([TrustedKey::issuer(key().key)], Some(Require::signed())).unwrap(),
        Trust::new([key()], Some(Require { four_eyes: true, ..Require::signed() })).unwrap(),
        Trust::new([key()], Some(Require { human_device_bound: true, ..Require::signed() })).unwrap(),
        full().with_relying_party(relying_party()),
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
    let approver = TrustedKey { role: KeyRole::Approver, ..key() };
    let key_id = key().key.id();
    assert_eq!(Trust::new([key(), approver], None), Err(TrustError::Duplicate { key_id }));
    let log = TrustedKey { role: KeyRole::Log, ..key() };
    assert_eq!(Trust::new([log], None), Err(TrustError::Role { key_id, role: KeyRole::Log }));
    assert_eq!(full().with_log(logged_by(KEY)), Err(TrustError::Duplicate { key_id }));
}

/// A policy whose only log has this key.
fn logged_by(key: &str) -> TrustedLog {
    let key = PublicKey::parse(key).unwrap();
    let name = crate::log::note::NoteKey::new("log.example/acme", crate::log::note::NoteKeyKind::Text, key);
    TrustedLog::new(&format!("log {}\nquorum none\n", name.unwrap()), 60_000, 5_000).unwrap()
}

#[test]
fn keys_of_the_log_policy_are_known_and_are_for_nothing_else() {
    let trust = full().with_log(logged_by(OTHER)).unwrap();
    let log = trust.key(&PublicKey::parse(OTHER).unwrap().id()).unwrap();
    assert_eq!((log.role, trust.keys().count()), (KeyRole::Log, 1));
    assert!(!trust.same_keys(&full()));
    let without = Trust::parse(&trust.encode()).unwrap().with_log(logged_by(THIRD)).unwrap();
    assert_eq!(without.key(&log.key.id()), None);
}

#[test]
fn a_trust_file_that_says_something_else_is_refused() {
    let id = key().key.id().to_string();
    let other = "0".repeat(64);
    assert_eq!(
        [
            refused("gantral/trust/v1", "gantral/trust/v2"),
            refused("\"log\":null,", ""),
            refused("\"log\":null", "\"log\":{\"delay_ms\":1,\"policy\":\"quorum\\n\",\"skew_ms\":1}"),
            refused("\"role\":\"issuer\"", "\"role\":\"witness\""),
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
            "trust file: `trust` has no member `log`".to_string(),
            "trust file: line 1 of the log policy: neither `log`, `witness`, `group` nor `quorum` as they are written".to_string(),
            format!("trust file: key `{id}` is for `witness`: such keys stand in the log policy"),
            "trust file: member `algorithm` of `key` is not `ed25519`".to_string(),
            "trust file: `require` has the unknown member `zeal`".to_string(),
            "trust file: `require` has no member `enforced`".to_string(),
            "trust file: member `role` of `key` is not a role of a key".to_string(),
            format!("trust file: `{other}` is not the id of its public key `{id}`"),
            format!("trust file: key `{id}`: public key has small order"),
            "trust file is not acceptable JSON: duplicate member name at byte 512".to_string(),
        ]
    );
}

#[test]
fn a_trust_file_that_says_nothing_of_four_eyes_requires_none() {
    let plain = String::from_utf8(full().encode()).unwrap();
    assert!(!plain.contains("four_eyes"), "{plain}");
    let said = |value: &str| {
        let text = plain.replace("\"enforced\":true,", &format!("\"enforced\":true,\"four_eyes\":{value},"));
        Trust::parse(text.as_bytes()).map(|trust| trust.require.unwrap().four_eyes)
    };
    assert_eq!((said("false"), said("true")), (Ok(false), Ok(true)));
    assert!(said("null").is_err() && said("\"yes\"").is_err());
}

fn relying_party() -> RelyingParty {
    let origins = vec![Origin::parse("https://approvals.example").unwrap()];
    RelyingParty::new(RelyingPartyId::parse("approvals.example").unwrap(), origins).unwrap()
}

#[test]
fn a_relying_party_is_a_host_with_origins_or_the_file_is_refused() {
    let whole = String::from_utf8(full().with_relying_party(relying_party()).encode()).unwrap();
    let origins = "\"origins\":[\"https://approvals.example\"]";
    assert!(whole.contains(origins), "{whole}");
    let with = |from: &str, to: &str| Trust::parse(whole.replace(from, to).as_bytes());
    assert_eq!(with(origins, "\"origins\":[]"), Err(TrustError::RelyingParty(RelyingPartyError::Origins)));
    for (from, to) in [
        (origins, "\"origins\":[\"approvals.example\"]"),
        (origins, "\"origins\":[\"https://approvals.example/\"]"),
        ("\"id\":\"approvals.example\"", "\"id\":\"Approvals.example\""),
        ("\"id\":\"approvals.example\"", "\"id\":\"\""),
    ] {
        assert!(matches!(with(from, to), Err(TrustError::Field(_))), "{to}");
    }
    let of_nobody = whole.replace(&format!("{{\"id\":\"approvals.example\",{origins}}}"), "null");
    assert!(Trust::parse(of_nobody.as_bytes()).is_err());
}
