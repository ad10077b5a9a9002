//! Signatures of bundles, checked as OPA checks them: who signed, and that every file is the one that was signed.
//!
//! `.signatures.json` holds one JWT whose payload lists each file with its digest. The signature has to be by a key that is named
//! beforehand, and every file of the bundle has to be in the list with its digest, and every name of the list in the bundle. What OPA
//! refuses is refused here. Stricter than OPA are: no shared secrets, no digests that can be forged (MD5, SHA-1), no name twice in the list, no
//! JSON that two readers may read differently, and a token that has expired (`exp`) is.
//!
//! Source: OPA's documentation of bundles, "Signing"; RFC 7515; what OPA 1.9 does.

mod digest;
mod keys;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::json::{self, Object, Profile, Value};
use gantral_core::time::UnixMillis;

use super::{Bundle, FILE_BYTES_MAX, SIGNATURES};
use digest::{DigestError, Hash};

pub use keys::{Algorithm, KEY_NAME_BYTES_MAX, KEYS_MAX, KeyError, VerificationKeys};

/// The verifier of OPA itself, as `opa build` names it; other names stand for plugins.
const OWN_PLUGIN: &str = "_default";

/// Who signed a bundle, as the keys of whoever checked it say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// The name of the key.
    pub key: String,
    /// What the key signs with.
    pub algorithm: Algorithm,
    /// The scope that key and signature name; nothing when neither does.
    pub scope: Option<String>,
}

/// Why a signed bundle is not accepted. Always the fault of whoever signed it or brought it, or of the configured keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There are no keys to check it with.
    #[error("the bundle is signed, and no key is configured to check it with")]
    NoKeys,
    /// Not the file that OPA documents.
    #[error("`.signatures.json` is not usable: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// It names a key that is not configured.
    #[error("it is signed by the key `{key}`, which is not configured")]
    UnknownKey {
        /// The name, cut to a length that can be shown.
        key: String,
    },
    /// It is made with another algorithm than the key's, or with none.
    #[error("it is signed with `{algorithm}`, which the key is not for")]
    Algorithm {
        /// As the token says, cut to a length that can be shown.
        algorithm: String,
    },
    /// The signature is not by the key.
    #[error("the signature is not by the key `{key}`")]
    Forged {
        /// The key that was tried; the last one where the token names none.
        key: String,
    },
    /// The token has another scope than the key, or one where the key has none.
    #[error("it is signed for another scope than the key `{key}` is")]
    Scope {
        /// The key.
        key: String,
    },
    /// The token says until when it counts, and that has passed.
    #[error("the signature has expired")]
    Expired,
    /// A file has another content than the one that was signed.
    #[error("`{path}` is not as it was signed")]
    Changed {
        /// The file.
        path: String,
    },
    /// A file that was not signed.
    #[error("`{path}` is not covered by the signature")]
    NotCovered {
        /// The file.
        path: String,
    },
    /// A file was signed that is not in the bundle.
    #[error("`{path}` was signed and is not in the bundle")]
    Absent {
        /// Its name, cut to a length that can be shown.
        path: String,
    },
    /// A file was signed by a digest that can be forged, or that nobody knows.
    #[error("`{path}` is signed by a digest other than SHA-224, SHA-256, SHA-384, SHA-512 and SHA-512-256")]
    Digest {
        /// The file.
        path: String,
    },
    /// A file of data is no JSON that everybody reads alike.
    #[error("`{path}` cannot be digested: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl SignatureError {
    /// Tells whether the signature is good and the files are other ones.
    pub const fn is_about_files(&self) -> bool {
        match self {
            Self::NoKeys
            | Self::Malformed { .. }
            | Self::UnknownKey { .. }
            | Self::Algorithm { .. }
            | Self::Forged { .. }
            | Self::Scope { .. }
            | Self::Expired => false,
            Self::Changed { .. }
            | Self::NotCovered { .. }
            | Self::Absent { .. }
            | Self::Digest { .. }
            | Self::Unreadable { .. } => true,
        }
    }
}

