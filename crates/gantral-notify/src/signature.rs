//! Signatures of messages (Standard Webhooks, symmetric, `v1`).

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign as authenticate};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A secret that a receiver shares. Never shown.
#[derive(Clone)]
pub(crate) struct Secret(Key);

impl Secret {
    /// Takes the bytes of a secret.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Returns the value of `webhook-signature`: one signature for each secret, so that a receiver may know any of them.
/// `timestamp` is in seconds since 1970.
pub(crate) fn sign<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    id: &str,
    timestamp: u64,
    body: &[u8],
) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let one = |secret: &Secret| format!("v1,{}", STANDARD.encode(authenticate(&secret.0, &signed)));
    secrets.into_iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
