//! The compact form of a signed token (RFC 7515 section 7.1), taken apart without believing any of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::json::{self, Object, Profile, Value};

use crate::error::TokenError;
use crate::keys::{Algorithm, KEY_ID_BYTES_MAX, KeyRing};

/// A token in its parts. Nothing in it may be used but to find the issuer and the key, until
/// [`verify`](Self::verify) has passed.
pub(crate) struct Unverified<'a> {
    message: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: String,
    /// `typ` in lower case without `application/` (RFC 7515 section 4.1.9).
    typ: Option<String>,
    claims: Object,
}

impl<'a> Unverified<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        // A fourth part would stay in the payload, where a dot is no base64url.
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let header = object(header)?;
        // Also covers `b64` (RFC 7797), which counts only if `crit` names it.
        if header.get("crit").is_some() {
            return Err(TokenError::Extension);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
        let algorithm = algorithm.ok_or(TokenError::Algorithm)?;
        let kid = header.get("kid").and_then(Value::as_str).filter(|kid| kid.len() <= KEY_ID_BYTES_MAX);
        let kid = kid.ok_or(TokenError::KeyMissing)?.to_owned();
        let typ = match header.get("typ") {
            None => None,
            Some(typ) => Some(media_type(typ.as_str().ok_or(TokenError::Type)?)),
        };
        Ok(Self { message, signature: decode(signature)?, algorithm, kid, typ, claims: object(payload)? })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Returns who claims to have issued this: enough to choose the keys, and good for nothing else.
    pub(crate) fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Checks the signature and hands out the claims.
    pub(crate) fn verify(self, keys: &KeyRing) -> Result<Object, TokenError> {
        keys.verify(&self.kid, self.algorithm, self.message.as_bytes(), &self.signature)?;
        Ok(self.claims)
    }
}

fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map_or_else(|| typ.clone(), ToOwned::to_owned)
}

/// Decodes base64url without padding; refuses bits that no byte uses, so that a part has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

/// Reads a JSON object; a member that stands twice, at any depth, is refused (RFC 8725 section 2.6).
fn object(part: &str) -> Result<Object, TokenError> {
    match json::parse(&decode(part)?, &Profile::DOCUMENT) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(TokenError::Malformed),
    }
}
