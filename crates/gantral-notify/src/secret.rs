//! References to signing secrets, resolved once at the start. The values go nowhere but into signatures.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_outbound::read_secret;

use crate::signature::Secret;

/// The most secrets of one webhook: the present one, the next one, and one in between.
pub const SECRETS_MAX: usize = 4;
/// How a secret begins (Standard Webhooks).
const PREFIX: &str = "whsec_";
/// The lengths that a secret may have, in bytes (Standard Webhooks).
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The largest file of a secret, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 10;

/// Why a reference gives no secret. Whoever wrote the configuration is at fault; nothing of the value is shown.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Neither `env:NAME` nor `file:/path`.
    #[error("a secret is written `env:NAME` or `file:/path`; the value itself does not belong here")]
    Reference,
    /// The environment has no such variable.
    #[error("the environment has no `{name}`")]
    Missing {
        /// The variable.
        name: String,
    },
    /// The file cannot be used.
    #[error("`{path}` cannot be used: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// What it refers to is none.
    #[error("`{reference}` holds no secret: `whsec_` and the base64 of 24 to 64 random bytes")]
    Form {
        /// The reference.
        reference: String,
    },
}

/// Returns what a reference refers to.
pub(crate) fn resolve(
    reference: &str,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Secret, SecretError> {
    let text = if let Some(name) = reference.strip_prefix("env:") {
        let value = environment(name).ok_or_else(|| SecretError::Missing { name: name.to_owned() })?;
        value.as_bytes().to_vec()
    } else if let Some(path) = reference.strip_prefix("file:").filter(|path| Path::new(path).is_absolute()) {
        read_secret(Path::new(path), FILE_BYTES_MAX)
            .map_err(|source| SecretError::File { path: path.to_owned(), source })?
    } else {
        return Err(SecretError::Reference);
    };
    let form = || SecretError::Form { reference: reference.to_owned() };
    let text = std::str::from_utf8(text.trim_ascii()).map_err(|_| form())?;
    let encoded = text.strip_prefix(PREFIX).ok_or_else(form)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| form())?;
    if BYTES.contains(&bytes.len()) { Ok(Secret::from_bytes(&bytes)) } else { Err(form()) }
}

#[cfg(test)]
mod tests;
