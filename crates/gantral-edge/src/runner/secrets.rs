//! Secret references: resolved here, just before a launch, and nowhere else.
//!
//! A value goes into the environment of one process and is never logged, stored or sent; an error names the variable
//! and the reference.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The largest secret, in bytes: what a system passes in one variable, by far.
pub const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Why a reference cannot be resolved. The configuration of this machine, or the definition, is at fault.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The runner's environment has no such variable.
    #[error("the secret `{variable}` refers to `{reference}`, which the runner's environment does not have")]
    Missing {
        /// The variable that the process expects.
        variable: String,
        /// The reference.
        reference: String,
    },
    /// The file cannot be read.
    #[error("the secret `{variable}` refers to `{reference}`: {error}")]
    Unreadable {
        /// The variable that the process expects.
        variable: String,
        /// The reference.
        reference: String,
        /// Why.
        error: io::Error,
    },
    /// Not a reference of a known scheme, or not an absolute path.
    #[error("the secret `{variable}` refers to `{reference}`, which is not `env:NAME` or `file:/path`")]
    Scheme {
        /// The variable that the process expects.
        variable: String,
        /// The reference.
        reference: String,
    },
    /// Too long, empty, or not something that an environment can hold.
    #[error(
        "the secret `{variable}` refers to `{reference}`, which is empty, too long, or holds a zero byte"
    )]
    Unusable {
        /// The variable that the process expects.
        variable: String,
        /// The reference.
        reference: String,
    },
}

/// Resolves references, by environment variable. `environment` is the runner's own.
///
/// # Errors
/// For the first reference that cannot be resolved.
pub(super) fn resolve(
    references: &BTreeMap<String, String>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<BTreeMap<OsString, OsString>, SecretError> {
    references
        .iter()
        .map(|(variable, reference)| {
            let value = resolve_one(variable, reference, &environment)?;
            fits(variable, reference, value.as_bytes())?;
            Ok((OsString::from(variable), value))
        })
        .collect()
}

/// Tells whether a value can be what a reference was meant to lead to.
pub(super) fn fits(variable: &str, reference: &str, value: &[u8]) -> Result<(), SecretError> {
    let fits = u64::try_from(value.len()).is_ok_and(|length| (1..=SECRET_BYTES_MAX).contains(&length));
    if !fits || value.contains(&0) {
        let (variable, reference) = (variable.to_owned(), reference.to_owned());
        return Err(SecretError::Unusable { variable, reference });
    }
    Ok(())
}

/// Resolves one reference; `variable` is what it is called in an error.
pub(super) fn resolve_one(
    variable: &str,
    reference: &str,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<OsString, SecretError> {
    let names = || (variable.to_owned(), reference.to_owned());
    if let Some(name) = reference.strip_prefix("env:") {
        return environment(name).ok_or_else(|| {
            let (variable, reference) = names();
            SecretError::Missing { variable, reference }
        });
    }
    match reference.strip_prefix("file:").map(Path::new) {
        Some(path) if path.is_absolute() => read(path).map_err(|error| {
            let (variable, reference) = names();
            SecretError::Unreadable { variable, reference, error }
        }),
        _ => {
            let (variable, reference) = names();
            Err(SecretError::Scheme { variable, reference })
        }
    }
}

/// Reads a file without the line end that editors leave; one byte more than allowed, so that too long is noticed.
fn read(path: &Path) -> io::Result<OsString> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let trimmed = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let trimmed = trimmed.strip_suffix(b"\r").unwrap_or(trimmed);
    Ok(OsStr::from_bytes(trimmed).to_owned())
}

/// Names that every command inherits.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Returns the part of the runner's environment that commands inherit. What is Gantral's own is never passed on: it
/// may be the runner's token.
pub(super) fn inherited(
    names: &[String],
    environment: impl Fn(&str) -> Option<OsString>,
) -> BTreeMap<OsString, OsString> {
    let names = INHERITED.into_iter().chain(names.iter().map(String::as_str));
    names
        .filter(|name| !name.starts_with("GANTRAL_"))
        .filter_map(|name| Some((OsString::from(name), environment(name)?)))
        .collect()
}

#[cfg(test)]
mod tests;
