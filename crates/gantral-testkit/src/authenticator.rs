//! An authenticator in software: it makes a key, and signs what a page asks it to, as a browser would hand it over.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use gantral_core::digest::Digest;
use gantral_evidence::human::{Assertion, CredentialId, to_base64url};

/// The flags of a key that is here, whose owner it made sure of.
const PRESENT_AND_VERIFIED: u8 = 0b101;
/// The flags of a key that may be copied, and was.
const SYNCED: u8 = 0b1_1000;

/// One authenticator with one key, for one relying party.
pub struct Authenticator {
    pair: EcdsaKeyPair,
    credential_id: Vec<u8>,
    relying_party: String,
    origin: String,
    synced: bool,
}

impl Authenticator {
    /// Makes one for a relying party, asked on pages of an origin; a synced passkey may be copied.
    pub fn new(relying_party: &str, origin: &str, synced: bool) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key is made");
        let credential_id = Digest::of(pair.public_key().as_ref()).as_bytes().to_vec();
        Self {
            pair,
            credential_id,
            relying_party: relying_party.to_owned(),
            origin: origin.to_owned(),
            synced,
        }
    }

    /// Returns the same authenticator, as a page of another origin would be answered.
    #[must_use]
    pub fn asked_on(self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self }
    }

    /// Returns how it names its key, in base64url.
    pub fn credential_id(&self) -> String {
        to_base64url(&self.credential_id)
    }

    /// Returns the public key: the uncompressed point, in hexadecimal.
    pub fn public_key(&self) -> String {
        self.pair.public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Tells whether the key may be copied.
    pub const fn is_synced(&self) -> bool {
        self.synced
    }

    /// Signs a challenge, for the enrolment of its key.
    pub fn sign(&self, entry: Digest, challenge: &Digest) -> Assertion {
        let client_data = format!(
            r#"{{"type":"webauthn.get","challenge":"{}","origin":"{}","crossOrigin":false,"other_keys_can_be_added_here":"do not compare"}}"#,
            to_base64url(challenge.as_bytes()),
            self.origin,
        );
        let mut data = Digest::of(self.relying_party.as_bytes()).as_bytes().to_vec();
        data.push(if self.synced { PRESENT_AND_VERIFIED | SYNCED } else { PRESENT_AND_VERIFIED });
        data.extend([0, 0, 0, 7]);
        let message = [data.as_slice(), Digest::of(client_data.as_bytes()).as_bytes()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &message).expect("a key signs");
        Assertion {
            entry,
            credential_id: CredentialId::new(self.credential_id.clone()).expect("a digest is not too long"),
            authenticator_data: data,
            client_data: client_data.into_bytes(),
            signature: signature.as_ref().to_vec(),
        }
    }
}
