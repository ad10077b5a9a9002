//! What is signed and what stands around it: statements, envelopes, delegations, disclosures, trust files, receipts.

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::Actor;
use gantral_core::ids::{ArtifactId, LogOrigin, Name, PersonId, Role, TenantId, WorkflowId};
use gantral_core::json::{self, Profile, Value};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::{ActorKind, Mode};
use gantral_core::time::UnixMillis;
use gantral_evidence::delegation::{DELEGATION_PAYLOAD_TYPE, KeyDelegation};
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::dsse::{ENVELOPE_BYTES_MAX, Envelope, PAYLOAD_TYPE};
use gantral_evidence::governance::{self, Detail, GovernanceStatement, Scope};
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::statement::{self, Statement};
use gantral_evidence::trust::{KeyRole, Trust};
use gantral_evidence::verify::parse_receipts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::seeds::Vectors;
use crate::target::{Answer, Seen, Target, ensure, refused, twice};

/// The issuer of the vectors.
const ISSUER: &str = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";

const STATEMENT_TOKENS: &[&str] = &[
    statement::STATEMENT_TYPE,
    statement::PREDICATE_TYPE,
    governance::PREDICATE_TYPE,
    "\"1.0\"",
    "\"2.0\"",
    "\"crit\":[\"x\"]",
    "\"ext\":{\"x\":1}",
    "\"anchor\":null",
    "human_required",
    "consumed",
    "terminated",
    "WAITING",
    "\"SHADOW\"",
    "\"detail\":{",
    "\"proposed_by\":{",
    "2026-03-01T09:00:00.000Z",
    "urn:gantral:tenant:",
    "urn:gantral:instance:",
];

pub const STATEMENT: Target = Target {
    name: "statement",
    bytes_max: 65 << 10,
    tokens: STATEMENT_TOKENS,
    seeds: |vectors| payloads(vectors, PAYLOAD_TYPE),
    check: check_statement,
};
pub const GOVERNANCE: Target = Target {
    name: "governance",
    bytes_max: 65 << 10,
    tokens: STATEMENT_TOKENS,
    seeds: governed,
    check: check_governance,
};
pub const ENVELOPE: Target = Target {
    name: "envelope",
    bytes_max: ENVELOPE_BYTES_MAX + 64,
    tokens: &[
        "\"payloadType\":",
        "\"signatures\":[",
        "{\"keyid\":\"\",\"sig\":\"AA==\"}",
        PAYLOAD_TYPE,
        "AB==",
        "A",
    ],
    seeds: |vectors| vectors.ending(".dsse.json"),
    check: check_envelope,
};
pub const DELEGATION: Target = Target {
    name: "delegation",
    bytes_max: 16 << 10,
    tokens: &[DELEGATION_PAYLOAD_TYPE, "\"payloadType\":", "\"signatures\":["],
    seeds: |vectors| vectors.ending(".delegation.json"),
    check: check_delegation,
};
pub const DISCLOSURE: Target = Target {
    name: "disclosure",
    bytes_max: 64 << 10,
    tokens: &["\"label\":\"action\"", "\"plaintext\":\"\"", "\"salt\":", "person", "justification"],
    seeds: |vectors| vectors.matching(|path| path.contains("/disclosures/")),
    check: check_disclosure,
};
pub const TRUST: Target = Target {
    name: "trust",
    bytes_max: 64 << 10,
    tokens: &[
        "\"role\":\"witness\"",
        "\"require\":null",
        "\"log\":null",
        "\"scope\":\"complete\"",
        "group g 1 w1\\n",
        "quorum none\\n",
        "\"compromised_from\":1",
        "\"tenants\":[]",
        "gantral/trust/v2",
    ],
    seeds: |vectors| vectors.ending("/trust.json"),
    check: check_trust,
};
pub const RECEIPTS: Target = Target {
    name: "receipts",
    bytes_max: 64 << 10,
    tokens: &["{\"envelope\":{}}\n", "\"envelope\":"],
    seeds: |vectors| vectors.ending("/receipts.jsonl"),
    check: check_receipts,
};

