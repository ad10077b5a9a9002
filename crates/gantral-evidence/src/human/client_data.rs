//! What the browser says of the page that asked.
//!
//! Read by JSON rules of our own, strict about duplicates and limits, lenient about members that we do not know: browsers add some.
//! Source: `spec/human.md` H12; WebAuthn Level 3 §5.8.1 and §7.2.

use alloc::borrow::ToOwned as _;
use alloc::string::String;

use gantral_core::digest::Digest;
use gantral_core::json::{self, ParseError, Profile, Value};

use super::relying_party::RelyingParty;
use super::to_base64url;

/// The largest client data, in bytes.
pub const CLIENT_DATA_BYTES_MAX: usize = 4_096;

/// The member `type` where an authenticator was asked to sign, and not to make a key: nothing rests on the making of one.
const SIGNED: &str = "webauthn.get";

/// The members of client data that anything rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientData {
    kind: String,
    challenge: String,
    origin: String,
    is_embedded: bool,
}

/// Why bytes are no client data. Whoever made them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientDataError {
    /// Not JSON, or more than [`CLIENT_DATA_BYTES_MAX`].
    #[error("client data is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// A member is missing or of the wrong type.
    #[error("client data member `{0}` is missing or of the wrong type")]
    Member(&'static str),
}

/// Why client data is not about what it should be. Whoever presents it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientDataFault {
    /// Asked for something else than a signature.
    #[error("the client data is of another type than `{SIGNED}`")]
    Type,
    /// Another challenge.
    #[error("the authenticator was asked about something else")]
    Challenge,
    /// An origin that is not pinned.
    #[error("the authenticator was asked on a page of an origin that is not pinned")]
    Origin,
    /// A page inside a page of another origin.
    #[error("the authenticator was asked on a page inside a page of somebody else")]
    Embedded,
}

impl ClientData {
    /// Reads client data.
    ///
    /// # Errors
    /// What the bytes are not.
    pub fn parse(bytes: &[u8]) -> Result<Self, ClientDataError> {
        let value = json::parse(bytes, &Profile::DOCUMENT.with_bytes_max(CLIENT_DATA_BYTES_MAX))?;
        let text = |member| {
            let found = value.get(member).and_then(Value::as_str);
            found.map(str::to_owned).ok_or(ClientDataError::Member(member))
        };
        let crossed = match value.get("crossOrigin") {
            None => false,
            Some(crossed) => crossed.as_bool().ok_or(ClientDataError::Member("crossOrigin"))?,
        };
        Ok(Self {
            kind: text("type")?,
            challenge: text("challenge")?,
            origin: text("origin")?,
            is_embedded: crossed || value.get("topOrigin").is_some(),
        })
    }

    /// Checks that a page of the relying party asked for a signature, and about this challenge.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(&self, challenge: &Digest, relying_party: &RelyingParty) -> Result<(), ClientDataFault> {
        if self.kind != SIGNED {
            return Err(ClientDataFault::Type);
        }
        if self.challenge != to_base64url(challenge.as_bytes()) {
            return Err(ClientDataFault::Challenge);
        }
        if !relying_party.takes(&self.origin) {
            return Err(ClientDataFault::Origin);
        }
        if self.is_embedded { Err(ClientDataFault::Embedded) } else { Ok(()) }
    }
}
