//! Who plays in the stories: keys that everybody knows, persons, and programs.

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::action::Action;
use gantral_core::digest::Digest;
use gantral_core::event::*;
use gantral_core::ids::*;
use gantral_core::json::Object;
use gantral_core::state::*;
use gantral_evidence::bundle::artifact_path;
use gantral_evidence::dsse::{Envelope, EnvelopeSignature, PAYLOAD_TYPE, pae};
use gantral_evidence::keys::PublicKey;
use gantral_evidence::seal::{Sealed, seal};
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::{Require, Trust, TrustedKey};

/// 2026-03-01T09:00:00Z.
pub(crate) const START: u64 = 1_772_355_600_000;

/// Returns the key that signs artifacts. It is published: everybody knows it.
pub fn issuer() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// Returns a key that the trust file of [`trust`] does not hold.
pub fn stranger() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// Returns the public half of a key.
pub fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap()
}

/// Returns a trust file that holds the issuer and asks for a signature only.
pub fn trust() -> Trust {
    trust_with(Require::signed())
}

/// Returns a trust file that holds the issuer and asks for `require`.
pub fn trust_with(require: Require) -> Trust {
    Trust::new([TrustedKey::issuer(public(&issuer()))], Some(require)).unwrap()
}

/// Seals a statement with a key.
pub fn sign(statement: &Statement, key: &SigningKey) -> Sealed {
    seal(statement, public(key).id(), |message| key.sign(message).to_bytes()).unwrap()
}

/// Returns the role of that name.
pub fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

/// Returns one of the persons of the stories.
pub fn person(number: u8) -> PersonId {
    PersonId(Digest::of(&[number]))
}

/// Returns a person who acts under a role.
pub fn human(number: u8, as_role: &str) -> Actor {
    let issuer = Some("https://issuer.example".to_owned());
    Actor { id: person(number).actor(), kind: ActorKind::Human, issuer, role: Some(role(as_role)) }
}

/// Returns the workload that asks and acts.
pub fn agent() -> Actor {
    let issuer = Some("https://issuer.example".to_owned());
    Actor { id: ActorId::parse("agent").unwrap(), kind: ActorKind::Workload, issuer, role: None }
}

/// Returns the runner that launches the workload.
pub fn runner() -> Actor {
    Actor { id: ActorId::parse("runner-1").unwrap(), kind: ActorKind::Runner, ..agent() }
}

/// Returns the engine itself, which acts when time passes.
pub fn engine() -> Actor {
    let id = ActorId::parse("gantral").unwrap();
    Actor { id, kind: ActorKind::System, issuer: None, role: None }
}

/// Returns the runner as an executor of that kind.
pub fn executor(kind: ExecutorKind) -> Executor {
    Executor { kind, id: ActorId::parse("runner-1").unwrap() }
}

/// Returns the action of the stories: a refund of so many minor units.
pub fn refund(amount: u32) -> Action {
    Action {
        name: Name::parse("refund").unwrap(),
        target: "payments/customer-7".to_owned(),
        parameters: Object::new().with("amount", amount).with("currency", "EUR"),
    }
}

/// Signs any bytes as the payload of an envelope.
pub fn envelope(payload: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(&pae(PAYLOAD_TYPE, &payload)).to_bytes().to_vec();
    let signatures = vec![EnvelopeSignature { key_id: public(key).id().to_string(), signature }];
    Envelope { payload, signatures }.encode()
}

/// Adds a signature to an envelope; a bad one if `of` is another message.
pub fn countersign(envelope: &[u8], key: &SigningKey, of: Option<&[u8]>) -> Vec<u8> {
    let mut envelope = Envelope::parse(envelope).unwrap();
    let message = of.map_or_else(|| envelope.signed_bytes(), <[u8]>::to_vec);
    let signature = key.sign(&message).to_bytes().to_vec();
    envelope.signatures.push(EnvelopeSignature { key_id: public(key).id().to_string(), signature });
    envelope.encode()
}

/// Returns the path of the artifact with a sequence.
pub fn artifact(sequence: usize) -> String {
    artifact_path(sequence)
}
