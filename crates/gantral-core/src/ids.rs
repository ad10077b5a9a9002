//! Names and identifiers, parsed once at the edge.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt::{self, Write as _};

use crate::digest::{Digest, Hasher, parse_hex};

/// The longest name or identifier, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, too long, or a character outside the identifier's alphabet.
    #[error("`{found}` is not a name: 1 to 128 characters of A-Z a-z 0-9 . _ / : @ -")]
    Name {
        /// The text, cut to a length that can be shown.
        found: String,
    },
    /// Not a tenant name: `[a-z0-9._/-]{1,128}`.
    #[error("`{found}` is not a tenant: 1 to 128 characters of a-z 0-9 . _ / -")]
    Tenant {
        /// The text, cut to a length that can be shown.
        found: String,
    },
    /// Not a lower-case UUID of the expected version.
    #[error("`{found}` is not a lower-case UUID of version {versions}")]
    Uuid {
        /// The text, cut to a length that can be shown.
        found: String,
        /// The versions that it may have, in words.
        versions: &'static str,
    },
}

/// Returns at most 40 characters of what somebody sent, without control characters, for an error message.
fn shown(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/:@-".contains(&b))
}

fn is_tenant(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._/-".contains(&b))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:ident, $error:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parses the text, refusing anything outside the identifier's alphabet.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if $check(text) { Ok(Self(text.to_owned())) } else { Err(IdError::$error { found: shown(text) }) }
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_id!(
    /// One tenant: the outermost border of everything.
    TenantId, is_tenant, Tenant
);
text_id!(
    /// The name of one tenant's log.
    LogOrigin, is_tenant, Tenant
);
text_id!(
    /// A team that owns workflows.
    TeamId, is_name, Name
);
text_id!(
    /// The name of a workflow; with a version it names one definition.
    WorkflowId, is_name, Name
);
text_id!(
    /// A role that a principal holds or a gate asks for.
    Role, is_name, Name
);
text_id!(
    /// A short name: action, step, trigger, queue, engine, version label.
    Name, is_name, Name
);
impl Name {
    /// Returns the word `unknown`.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }
}

text_id!(
    /// Who acted: the `person_id` of a human, or the client identifier of a workload or runner.
    ActorId, is_name, Name
);
text_id!(
    /// A session that ties the instances of one agent run together.
    SessionId, is_name, Name
);

/// Puts the instant where a UUIDv7 has it, in its first 48 bits (RFC 9562 section 5.7).
const fn dated(millis: u64, mut bytes: [u8; 16]) -> [u8; 16] {
    let [_, _, instant @ ..] = millis.to_be_bytes();
    [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]] = instant;
    bytes
}

/// Sets version and variant (RFC 9562 section 4).
const fn stamped(mut bytes: [u8; 16], version: u8) -> [u8; 16] {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $first:literal $(or $other:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Wraps sixteen bytes that were stored before; refuses another version or variant.
            pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, IdError> {
                if [$first $(, $other)?].iter().any(|version| stamped(bytes, *version) == bytes) {
                    Ok(Self(bytes))
                } else {
                    Err(IdError::Uuid { found: hex::encode(bytes), versions: stringify!($first $(or $other)?) })
                }
            }

            /// Returns the sixteen bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Parses the lower-case form with dashes; nothing else is accepted.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_uuid(text)
                    .and_then(|bytes| Self::from_bytes(bytes).ok())
                    .ok_or_else(|| IdError::Uuid { found: shown(text), versions: stringify!($first $(or $other)?) })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(&self.0, f)
            }
        }
    };
}

macro_rules! random_ids {
    ($($name:ident)+) => {$(
        impl $name {
            /// Makes a UUIDv4 of sixteen random bytes (RFC 9562 section 5.4).
            pub const fn from_random(bytes: [u8; 16]) -> Self {
                Self(stamped(bytes, 4))
            }
        }
    )+};
}

macro_rules! dated_ids {
    ($($name:ident)+) => {$(
        impl $name {
            /// Makes a UUIDv7 of an instant and sixteen random bytes, of which it keeps 74 bits (RFC 9562 section 5.7).
            pub const fn at(millis: u64, random: [u8; 16]) -> Self {
                Self(stamped(dated(millis, random), 7))
            }
        }
    )+};
}

uuid_id!(
    /// One governed execution: a UUIDv7 of when it began, so that what is of one time stands together in a ledger, or a random UUIDv4.
    InstanceId, 4 or 7
);
uuid_id!(
    /// One request for authority that waits, or waited, for humans: a UUIDv7 of when it was asked, or a random UUIDv4.
    GateId, 4 or 7
);
uuid_id!(
    /// One permission to act once: a random UUIDv4.
    GrantId, 4
);
uuid_id!(
    /// One count that a client sends of what it did while no server answered: a random UUIDv4.
    ReportId, 4
);
uuid_id!(
    /// One change of the rules that waits for a second person: a random UUIDv4.
    ProposalId, 4
);
uuid_id!(
    /// The informational identifier of an artifact (UUIDv7); its hash is its identity.
    ArtifactId, 7
);
random_ids!(InstanceId GateId GrantId ReportId ProposalId);
dated_ids!(InstanceId GateId ArtifactId);

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut compact = String::with_capacity(32);
    for (index, c) in text.char_indices() {
        match (matches!(index, 8 | 13 | 18 | 23), c) {
            (true, '-') => {}
            (false, c) if c.is_ascii_hexdigit() => compact.push(c),
            _ => return None,
        }
    }
    parse_hex(&compact)
}

fn write_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            f.write_char('-')?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// Returns `SHA-256("gantral/instance/v1" 00 tenant 00 instance_id)`: names an instance without naming it.
pub fn instance_tag(tenant: &TenantId, instance: &InstanceId) -> Digest {
    Hasher::new("gantral/instance/v1").text(tenant.as_str()).bytes(instance.as_bytes()).finish()
}

/// Returns `SHA-256("gantral/governance/v1" 00 tenant 00)`: names a tenant's governance chain without naming the tenant.
pub fn governance_tag(tenant: &TenantId) -> Digest {
    Hasher::new("gantral/governance/v1").text(tenant.as_str()).finish()
}

/// A salted commitment to one human's issuer and subject, equal for the same human within one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub Digest);

impl PersonId {
    /// Returns the identifier under which this person acts.
    pub fn actor(&self) -> ActorId {
        ActorId(self.0.to_hex())
    }

    /// Reads a person back from the identifier under which somebody acted.
    pub fn from_actor(actor: &ActorId) -> Option<Self> {
        Digest::parse(actor.as_str()).ok().map(Self)
    }
}

/// The number of an attempt: the fencing number, counted from 1; 0 means that no attempt was ever assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptNo(pub u32);

impl AttemptNo {
    /// No attempt yet.
    pub const NONE: Self = Self(0);

    /// Returns the number that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for AttemptNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests;
