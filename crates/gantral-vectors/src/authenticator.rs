//! Authenticators that everybody has the keys of, the directory that enrols them, and stories whose decisions they sign.

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_core::event::{Asked, Event};
use gantral_core::ids::{LogOrigin, PersonId, TenantId};
use gantral_core::time::UnixMillis;
use gantral_evidence::governance::Detail;
use gantral_evidence::human::{
    ApproverKey, Assertion, CredentialId, DecisionStatement, DecisionTerms, Enrolment, Origin, RelyingParty,
    RelyingPartyId, display_digest, to_base64url,
};
use gantral_evidence::trust::{KeyRole, Trust, TrustedKey};

use crate::case::FileMap;
use crate::cast::*;
use crate::story::{Story, ballot_mut};

/// Where the stories' approvers decide.
pub const ORIGIN: &str = "https://approvals.example";
/// Flags: somebody was there, and it was made sure who.
pub const VERIFIED: u8 = 0b0000_0101;
/// Flag: the key may be copied to other devices.
pub const BACKUP_ELIGIBLE: u8 = 0b0000_1000;

/// Returns the key of the directory. No server has it, but everybody knows it.
pub fn directory() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

/// Returns the relying party of the stories.
pub fn relying_party() -> RelyingParty {
    let id = RelyingPartyId::parse("approvals.example").unwrap();
    RelyingParty::new(id, vec![Origin::parse(ORIGIN).unwrap()]).unwrap()
}

/// Returns a key of the directory as a relying party pins it.
pub fn trusted_directory() -> TrustedKey {
    TrustedKey { role: KeyRole::Directory, ..TrustedKey::issuer(public(&directory())) }
}

enum Secret {
    Es256(p256::ecdsa::SigningKey),
    Ed25519(Box<SigningKey>),
}

/// An authenticator with one key.
pub struct Authenticator {
    secret: Secret,
    credential_id: CredentialId,
    is_synced: bool,
    /// The flags that it answers with.
    pub flags: u8,
}

impl Authenticator {
    /// Returns an authenticator whose key cannot leave it: another one for each number above 0.
    pub fn device_bound(number: u8) -> Self {
        let secret = p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap();
        Self::with(Secret::Es256(secret), number, false)
    }

    /// Returns an authenticator whose key is copied between devices.
    pub fn synced(number: u8) -> Self {
        let secret = p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap();
        Self::with(Secret::Es256(secret), number, true)
    }

    /// Returns an authenticator that signs with Ed25519.
    pub fn ed25519(number: u8) -> Self {
        Self::with(Secret::Ed25519(Box::new(SigningKey::from_bytes(&[number; 32]))), number, false)
    }

    fn with(secret: Secret, number: u8, is_synced: bool) -> Self {
        let flags = if is_synced { VERIFIED | BACKUP_ELIGIBLE } else { VERIFIED };
        Self { secret, credential_id: CredentialId::new(vec![number; 16]).unwrap(), is_synced, flags }
    }

    /// Returns the public key.
    pub fn key(&self) -> ApproverKey {
        match &self.secret {
            Secret::Es256(secret) => {
                let point = secret.verifying_key().to_sec1_point(false);
                ApproverKey::es256(point.as_bytes().try_into().unwrap()).unwrap()
            }
            Secret::Ed25519(secret) => ApproverKey::Ed25519(public(secret)),
        }
    }

    /// Returns what a directory says of it.
    pub fn enrolment(&self, person: PersonId) -> Enrolment {
        Enrolment {
            aaguid: [0; 16],
            backup_eligible: self.is_synced,
            created_at: UnixMillis::new(START - 3_600_000).unwrap(),
            credential_id: self.credential_id.clone(),
            key: self.key(),
            label: None,
            origin: LogOrigin::parse("log.example/acme").unwrap(),
            person,
            relying_party: relying_party().id,
            tenant: TenantId::parse("acme").unwrap(),
        }
    }

    /// Answers a challenge on a page of the stories' relying party, as a browser hands it over.
    pub fn answer(&self, entry: Digest, challenge: &Digest) -> Assertion {
        let mut assertion = Assertion {
            entry,
            credential_id: self.credential_id.clone(),
            authenticator_data: authenticator_data(&relying_party().id, self.flags),
            client_data: client_data(challenge).into_bytes(),
            signature: Vec::new(),
        };
        self.sign(&mut assertion);
        assertion
    }

