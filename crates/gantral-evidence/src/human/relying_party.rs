//! The relying party of WebAuthn: for whom an authenticator signs, and on which pages it may be asked.
//!
//! Source: `spec/human.md` H7; WebAuthn Level 3 §4 (RP ID).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use gantral_core::digest::Digest;

/// The most origins of one relying party.
pub const ORIGINS_MAX: usize = 16;
/// The longest origin, in bytes: a scheme, a name of a host, and a port.
pub const ORIGIN_BYTES_MAX: usize = 300;
/// The longest name of a host, in bytes (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// A relying party id: the name of a host, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelyingPartyId(String);

/// An origin, as a browser writes it: `https://approvals.example`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

/// The relying party that assertions are for. It is pinned, and never taken from evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// Its id.
    pub id: RelyingPartyId,
    /// Where it may be asked, 1 to [`ORIGINS_MAX`].
    pub origins: Vec<Origin>,
}

/// Why a text is not what a relying party is made of. The text is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelyingPartyError {
    /// Not the name of a host.
    #[error("a relying party id is the name of a host in lower case, at most 253 characters")]
    Id,
    /// Not an origin.
    #[error(
        "an origin is a scheme, `://` and a host, in visible ASCII, at most 300 characters, without a path"
    )]
    Origin,
    /// None, or more than [`ORIGINS_MAX`].
    #[error("a relying party has 1 to {ORIGINS_MAX} origins")]
    Origins,
}

impl RelyingPartyId {
    /// Parses the name of a host: letters in lower case, digits, dashes and dots.
    ///
    /// # Errors
    /// [`RelyingPartyError::Id`].
    pub fn parse(text: &str) -> Result<Self, RelyingPartyError> {
        let plain = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        let is_name = (1..=HOST_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
        if is_name { Ok(Self(text.into())) } else { Err(RelyingPartyError::Id) }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what an authenticator writes for it: the SHA-256 of the text.
    pub fn hash(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl Origin {
    /// Parses an origin. It is compared with what a browser wrote, byte for byte.
    ///
    /// # Errors
    /// [`RelyingPartyError::Origin`].
    pub fn parse(text: &str) -> Result<Self, RelyingPartyError> {
        let is_short = text.len() <= ORIGIN_BYTES_MAX;
        let host = text.split_once("://").map(|(scheme, host)| {
            let of_scheme = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'.' | b'-');
            let of_host = |c: u8| c.is_ascii_graphic() && c != b'/';
            let is_there = !scheme.is_empty() && !host.is_empty();
            is_there && scheme.bytes().all(of_scheme) && host.bytes().all(of_host)
        });
        if is_short && host == Some(true) { Ok(Self(text.into())) } else { Err(RelyingPartyError::Origin) }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RelyingParty {
    /// Names a relying party.
    ///
    /// # Errors
    /// [`RelyingPartyError::Origins`].
    pub fn new(id: RelyingPartyId, origins: Vec<Origin>) -> Result<Self, RelyingPartyError> {
        let fits = (1..=ORIGINS_MAX).contains(&origins.len());
        if fits { Ok(Self { id, origins }) } else { Err(RelyingPartyError::Origins) }
    }

    /// Tells whether it may be asked on pages of an origin.
    pub fn takes(&self, origin: &str) -> bool {
        self.origins.iter().any(|pinned| pinned.as_str() == origin)
    }
}

impl fmt::Display for RelyingPartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
