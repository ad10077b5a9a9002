//! What one request or one mail says: one message, or several that were gathered.

use gantral_core::digest::Hasher;
use gantral_core::ids::TenantId;
use gantral_store::{About, Gathered, OutboxRow};

/// What the version of the data of a message is called; another one if a member changes its meaning or goes.
pub(crate) const SCHEMA: &str = "gantral/notification/v1";
/// The same of what was gathered.
pub(crate) const DIGEST_SCHEMA: &str = "gantral/digest/v1";
/// How an identifier begins.
const ID_PREFIX: &str = "msg_";
/// How many hexadecimal digits follow.
const ID_DIGITS: usize = 32;

/// A member of an action's parameters that its workflow lets messages show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it stands (RFC 6901).
    pub pointer: String,
    /// What stands there, as JSON, inert and cut to a length that can be shown.
    pub value: String,
}

/// What is said at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// One message, with the members that it may show.
    One(Box<OutboxRow>, Vec<Member>),
    /// The newest message about each of several things, at least two.
    Many(Vec<Gathered>),
}

impl Told {
    /// Returns its identifier: the same whenever the same is said, to whomever.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::One(row, _) => message_id(row),
            Self::Many(items) => {
                let ids = items.iter().map(|item| message_id(&item.row));
                identifier(ids.fold(Hasher::new(DIGEST_SCHEMA), |hasher, id| hasher.text(&id)))
            }
        }
    }

    /// Returns the tenant that it is about.
    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::One(row, _) => Some(&row.tenant),
            Self::Many(items) => items.first().map(|item| &item.row.tenant),
        }
    }
}

/// Returns the identifier of a message: the same for every try, and for everybody who is told.
pub fn message_id(row: &OutboxRow) -> String {
    let version = match &row.about {
        About::Gate(gate) => gate.version,
        About::Proposal(_) => 0,
    };
    let hasher = Hasher::new(SCHEMA)
        .text(row.tenant.as_str())
        .bytes(row.about.subject())
        .bytes(&version.to_be_bytes())
        .text(row.kind.as_str())
        .bytes(&[row.percent.unwrap_or_default()]);
    identifier(hasher)
}

fn identifier(hasher: Hasher) -> String {
    let digits: String = hasher.finish().to_hex().chars().take(ID_DIGITS).collect();
    format!("{ID_PREFIX}{digits}")
}
