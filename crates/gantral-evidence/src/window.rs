//! Many executions at once: what their issuer says was in a span of time. Source: `spec/window.md`.

mod judge;
mod list;
mod report;
mod statement;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;

use crate::container::{ContainerError, Files};
use crate::dsse::{ENVELOPE_BYTES_MAX, Envelope};
use crate::trust::Trust;
use crate::verify::{Code, Finding, Place, Said, Weight, authenticate_unplaced, code_of, code_of_envelope};

pub use judge::Judged;
pub use list::{INSTANCES_BYTES_MAX, INSTANCES_MAX, InstanceHead, InstanceList, ListError};
pub use report::{Found, WindowReport};
pub use statement::{PREDICATE_TYPE, WindowFilter, WindowStatement};

/// The file of the statement.
pub const STATEMENT_PATH: &str = "window.dsse.json";
/// The file of the list.
pub const LIST_PATH: &str = "instances.json";
/// The largest statement, in bytes. Whoever reads one reads a byte more, so that a larger one shows.
pub const STATEMENT_BYTES_MAX: usize = ENVELOPE_BYTES_MAX;
/// Why there is no verdict when a mirror or receipts are given beside a window (X8).
pub const NOTHING_BESIDE: &str =
    "a window is compared with a log by `gantral log monitor --bundles`, which reads the log once";

/// A statement and its list that a trusted issuer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// What the issuer says.
    pub statement: WindowStatement,
    /// The instances.
    pub list: InstanceList,
    /// What is worth knowing of the statement and changes nothing (X9).
    pub notes: Vec<Finding>,
}

/// Why a window says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFault {
    /// The code of the verdict table.
    pub code: Code,
    /// What is wrong, for people.
    pub message: String,
}

impl WindowFault {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Returns what files under `keys/` that are none of a bundle are to a window (X5).
    pub fn keys(error: &ContainerError) -> Self {
        Self::new(Code::Container, error.to_string())
    }

    /// Returns what the fault makes of the verdict.
    pub fn weight(&self) -> Weight {
        self.code.weight()
    }
}

impl Window {
    /// Reads and authenticates a window (X5). `keys` are its files under `keys/`: the delegation of the key that signed, if it needs one.
    /// A list that is not there is `None`. An envelope by an unknown key, or without a trust file, vouches for nothing.
    ///
    /// # Errors
    /// The fault, with its code.
    pub fn open(
        statement: &[u8],
        list: Option<&[u8]>,
        keys: &Files<'_>,
        trust: Option<&Trust>,
    ) -> Result<Self, WindowFault> {
        let envelope = Envelope::parse(statement)
            .map_err(|error| WindowFault::new(code_of_envelope(&error), error.to_string()))?;
        let read = |payload: &[u8]| {
            WindowStatement::decode_extended(payload).map_err(|error| (code_of(&error), error.to_string()))
        };
        let authentic =
            authenticate_unplaced(STATEMENT_PATH, &envelope, keys, trust, read, |(read, _)| Said {
                tenant: &read.tenant,
                origin: &read.origin,
                at: read.at,
                size: read.anchor.map_or(0, |anchor| anchor.size),
            });
        let ((statement, extensions), mut notes) =
            authentic.map_err(|(code, message)| WindowFault::new(code, message))?;
        notes.extend(extensions.into_iter().map(|name| Finding {
            code: Code::Ext,
            weight: Code::Ext.weight(),
            place: Place::File(STATEMENT_PATH.into()),
            message: alloc::format!("extension `{name}` was ignored"),
        }));
        let container = |message: String| WindowFault::new(Code::Container, message);
        let list = list.ok_or_else(|| container(alloc::format!("`{LIST_PATH}` is not there")))?;
        if Digest::of(list) != statement.instances_digest {
            return Err(container(alloc::format!("`{LIST_PATH}` is not the list that was signed")));
        }
        let list = InstanceList::parse(list).map_err(|error| container(error.to_string()))?;
        if u64::try_from(list.instances.len()) != Ok(statement.count) {
            return Err(container(alloc::format!(
                "`{LIST_PATH}` has another number of instances than was signed"
            )));
        }
        Ok(Self { statement, list, notes })
    }
}

#[cfg(test)]
mod tests;