impl Bundle {
    /// Tells whether the bundle comes with a signature, good or not.
    pub fn is_signed(&self) -> bool {
        self.files.contains_key(SIGNATURES)
    }

    /// Checks the signature and every file; nothing when the bundle is not signed. May take seconds for the largest bundles.
    ///
    /// # Errors
    /// `SignatureError`; trying again is pointless.
    pub fn verify(
        &self,
        keys: &VerificationKeys,
        now: UnixMillis,
    ) -> Result<Option<SignedBy>, SignatureError> {
        let Some(content) = self.files.get(SIGNATURES) else {
            return Ok(None);
        };
        if keys.is_empty() {
            return Err(SignatureError::NoKeys);
        }
        let token = the_token(content)?;
        let token = Token::parse(&token)?;
        let signed_by = token.verify(keys)?;
        if token.has_expired(now)? {
            return Err(SignatureError::Expired);
        }
        self.verify_files(token.files()?)?;
        Ok(Some(signed_by))
    }

    fn verify_files(&self, mut listed: BTreeMap<String, Listed>) -> Result<(), SignatureError> {
        for (path, content) in self.files.iter().filter(|(path, _)| path.as_str() != SIGNATURES) {
            let path = || path.clone();
            let listed = listed.remove(&path()).ok_or_else(|| SignatureError::NotCovered { path: path() })?;
            let hash =
                Hash::parse(&listed.algorithm).ok_or_else(|| SignatureError::Digest { path: path() })?;
            let digest = digest::of_file(hash, &path(), content)
                .map_err(|DigestError { reason }| SignatureError::Unreadable { path: path(), reason })?;
            if !digest.eq_ignore_ascii_case(&listed.hash) {
                return Err(SignatureError::Changed { path: path() });
            }
        }
        match listed.into_keys().next() {
            None => Ok(()),
            Some(path) => Err(SignatureError::Absent { path: shown(&path) }),
        }
    }
}

/// One file of the list that was signed.
struct Listed {
    /// The digest in hexadecimal.
    hash: String,
    algorithm: String,
}

/// A signed token in its parts (RFC 7515 §7.1). The claims are read only after the signature was checked.
struct Token<'a> {
    message: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    /// The key's name: of the header, else of the claim that OPA wrote before there was one.
    key: Option<String>,
    claims: Object,
}

impl<'a> Token<'a> {
    fn parse(token: &'a str) -> Result<Self, SignatureError> {
        let in_three = || malformed("the token has not three parts");
        let (message, signature) = token.rsplit_once('.').ok_or_else(in_three)?;
        let (header, payload) = message.split_once('.').ok_or_else(in_three)?;
        let header = part(header)?;
        // Also covers `b64` (RFC 7797), which counts only if `crit` names it.
        if header.get("crit").is_some() {
            return Err(malformed("the token has extensions"));
        }
        let claims = part(payload)?;
        let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or("none").to_owned();
        let name = |object: &Object, member| match object.get(member) {
            None => Ok(None),
            Some(Value::String(name)) if name.is_empty() => Ok(None),
            Some(Value::String(name)) => Ok(Some(name.clone())),
            Some(_) => Err(malformed("the name of the key is no text")),
        };
        let key = match name(&header, "kid")? {
            Some(key) => Some(key),
            None => name(&claims, "keyid")?,
        };
        Ok(Self { message, signature: decoded(signature)?, algorithm, key, claims })
    }

