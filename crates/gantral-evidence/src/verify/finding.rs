//! Findings: a code, where, and a sentence.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use gantral_core::digest::CommitmentLabel;
use gantral_core::json::ParseClass;

use super::code::{Code, Weight};
use crate::container::{ContainerError, MANIFEST_PATH};

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the window as a whole.
    Window,
    /// In the bundle as a whole.
    Bundle,
    /// In an artifact, by its place in the chain.
    Artifact(u64),
    /// In an artifact of the governance chain, by its place there.
    Governance(u64),
    /// In what was committed to under a label by an artifact; without one, anywhere in the chain.
    Label(CommitmentLabel, Option<u64>),
    /// In a file.
    File(String),
    /// In the mirror of the log.
    Mirror,
    /// In a line of the receipts, from 1.
    Receipt(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window => f.write_str("window"),
            Self::Bundle => f.write_str("bundle"),
            Self::Artifact(sequence) => write!(f, "artifact {sequence}"),
            Self::Governance(sequence) => write!(f, "governance {sequence}"),
            Self::Label(label, Some(sequence)) => write!(f, "{} of artifact {sequence}", label.as_str()),
            Self::Label(label, None) => f.write_str(label.as_str()),
            Self::File(path) => f.write_str(path),
            Self::Mirror => f.write_str("mirror"),
            Self::Receipt(line) => write!(f, "receipt {line}"),
        }
    }
}

/// One thing that was found. Findings are ordered by code, then place, then sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The row of the verdict table.
    pub code: Code,
    /// How much it weighs here.
    pub weight: Weight,
    /// Where.
    pub place: Place,
    /// What, in a sentence.
    pub message: String,
}

impl PartialOrd for Finding {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finding {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.code.as_str(), finding.place.clone(), finding.weight);
        key(self).cmp(&key(other)).then_with(|| self.message.cmp(&other.message))
    }
}

/// Everything that was found so far: a set.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings(BTreeSet<Finding>);

impl Findings {
    pub(super) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Adds a finding with the weight of its code.
    pub(super) fn add(&mut self, code: Code, place: Place, message: impl Into<String>) {
        self.weighed(code, code.weight(), place, message);
    }

    /// Adds a finding with a weight of its own.
    pub(super) fn weighed(&mut self, code: Code, weight: Weight, place: Place, message: impl Into<String>) {
        self.0.insert(Finding { code, weight, place, message: message.into() });
    }

    /// Adds a finding about the bundle as a whole, in the words of its code.
    pub(super) fn bundle(&mut self, code: Code) {
        self.add(code, Place::Bundle, code.meaning());
    }

    /// Adds what files that are not a bundle are.
    pub(super) fn container(&mut self, error: &ContainerError) {
        let code = match error {
            ContainerError::Limit(_) => Code::Limit,
            ContainerError::UnknownFormat => Code::Unsupported,
            ContainerError::ManifestJson(error) if error.kind.class() == ParseClass::Limit => Code::Limit,
            ContainerError::Path { .. }
            | ContainerError::Duplicate { .. }
            | ContainerError::NotRegular { .. }
            | ContainerError::Tar { .. }
            | ContainerError::NoManifest
            | ContainerError::ManifestJson(_)
            | ContainerError::ManifestMember(_) => Code::Container,
        };
        let place = match error {
            ContainerError::Path { path } | ContainerError::Duplicate { path } => Place::File(path.clone()),
            ContainerError::NoManifest
            | ContainerError::ManifestJson(_)
            | ContainerError::UnknownFormat
            | ContainerError::ManifestMember(_) => Place::File(MANIFEST_PATH.into()),
            ContainerError::Limit(_) | ContainerError::NotRegular { .. } | ContainerError::Tar { .. } => {
                Place::Bundle
            }
        };
        self.add(code, place, error.to_string());
    }

    pub(super) fn into_sorted(self) -> Vec<Finding> {
        self.0.into_iter().collect()
    }
}
