//! References to secrets, resolved once at the start: the values go nowhere but into signatures and to the server that they are for.

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
    /// What it refers to is nothing that can be sent.
    #[error("`{reference}` holds no line of text")]
    Line {
        /// The reference.
        reference: String,
    },
}

/// Tells whether a text refers to a secret, as opposed to holding one.
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// Returns the signing secret that a reference refers to.
pub(crate) fn resolve(
    reference: &str,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Secret, SecretError> {
    let form = || SecretError::Form { reference: reference.to_owned() };
    let bytes = referenced(reference, environment)?;
    let text = std::str::from_utf8(bytes.trim_ascii()).map_err(|_| form())?;
    let encoded = text.strip_prefix(PREFIX).ok_or_else(form)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| form())?;
    if BYTES.contains(&bytes.len()) { Ok(Secret::from_bytes(&bytes)) } else { Err(form()) }
}

/// Returns the line that a reference (`env:NAME`, `file:/path`) refers to: an address that holds a token, or a password. What is around it is
/// left out.
///
/// # Errors
/// `SecretError`, which shows nothing of the value.
pub fn resolve_line(
    reference: &str,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<String, SecretError> {
    let bytes = referenced(reference, environment)?;
    let line = std::str::from_utf8(bytes.trim_ascii()).ok().filter(|line| !line.is_empty());
    let line = line.filter(|line| !line.chars().any(char::is_control));
    line.map(str::to_owned).ok_or_else(|| SecretError::Line { reference: reference.to_owned() })
}

fn referenced(
    reference: &str,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<u8>, SecretError> {
    if let Some(name) = reference.strip_prefix("env:") {
        let value = environment(name).ok_or_else(|| SecretError::Missing { name: name.to_owned() })?;
        Ok(value.as_bytes().to_vec())
    } else if let Some(path) = reference.strip_prefix("file:").filter(|path| Path::new(path).is_absolute()) {
        read_secret(Path::new(path), FILE_BYTES_MAX)
            .map_err(|source| SecretError::File { path: path.to_owned(), source })
    } else {
        Err(SecretError::Reference)
    }
}

#[cfg(test)]
mod tests;
