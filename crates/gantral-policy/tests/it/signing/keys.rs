//! Key pairs as PEM, made for one test.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_policy::bundle::signature::Algorithm;

/// A public key of 1024 bits.
pub const SHORT_RSA: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCkEDxEiweAHi3LRFH4Kv/HoJNd
28O/eQAbr8XUGvk7f6OeAlG4ozEIJ1PEEkmo0R5YuP8pG5kgRsm6AxdzItCAxQ0v
byMNNWQYNFXtbuQ2Tx4OzLgF2y8VzCWVbwlVa3DAOOkUXAifAXd8CW0O+rCo+B/Q
l9cjcm+VUbGDtQC0hQIDAQAB
-----END PUBLIC KEY-----
";

/// A private key, and its public one.
pub struct KeyPair {
    pub algorithm: Algorithm,
    pub private: String,
    pub public: String,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl KeyPair {
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDsa => {
                let private = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.as_ref()).unwrap();
                let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                Self::of(algorithm, private.as_ref(), public.as_ref(), Pair::Ed25519(pair))
            }
            Algorithm::Es256 => Self::ecdsa(algorithm, &ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => Self::ecdsa(algorithm, &ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::Es512 => Self::ecdsa(algorithm, &ECDSA_P521_SHA512_FIXED_SIGNING),
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
                let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                let (private, public) = (private.as_ref().to_vec(), public.as_ref().to_vec());
                Self::of(algorithm, &private, &public, Pair::Rsa(pair))
            }
        }
    }

    fn ecdsa(algorithm: Algorithm, signing: &'static EcdsaSigningAlgorithm) -> Self {
        let private = EcdsaKeyPair::generate_pkcs8(signing, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, private.as_ref()).unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let public = public.as_ref().to_vec();
        Self::of(algorithm, private.as_ref(), &public, Pair::Ecdsa(pair))
    }

    fn of(algorithm: Algorithm, private: &[u8], public: &[u8], pair: Pair) -> Self {
        Self { algorithm, private: pem("PRIVATE KEY", private), public: pem("PUBLIC KEY", public), pair }
    }

    /// Signs a message; RSA as in `RS256`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
