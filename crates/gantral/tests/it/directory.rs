//! The directory of authenticators: a tool that believes no server, and tells a person who asks for what.

use std::path::Path;

use gantral_core::digest::{CommitmentLabel, Salt, commit};
use gantral_core::ids::{LogOrigin, PersonId, TenantId};
use gantral_core::time::UnixMillis;
use gantral_evidence::human::{
    Algorithm, ApproverKey, CredentialId, Enrolment, RelyingPartyId, SignedEnrolment,
};
use gantral_evidence::keys::PublicKey;
use gantral_identity::person_bytes;
use gantral_testkit::Authenticator;
use serde_json::{Value, json};

use crate::support::{Ran, gantral};

const HOST: &str = "gantral.example";
const ORIGIN: &str = "https://gantral.example";
const ISSUER: &str = "https://id.example";

fn run(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(gantral(folder).args(arguments).output().unwrap())
}

/// Returns what `alice` asks for, as a server hands it to the directory.
fn request(key: &Authenticator, salt: &Salt) -> (Enrolment, Value) {
    let enrolment = Enrolment {
        aaguid: [0; 16],
        backup_eligible: key.is_synced(),
        created_at: UnixMillis::parse("2026-01-01T00:00:00.000Z").unwrap(),
        credential_id: CredentialId::parse(&key.credential_id()).unwrap(),
        key: ApproverKey::parse(Algorithm::Es256, &key.public_key()).unwrap(),
        label: None,
        origin: LogOrigin::parse("acme/log").unwrap(),
        person: PersonId(commit(CommitmentLabel::Person, salt, &person_bytes(ISSUER, "alice"))),
        relying_party: RelyingPartyId::parse(HOST).unwrap(),
        tenant: TenantId::parse("acme").unwrap(),
    };
    let entry = enrolment.digest();
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let request = json!({
        "passkey": {
            "entry_digest": entry.to_hex(), "person": enrolment.person.0.to_hex(), "state": "requested",
            "requested_at": "2026-01-01T00:00:00.000Z", "credential_id": key.credential_id(), "algorithm": "es256",
            "backup_eligible": key.is_synced(), "relying_party_id": HOST,
        },
        "enrolment": value(&enrolment.encode()),
        "assertion": value(&key.sign(entry, &entry).encode()),
        "requested_by": {"issuer": ISSUER, "subject": "alice", "salt": salt.to_hex()},
    });
    (enrolment, request)
}

#[test]
fn the_directory_shows_who_asks_and_signs_what_it_has_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let made = run(at, &["directory", "init", "--key", "directory.key"]).status(0);
    let key = PublicKey::parse(made.data.trim()).unwrap();
    assert!(
        run(at, &["directory", "init", "--key", "directory.key"]).status(1).talk.contains("directory.key")
    );

    let (enrolment, asked) = request(&Authenticator::new(HOST, ORIGIN, true), &Salt::from_bytes([7; 32]));
    std::fs::write(at.join("alice.json"), asked.to_string()).unwrap();
    let party = ["--relying-party", HOST, "--origin", ORIGIN];
    let shown = run(at, &[&["directory", "show", "alice.json"], &party[..]].concat()).status(0);
    assert!(shown.data.contains("alice of https://id.example"), "{shown:?}");
    assert!(
        shown.data.contains("synced between devices") && shown.data.contains(&enrolment.digest().to_hex())
    );

    let sign = [&["directory", "sign", "alice.json", "--key", "directory.key"], &party[..]].concat();
    let signed = run(at, &sign).status(0);
    assert!(signed.talk.contains("alice of https://id.example"), "{signed:?}");
    let read = SignedEnrolment::parse(signed.data.trim().as_bytes()).unwrap();
    assert!(read.is_signed_by(&key));
    assert_eq!(read.enrolment().unwrap(), enrolment);
}

#[test]
fn what_a_server_made_up_is_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run(at, &["directory", "init", "--key", "directory.key"]).status(0);
    let key = Authenticator::new(HOST, ORIGIN, false);
    let (_, asked) = request(&key, &Salt::from_bytes([7; 32]));
    let (other, _) = request(&Authenticator::new(HOST, ORIGIN, false), &Salt::from_bytes([7; 32]));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = asked.clone();
        change(&mut changed);
        changed.to_string()
    };
    let sign = |origin: &str| {
        let party = ["--relying-party", HOST, "--origin", origin];
        let sign = ["directory", "sign", "asked.json", "--key", "directory.key"];
        run(at, &[&sign[..], &party].concat()).status(1)
    };
    for (text, why) in [
        (changed(&|it| it["requested_by"]["subject"] = "mallory".into()), "not the person"),
        (changed(&|it| _ = it.as_object_mut().unwrap().remove("requested_by")), "nobody is named"),
        (changed(&|it| it["enrolment"] = serde_json::from_slice(&other.encode()).unwrap()), "another"),
        (changed(&|it| it["enrolment"]["backup_eligible"] = true.into()), "another"),
        ("{}".to_owned(), "missing field"),
    ] {
        std::fs::write(at.join("asked.json"), text).unwrap();
        let ran = sign(ORIGIN);
        assert!(ran.talk.contains(why) && ran.data.is_empty(), "{why}: {ran:?}");
    }
    std::fs::write(at.join("asked.json"), asked.to_string()).unwrap();
    assert!(sign("https://evil.example").talk.contains("origin"));
}