    /// Signs what an assertion says by now.
    pub fn sign(&self, assertion: &mut Assertion) {
        let client_data = Digest::of(&assertion.client_data);
        let message = [&assertion.authenticator_data[..], client_data.as_bytes()].concat();
        assertion.signature = match &self.secret {
            Secret::Es256(secret) => {
                let signature: p256::ecdsa::Signature = secret.sign(&message);
                der(&signature.to_bytes())
            }
            Secret::Ed25519(secret) => secret.sign(&message).to_bytes().to_vec(),
        };
    }
}

/// Returns the client data of a browser.
pub fn client_data(challenge: &Digest) -> String {
    let challenge = to_base64url(challenge.as_bytes());
    format!(
        "{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",\"origin\":\"{ORIGIN}\",\"crossOrigin\":false}}"
    )
}

/// Returns authenticator data with a counter of 7.
pub fn authenticator_data(relying_party: &RelyingPartyId, flags: u8) -> Vec<u8> {
    [relying_party.hash().as_bytes().as_slice(), &[flags, 0, 0, 0, 7]].concat()
}

/// Writes the two numbers of a signature as authenticators do, 32 bytes each.
pub fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |digits: &[u8]| {
        let from = digits.iter().position(|digit| *digit != 0).unwrap();
        let sign: &[u8] = if digits[from] >= 0x80 { &[0] } else { &[] };
        let content = [sign, &digits[from..]].concat();
        [&[2, content.len() as u8], &content[..]].concat()
    };
    let (r, s) = signature.split_at(32);
    let content = [integer(r), integer(s)].concat();
    [&[0x30, content.len() as u8], &content[..]].concat()
}

/// Returns an enrolment as a file, signed by a key.
pub fn enrolled_by(enrolment: &Enrolment, key: &SigningKey) -> Vec<u8> {
    enrolment.signed(&public(key).id(), &key.sign(&enrolment.message()).to_bytes())
}

/// Returns what the governance chain says of an enrolment.
pub fn recorded(enrolment: &Enrolment) -> Detail {
    Detail::Enrolled { person: enrolment.person, entry: enrolment.digest() }
}

/// Returns a trust file that believes the relying party and the directory of the stories.
pub fn believing(trust: &Trust) -> Trust {
    let keys = trust.keys().cloned().chain([trusted_directory()]);
    let believing = Trust::new(keys, trust.require).unwrap().with_relying_party(relying_party());
    match trust.log() {
        Some(log) => believing.with_log(log.clone()).unwrap(),
        None => believing,
    }
}

/// Has the ballots of a story answered, each by what `answer` makes of the enrolment's entry and of the decision; returns the files of
/// evidence. `enrolment` finds that of whoever votes.
pub fn answered(
    story: &mut Story,
    enrolment: impl Fn(PersonId) -> Enrolment,
    answer: impl Fn(&Enrolment, &Digest) -> Assertion,
) -> FileMap {
    let mut files = FileMap::new();
    let mut open: Option<(Asked, DecisionTerms)> = None;
    for at in 0..story.statements.len() {
        let statement = &mut story.statements[at];
        match &statement.entry.event {
            Event::HumanRequired(detail) => open = Some((detail.gate.clone(), DecisionTerms::of(detail))),
            Event::Escalated(moved) | Event::Extended(moved) => {
                open = open.map(|(asked, terms)| (asked, terms.moved(moved)));
            }
            _ => {}
        }
        let (identity, actor) = (statement.identity.clone(), statement.entry.actor.id.clone());
        let (Some((asked, terms)), Some(ballot)) = (&open, ballot_mut(&mut statement.entry.event)) else {
            continue;
        };
        let person = PersonId::from_actor(&actor).unwrap();
        let enrolment = enrolment(person);
        ballot.display = display_digest(asked, ballot.gate_version);
        ballot.directory_entry = Some(enrolment.digest());
        let decision = DecisionStatement { identity: &identity, terms: *terms, person, ballot };
        let file = answer(&enrolment, &decision.digest()).encode();
        let digest = Digest::of(&file);
        ballot.evidence_digest = Some(digest);
        files.insert(Assertion::path(&digest), file);
        story.relink();
    }
    files
}
