//! Many executions at once: what their issuer says was in a span of time. Source: `spec/window.md`.

mod list;
mod statement;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;

use crate::dsse::{Envelope, EnvelopeError, PAYLOAD_TYPE, pae};
use crate::keys::KeyId;
use crate::trust::{KeyRole, Trust};
use crate::verify::{Code, Weight, code_of};

pub use list::{INSTANCES_BYTES_MAX, INSTANCES_MAX, InstanceHead, InstanceList, ListError};
pub use statement::{PREDICATE_TYPE, WindowFilter, WindowStatement};

/// The file of the statement.
pub const STATEMENT_PATH: &str = "window.dsse.json";
/// The file of the list.
pub const LIST_PATH: &str = "instances.json";

/// A statement and its list that a trusted issuer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// What the issuer says.
    pub statement: WindowStatement,
    /// The instances.
    pub list: InstanceList,
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

    /// Returns what the fault makes of the verdict.
    pub fn weight(&self) -> Weight {
        self.code.weight()
    }
}

impl Window {
    /// Reads and authenticates a window (X5). An envelope by an unknown key, or without a trust file, vouches for nothing.
    ///
    /// # Errors
    /// The fault, with its code.
    pub fn open(statement: &[u8], list: &[u8], trust: Option<&Trust>) -> Result<Self, WindowFault> {
        let envelope = Envelope::parse(statement).map_err(|error| match error {
            EnvelopeError::PayloadType(_) => WindowFault::new(Code::Unsupported, error.to_string()),
            EnvelopeError::Limit(_) => WindowFault::new(Code::Limit, error.to_string()),
            _ => WindowFault::new(Code::Container, error.to_string()),
        })?;
        authenticate(&envelope, trust)?;
        let statement = WindowStatement::decode(&envelope.payload)
            .map_err(|error| WindowFault::new(code_of(&error), error.to_string()))?;
        let container = |message: String| WindowFault::new(Code::Container, message);
        if Digest::of(list) != statement.instances_digest {
            return Err(container(alloc::format!("`{LIST_PATH}` is not the list that was signed")));
        }
        let list = InstanceList::parse(list).map_err(|error| container(error.to_string()))?;
        if u64::try_from(list.instances.len()) != Ok(statement.count) {
            return Err(container(alloc::format!(
                "`{LIST_PATH}` has another number of instances than was signed"
            )));
        }
        Ok(Self { statement, list })
    }
}

/// Checks that a trusted issuer signed: the same order of faults as for an artifact (V7).
fn authenticate(envelope: &Envelope, trust: Option<&Trust>) -> Result<(), WindowFault> {
    let Some(trust) = trust else { return Err(WindowFault::new(Code::NoTrust, Code::NoTrust.meaning())) };
    let message = pae(PAYLOAD_TYPE, &envelope.payload);
    let known: Vec<_> = envelope
        .signatures
        .iter()
        .filter_map(|signature| {
            let key = trust.key(&KeyId::parse(&signature.key_id).ok()?)?;
            Some((key, key.key.verify_strict(&message, &signature.signature).is_ok()))
        })
        .collect();
    if known.iter().any(|(key, good)| *good && key.role == KeyRole::Issuer) {
        Ok(())
    } else if known.iter().any(|(_, good)| *good) {
        Err(WindowFault::new(Code::KeyRole, "the statement is signed by a key of another role"))
    } else if known.is_empty() {
        Err(WindowFault::new(Code::KeyUnknown, Code::KeyUnknown.meaning()))
    } else {
        Err(WindowFault::new(Code::Sig, "the signature of the statement does not verify"))
    }
}

#[cfg(test)]
mod tests;
