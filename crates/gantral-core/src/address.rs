//! Addresses of captured evidence: where bytes are kept that a digest names. They are sealed and never erased, so nothing stands in them by
//! which credentials travel: no user, no query, no fragment. Source: `spec/artifact.md` A16.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use crate::secret;

/// The longest address, in bytes: a key of an object store (1024 bytes at most in those we know) seldom fills it, and as many as one report may
/// name fit into an artifact.
pub const ADDRESS_BYTES_MAX: usize = 1024;

/// The longest scheme, in bytes.
const SCHEME_BYTES_MAX: usize = 32;

/// Why a text is no address of evidence. The message never repeats the text: it may hold a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than [`ADDRESS_BYTES_MAX`].
    #[error("an address of evidence has at most 1024 characters")]
    TooLong,
    /// No scheme, or one with characters that schemes do not have.
    #[error(
        "an address of evidence begins with a scheme in lower case and `://`, as `https://` and `s3://` do"
    )]
    Scheme,
    /// Nothing behind the scheme.
    #[error("an address of evidence names something behind its scheme")]
    Empty,
    /// A user, and perhaps a password, before the host.
    #[error("an address of evidence names no user and no password: it is sealed, and never erased")]
    User,
    /// A query, as signed addresses have it, or a fragment.
    #[error(
        "an address of evidence has no query and no fragment: signatures and tokens travel there, and it is sealed"
    )]
    Query,
    /// A character that may not stand where it stands.
    #[error("an address of evidence has only characters of RFC 3986, others percent-encoded")]
    Character,
    /// A segment that looks like a credential.
    #[error("a part of the address of evidence looks like a secret: it is sealed, and never erased")]
    Secret,
}

impl AddressError {
    /// Returns the stable word for this error.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Scheme => "scheme",
            Self::Empty => "empty",
            Self::User => "user",
            Self::Query => "query",
            Self::Character => "character",
            Self::Secret => "secret",
        }
    }
}

/// Where captured evidence is kept: scheme, host and path, and nothing else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvidenceUrl(String);

impl EvidenceUrl {
    /// Reads the form of an address, as the format says it.
    ///
    /// # Errors
    /// What is wrong with it, without the text. The same text fails again.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        if !is_scheme(scheme) {
            return Err(AddressError::Scheme);
        }
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        // Before the query: a password may hold a question mark, and is the worse of the two.
        if authority.contains('@') {
            return Err(AddressError::User);
        }
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        if rest.is_empty() {
            return Err(AddressError::Empty);
        }
        if is_authority(authority) && is_path(path) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError::Character)
        }
    }

    /// Reads an address that somebody wants sealed: it must have its form, and no part of it may look like a credential.
    ///
    /// # Errors
    /// As [`Self::parse`], and `Secret`. The heuristic of [`crate::secret`] is for writers alone: what was sealed is read by its form.
    pub fn admit(text: &str) -> Result<Self, AddressError> {
        let address = Self::parse(text)?;
        no_part_is_secret(text)?;
        Ok(address)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EvidenceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EvidenceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Checks a name under which evidence is to be sealed. A name may be an address, as it was before addresses had a place of their own: then it must be a
/// good one; and no name may look like a credential.
///
/// # Errors
/// As [`EvidenceUrl::admit`].
pub fn admit_name(name: &str) -> Result<(), AddressError> {
    if name.contains("://") {
        return EvidenceUrl::admit(name).map(|_| ());
    }
    no_part_is_secret(name)
}

fn no_part_is_secret(text: &str) -> Result<(), AddressError> {
    if text.split(['/', ':']).any(secret::looks_like_secret) { Err(AddressError::Secret) } else { Ok(()) }
}

fn is_scheme(text: &str) -> bool {
    (1..=SCHEME_BYTES_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b))
}

/// A host, or none, and a port, or none: RFC 3986 section 3.2 without a user.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, port)) => {
            let holds = literal.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b));
            if literal.is_empty() || !holds {
                return false;
            }
            ("", port)
        }
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let is_port =
        |digits: &str| (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// The path of RFC 3986 section 3.3 that follows an authority.
fn is_path(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let holds = match byte {
            b'%' => [bytes.next(), bytes.next()].iter().all(|b| b.is_some_and(|b| b.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"/._~!$&'()*+,;=:@-".contains(&byte),
        };
        if !holds {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