/// Returns what is inside the envelopes of the vectors.
pub(super) fn payloads(vectors: &Vectors, payload_type: &str) -> Vec<Vec<u8>> {
    let payload = |envelope: Vec<u8>| {
        let value = json::parse(&envelope, &Profile::DOCUMENT).ok()?;
        let is_right = value.get("payloadType").and_then(Value::as_str) == Some(payload_type);
        let payload = value.get("payload").and_then(Value::as_str).filter(|_| is_right)?;
        STANDARD.decode(payload).ok()
    };
    vectors.ending(".dsse.json").into_iter().filter_map(payload).collect()
}

/// Returns what the vectors hold, and one statement of several events.
fn governed(vectors: &Vectors) -> Vec<Vec<u8>> {
    let mut seeds = told().unwrap_or_default();
    seeds.extend(payloads(vectors, PAYLOAD_TYPE));
    seeds
}

/// Returns a statement of several events, as they would stand in one chain.
fn told() -> Option<Vec<Vec<u8>>> {
    let key = PublicKey::parse(ISSUER).ok()?;
    let digest = |number: u8| Digest::of(&[number]);
    let person = |number: u8| PersonId(digest(number));
    let at = UnixMillis::new(1_772_355_600_000).ok()?;
    let scope = Scope::Workflow(WorkflowId::parse("refund").ok()?);
    let details = [
        Detail::KeyAdded { key: key.clone(), role: KeyRole::Issuer },
        Detail::KeyCompromised { key: key.id(), from_index: 40 },
        Detail::PolicyActivated { scope: scope.clone(), version: PolicyVersionId(digest(1)), previous: None },
        Detail::ModeChanged { scope, action: Some(Name::parse("refund").ok()?), mode: Mode::Shadow },
        Detail::Frozen { scope: Scope::Tenant, epoch: 1 },
        Detail::Delegated {
            from: person(1),
            to: person(2),
            roles: vec![Role::parse("RISK_OFFICER").ok()?],
            not_before: at,
            not_after: UnixMillis::new(1_772_359_200_000).ok()?,
        },
        Detail::Erased { instance: None, commitment: digest(6), label: CommitmentLabel::Action },
    ];
    let statement = |(sequence, detail)| -> Option<Vec<u8>> {
        let statement = GovernanceStatement {
            artifact_id: ArtifactId::at(at.get(), [7; 16]),
            tenant: TenantId::parse("acme").ok()?,
            origin: LogOrigin::parse("log.example/acme").ok()?,
            sequence,
            previous: (sequence > 0).then(|| digest(9)),
            actor: Actor {
                id: person(1).actor(),
                kind: ActorKind::Human,
                issuer: Some("https://issuer.example".to_owned()),
                role: Some(Role::parse("PLATFORM_ADMIN").ok()?),
            },
            detail,
            justification: Some(digest(2)),
            proposed_by: None,
            at,
            anchor: Some(TreeHead { size: 12, root: digest(4) }),
            blind: [5; 32],
        };
        Some(statement.encode())
    };
    (0..).zip(details).map(statement).collect()
}

fn check_statement(bytes: &[u8]) -> Answer {
    let decoded = match twice(|| Statement::decode_extended(bytes))? {
        Ok(decoded) => decoded,
        Err(error) => return Ok(refused(&error)),
    };
    let encoded = decoded.statement.encode();
    let again = Statement::decode(&encoded);
    ensure(
        again.as_ref() == Ok(&decoded.statement),
        "a statement is written as one that is read as the same",
    )?;
    let whole = decoded.extensions.is_empty();
    ensure(!whole || encoded == bytes, "a statement without extensions is written as the same bytes")?;
    Ok(Seen::Accepted)
}

