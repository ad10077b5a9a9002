//! The lists of cases for the parts of a verifier.

use std::fs;

use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::ids::{InstanceId, TenantId, governance_tag, instance_tag};
use gantral_core::json::{self, ParseClass, Profile, Value};
use gantral_core::table::semantics_digest;
use gantral_evidence::dsse::pae;
use gantral_evidence::human::{Algorithm, ApproverKey};
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::log::note::{Note, NoteKey, Signed};
use gantral_evidence::log::tree::{TreeHead, check_inclusion, leaf_hash};
use gantral_evidence::statement::artifact_hash;
use gantral_vectors::tree;

/// One case of a list.
struct Case(Value);

impl Case {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("has `{name}`"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    fn digest(&self, name: &str) -> Digest {
        Digest::parse(self.text(name)).unwrap()
    }

    fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_number).and_then(|number| number.as_u64()).unwrap()
    }

    fn digests(&self, name: &str) -> Vec<Digest> {
        let list = self.0.get(name).and_then(Value::as_array).unwrap();
        list.iter().map(|each| Digest::parse(each.as_str().unwrap()).unwrap()).collect()
    }

    fn flag(&self) -> &str {
        self.0
            .get("flags")
            .and_then(Value::as_array)
            .and_then(|flags| flags.first())
            .and_then(Value::as_str)
            .unwrap_or("")
    }

    fn result(&self) -> &Value {
        self.0.get("result").unwrap()
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Gives every case of a list to `answer`, and compares.
fn check(list: &str, answer: impl Fn(&Case) -> Value) {
    let bytes = fs::read(tree::folder().join(format!("primitives/{list}.json"))).unwrap();
    let value = json::parse(&bytes, &Profile::DOCUMENT).unwrap();
    let cases: Vec<Case> = value.as_array().unwrap().iter().cloned().map(Case).collect();
    assert!(!cases.is_empty());
    for (at, case) in cases.iter().enumerate() {
        assert_eq!(answer(case), *case.result(), "{list} {at} {:?}", case.0.get("flags"));
    }
}

fn one(name: &str, value: impl Into<Value>) -> Value {
    Value::Object(json::Object::new().with(name, value))
}

fn validity(is_valid: bool) -> Value {
    Value::from(if is_valid { "valid" } else { "invalid" })
}

#[test]
fn json_is_read_and_written_as_the_list_says() {
    check("json", |case| {
        let profile = if case.text("profile") == "artifact" { Profile::ARTIFACT } else { Profile::DOCUMENT };
        match json::parse(&case.bytes("hex"), &profile) {
            Ok(value) => one("canonical", String::from_utf8(value.to_canonical()).unwrap()),
            Err(error) => one(
                "refused",
                match error.kind.class() {
                    ParseClass::Limit => "limit",
                    ParseClass::Noncanonical => "spelling",
                    ParseClass::Unicode => "text",
                    ParseClass::Malformed => "syntax",
                },
            ),
        }
    });
}

#[test]
fn what_a_signature_covers_is_what_the_list_says() {
    check("pae", |case| Value::from(hexed(&pae(case.text("payloadType"), &case.bytes("payload")))));
}

fn hexed(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn signatures_are_as_strict_as_the_list_says() {
    check("ed25519", |case| {
        let key = PublicKey::parse(case.text("key"));
        let is_good =
            |key: PublicKey| key.verify_strict(&case.bytes("message"), &case.bytes("signature")).is_ok();
        validity(key.is_ok_and(is_good))
    });
}

#[test]
fn signatures_of_authenticators_are_as_strict_as_the_list_says() {
    check("es256", |case| {
        let key = ApproverKey::parse(Algorithm::Es256, case.text("key"));
        let is_good = |key: ApproverKey| key.verify(&case.bytes("message"), &case.bytes("signature")).is_ok();
        validity(key.is_ok_and(is_good))
    });
}

#[test]
fn hashes_are_those_of_the_list() {
    check("hashes", |case| {
        let tenant = || TenantId::parse(case.text("tenant")).unwrap();
        let hash = match case.flag() {
            "artifact" => artifact_hash(&case.bytes("payload")),
            "commitment" => {
                let label = CommitmentLabel::parse(case.text("label")).unwrap();
                let salt = Salt::from_bytes(case.bytes("salt").try_into().unwrap());
                commit(label, &salt, &case.bytes("plaintext"))
            }
            "instance_tag" => instance_tag(&tenant(), &InstanceId::parse(case.text("instance")).unwrap()),
            "governance_tag" => governance_tag(&tenant()),
            "key_id" => return Value::from(PublicKey::parse(case.text("key")).unwrap().id().to_string()),
            "leaf" => return Value::from(hexed(&leaf(case).encode())),
            _ => semantics_digest(),
        };
        Value::from(hash.to_hex())
    });
}

fn leaf(case: &Case) -> Leaf {
    let issuer = unhex(&KeyId::parse(case.text("issuer")).unwrap().to_string());
    Leaf {
        kind: LeafKind::Artifact,
        sequence: case.number("sequence"),
        terminal: case.0.get("terminal").and_then(Value::as_bool).unwrap(),
        tag: case.digest("tag"),
        hash: case.digest("hash"),
        issuer: issuer[..8].try_into().unwrap(),
    }
}

#[test]
fn proofs_lead_where_the_list_says() {
    check("merkle", |case| {
        let (path, size, root) = (case.digests("path"), case.number("size"), case.digest("root"));
        let is_good = if case.flag() == "inclusion" {
            check_inclusion(case.number("index"), size, &root, &leaf_hash(&case.bytes("leaf")), &path).is_ok()
        } else {
            let old = TreeHead { size: case.number("old_size"), root: case.digest("old_root") };
            TreeHead { size, root }.check_extends(&old, &path).is_ok()
        };
        validity(is_good)
    });
}

#[test]
fn notes_are_signed_by_whom_the_list_says() {
    check("notes", |case| {
        let key = NoteKey::parse(case.text("key")).unwrap();
        let Ok(note) = Note::parse(case.text("note").as_bytes()) else { return one("signed", "none") };
        match key.check(&note) {
            Signed::No => one("signed", "no"),
            Signed::Bad => one("signed", "bad"),
            Signed::Good { time } => {
                let time = time.map_or(Value::Null, Value::from);
                Value::Object(json::Object::new().with("signed", "good").with("time", time))
            }
        }
    });
}