    /// Finds the key that made the signature: the one that is named, else whichever of those with this algorithm it was.
    fn verify(&self, keys: &VerificationKeys) -> Result<SignedBy, SignatureError> {
        let refused = || SignatureError::Algorithm { algorithm: shown(&self.algorithm) };
        let made_by = |key: &keys::VerificationKey| {
            key.algorithm().as_str() == self.algorithm
                && key.verifies(self.message.as_bytes(), &self.signature)
        };
        let (name, key) = match &self.key {
            Some(name) => {
                let unknown = || SignatureError::UnknownKey { key: shown(name) };
                let (name, key) = keys.get(name).ok_or_else(unknown)?;
                if key.algorithm().as_str() != self.algorithm {
                    return Err(refused());
                }
                let forged = || SignatureError::Forged { key: name.to_owned() };
                made_by(key).then_some((name, key)).ok_or_else(forged)?
            }
            None => {
                let fit =
                    |(_, key): &(&str, &keys::VerificationKey)| key.algorithm().as_str() == self.algorithm;
                let (last, _) = keys.iter().filter(fit).last().ok_or_else(refused)?;
                let forged = || SignatureError::Forged { key: last.to_owned() };
                keys.iter().find(|(_, key)| made_by(key)).ok_or_else(forged)?
            }
        };
        let scope = match self.claims.get("scope") {
            None => None,
            Some(Value::String(scope)) => Some(scope.as_str()).filter(|scope| !scope.is_empty()),
            Some(_) => return Err(malformed("the scope is no text")),
        };
        if scope != key.scope() {
            return Err(SignatureError::Scope { key: name.to_owned() });
        }
        Ok(SignedBy { key: name.to_owned(), algorithm: key.algorithm(), scope: scope.map(ToOwned::to_owned) })
    }

    fn has_expired(&self, now: UnixMillis) -> Result<bool, SignatureError> {
        match self.claims.get("exp") {
            None => Ok(false),
            Some(expiry) => {
                let expiry = expiry.as_u64().ok_or_else(|| malformed("`exp` is no count of seconds"))?;
                Ok(now.get() / 1_000 >= expiry)
            }
        }
    }

    fn files(&self) -> Result<BTreeMap<String, Listed>, SignatureError> {
        let entries = self.claims.get("files").and_then(Value::as_array);
        let entries = entries.ok_or_else(|| malformed("the token lists no files"))?;
        let mut files = BTreeMap::new();
        for entry in entries {
            let text = |name| entry.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
            let read =
                || Some((text("name")?, Listed { hash: text("hash")?, algorithm: text("algorithm")? }));
            let (name, listed) = read().ok_or_else(|| {
                malformed("an entry of `files` has not the texts `name`, `hash` and `algorithm`")
            })?;
            if files.insert(name, listed).is_some() {
                return Err(malformed("a file is listed twice"));
            }
        }
        Ok(files)
    }
}

/// Reads `.signatures.json`: exactly one token, and no plugin that would have to check it.
fn the_token(content: &[u8]) -> Result<String, SignatureError> {
    let file = object(content)?;
    let plugin = file.get("plugin").map(Value::as_str);
    if !matches!(plugin, None | Some(Some("" | OWN_PLUGIN))) {
        return Err(malformed("it asks for a plugin"));
    }
    match file.get("signatures").and_then(Value::as_array) {
        Some([Value::String(token)]) => Ok(token.clone()),
        _ => Err(malformed("it has not exactly one signature")),
    }
}

fn part(text: &str) -> Result<Object, SignatureError> {
    object(&decoded(text)?)
}

/// Decodes base64url without padding; refuses bits that no byte uses, so that a part has one spelling.
fn decoded(text: &str) -> Result<Vec<u8>, SignatureError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed("a part of the token is not base64url"))
}

fn object(content: &[u8]) -> Result<Object, SignatureError> {
    match json::parse(content, &Profile::DOCUMENT.with_bytes_max(FILE_BYTES_MAX)) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(malformed("a part of it is not a JSON object")),
        Err(error) => Err(SignatureError::Malformed { reason: error.to_string() }),
    }
}

fn malformed(reason: &str) -> SignatureError {
    SignatureError::Malformed { reason: reason.to_owned() }
}

/// Cuts what a token says to a length that can be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