fn check_governance(bytes: &[u8]) -> Answer {
    let (decoded, extensions) = match twice(|| GovernanceStatement::decode_extended(bytes))? {
        Ok(decoded) => decoded,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(Statement::decode(bytes).is_err(), "no statement is of two kinds")?;
    let encoded = decoded.encode();
    let again = GovernanceStatement::decode(&encoded);
    ensure(again.as_ref() == Ok(&decoded), "a statement is written as one that is read as the same")?;
    ensure(
        !extensions.is_empty() || encoded == bytes,
        "a statement without extensions is written as the same bytes",
    )?;
    Ok(Seen::Accepted)
}

fn check_envelope(bytes: &[u8]) -> Answer {
    let envelope = match twice(|| Envelope::parse(bytes))? {
        Ok(envelope) => envelope,
        Err(error) => return Ok(refused(&error)),
    };
    let encoded = envelope.encode();
    ensure(
        Envelope::parse(&encoded).as_ref() == Ok(&envelope),
        "an envelope is written as one that is read as the same",
    )?;
    ensure(json::is_canonical(&encoded, &Profile::DOCUMENT), "an envelope is written in canonical form")?;
    Ok(Seen::Accepted)
}

/// The issuer's signature covers the payload, so what is accepted is a delegation that the issuer made.
fn check_delegation(bytes: &[u8]) -> Answer {
    let Ok(issuer) = PublicKey::parse(ISSUER) else { return Ok(Seen::Refused(0)) };
    let delegation = match twice(|| KeyDelegation::open(bytes, |id| (*id == issuer.id()).then_some(&issuer)))?
    {
        Ok(delegation) => delegation,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(delegation.delegator == issuer.id(), "a delegation is by the key that signed it")?;
    ensure(KeyDelegation::open(bytes, |_| None).is_err(), "no delegation is accepted without its key")?;
    let value = json::parse(bytes, &Profile::DOCUMENT).unwrap_or(Value::Null);
    let payload = value.get("payload").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    let message = payload.map(|payload| gantral_evidence::dsse::pae(DELEGATION_PAYLOAD_TYPE, &payload));
    ensure(message == Some(delegation.message()), "a delegation is written as the bytes that were signed")?;
    Ok(Seen::Accepted)
}

fn check_disclosure(bytes: &[u8]) -> Answer {
    let disclosure = match twice(|| Disclosure::parse(bytes))? {
        Ok(disclosure) => disclosure,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(disclosure.encode() == bytes, "a disclosure has one spelling")?;
    let commitment = disclosure.commitment();
    ensure(disclosure.opens(disclosure.label, &commitment), "a disclosure opens its commitment")?;
    let path = Disclosure::path(&commitment);
    ensure(
        Disclosure::commitment_of_path(&path) == Some(commitment),
        "a disclosure is named by its commitment",
    )?;
    Ok(Seen::Accepted)
}

fn check_trust(bytes: &[u8]) -> Answer {
    let trust = match twice(|| Trust::parse(bytes))? {
        Ok(trust) => trust,
        Err(error) => return Ok(refused(&error)),
    };
    let encoded = trust.encode();
    ensure(
        Trust::parse(&encoded).as_ref() == Ok(&trust),
        "a trust file is written as one that is read as the same",
    )?;
    ensure(trust.same_keys(&trust), "a trust file has its own keys")?;
    Ok(Seen::Accepted)
}

fn check_receipts(bytes: &[u8]) -> Answer {
    let receipts = match twice(|| parse_receipts(bytes))? {
        Ok(receipts) => receipts,
        Err(error) => return Ok(refused(&error)),
    };
    let lines: Vec<u64> = receipts.iter().map(|receipt| receipt.line()).collect();
    ensure(lines.is_sorted_by(|a, b| a < b), "receipts stand in the order of their lines")?;
    for receipt in &receipts {
        let again = Envelope::parse(&receipt.envelope().encode());
        ensure(again.as_ref() == Ok(receipt.envelope()), "the envelope of a receipt is one")?;
    }
    Ok(if receipts.is_empty() { Seen::Refused(1) } else { Seen::Accepted })
}
