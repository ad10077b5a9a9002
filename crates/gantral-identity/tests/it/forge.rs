//! A provider that signs whatever it is asked to.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::time::UnixMillis;
use gantral_identity::{IdentityConfig, Principal, TokenError, Verifier};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

/// The `iss` of the provider.
pub const ISSUER: &str = "https://id.example";
/// 2026-01-01T00:00:00Z, when every test takes place.
pub const NOW_SECONDS: u64 = 1_767_225_600;

pub fn now() -> UnixMillis {
    at(NOW_SECONDS)
}

pub fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(seconds * 1_000).unwrap()
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the provider: what signs, and what it publishes.
pub struct Key {
    pub algorithm: jsonwebtoken::Algorithm,
    pub private: EncodingKey,
    pub public: Value,
}

impl Key {
    pub fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key())});
        let private = EncodingKey::from_ed_der(der.as_ref());
        Self { algorithm: jsonwebtoken::Algorithm::EdDSA, private, public }
    }

    pub fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
        let public = json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y});
        Self {
            algorithm: jsonwebtoken::Algorithm::ES256,
            private: EncodingKey::from_ec_der(der.as_ref()),
            public,
        }
    }

    pub fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // PKCS#8 wraps the PKCS#1 key that `jsonwebtoken` wants, behind a header of 26 bytes at this size.
        let private = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let public = json!({"kty": "RSA", "kid": kid, "n": b64(components.n), "e": b64(components.e)});
        Self { algorithm: jsonwebtoken::Algorithm::RS256, private, public }
    }

    /// The same key, used with another algorithm.
    pub fn using(self, algorithm: jsonwebtoken::Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    pub fn kid(&self) -> &str {
        self.public["kid"].as_str().unwrap()
    }

    pub fn header(&self) -> Header {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid().to_owned());
        header
    }

    pub fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&self.header(), claims, &self.private).unwrap()
    }

    /// Signs header and payload exactly as written.
    pub fn sign_raw(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(payload));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// The provider's configuration, as a file would give it, with one client of each kind.
pub fn config(keys: &[&Key]) -> Value {
    let public: Vec<&Value> = keys.iter().map(|key| &key.public).collect();
    json!({
        "issuer": ISSUER,
        "audiences": ["gantral"],
        "algorithms": ["EdDSA"],
        "keys": {"static": {"keys": public}},
        "tenant": {"claim": "org", "tenants": {"Example Ltd": "example", "Other Ltd": "other"}},
        "claims": {"roles": ["realm", "roles"], "teams": "groups"},
        "admin_roles": ["PLATFORM_ADMIN"],
        "clients": {
            "console": {"kind": "human"},
            "agent": {
                "kind": "workload", "tenant": "example", "roles": ["AGENT"], "teams": ["payments"],
                "owner": {"issuer": ISSUER, "subject": "bob"},
            },
            "machine": {"kind": "runner", "tenant": "example", "queues": ["default"]},
        },
    })
}

pub fn identity(issuers: &[Value]) -> IdentityConfig {
    serde_json::from_value(json!({ "issuers": issuers })).unwrap()
}

pub fn verifier(issuers: &[Value]) -> Verifier {
    Verifier::new(&identity(issuers)).unwrap()
}

/// Claims of a good token, good for an hour.
pub fn human() -> Value {
    claims(
        "alice",
        "console",
        json!({
            "org": "Example Ltd", "name": "Alice", "realm": {"roles": ["RISK_OFFICER"]}, "groups": ["payments"],
        }),
    )
}

/// Claims of a good token of a machine.
pub fn machine(client: &str) -> Value {
    claims(client, client, json!({}))
}

fn claims(subject: &str, client: &str, more: Value) -> Value {
    let claims = json!({
        "iss": ISSUER, "aud": "gantral", "sub": subject, "client_id": client,
        "iat": NOW_SECONDS, "exp": NOW_SECONDS + 3_600,
    });
    with(claims, more)
}

/// The claims, with some set anew; `null` takes one away.
pub fn with(mut claims: Value, changes: Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// Asserts that a token is refused, twice, since the second answer could come from memory.
#[track_caller]
pub fn refused(verifier: &Verifier, token: &str, expected: TokenError) {
    for _ in 0..2 {
        assert_eq!(verifier.verify(token, now()).map(|_| ()), Err(expected));
    }
}

#[track_caller]
pub fn accepted(verifier: &Verifier, token: &str) -> Principal {
    verifier.verify(token, now()).unwrap()
}
