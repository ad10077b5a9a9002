//! What comes in, and what goes out: the numbers by which both are known outside.

use gantral_core::json::DOCUMENT_BYTES_MAX;
use gantral_evidence::container::{CONTENT_BYTES_MAX, TAR_BYTES_MAX};
use gantral_evidence::log::note::NOTE_BYTES_MAX;
use gantral_evidence::verify::{OBJECT_BYTES_MAX, RECEIPTS_BYTES_MAX};
use gantral_evidence::window::{INSTANCES_BYTES_MAX, STATEMENT_BYTES_MAX};

/// The longest path that is looked at, in bytes; far beyond what a bundle may have.
const PATH_BYTES_MAX: usize = 4 << 10;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bundle as a tar.
    Tar,
    /// The path of a file of a bundle, before its content; of a window, of a file under `keys/`.
    Path,
    /// The content of that file.
    Content,
    /// The trust file.
    Trust,
    /// Receipts, one a line.
    Receipts,
    /// The checkpoint of a mirror, after bundle and trust file.
    Checkpoint,
    /// The object of a mirror that was asked for.
    Entries,
    /// The statement of a window.
    Statement,
    /// The list of the instances of a window.
    List,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Tar,
        Self::Path,
        Self::Content,
        Self::Trust,
        Self::Receipts,
        Self::Checkpoint,
        Self::Entries,
        Self::Statement,
        Self::List,
    ];

    /// Returns the kind of a number: its place in the list above, from 0.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Returns the most bytes that a value may have. What the verifier itself limits may have one more, so that it can say so.
    pub(super) const fn bytes_max(self) -> usize {
        match self {
            Self::Tar => TAR_BYTES_MAX,
            Self::Path => PATH_BYTES_MAX,
            Self::Content => CONTENT_BYTES_MAX,
            Self::Trust => DOCUMENT_BYTES_MAX + 1,
            Self::Receipts => RECEIPTS_BYTES_MAX + 1,
            Self::Checkpoint => NOTE_BYTES_MAX + 1,
            Self::Entries => OBJECT_BYTES_MAX,
            Self::Statement => STATEMENT_BYTES_MAX + 1,
            Self::List => INSTANCES_BYTES_MAX + 1,
        }
    }
}

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The JSON report, as `gantral-verify --json` prints it.
    Json,
    /// The report as text, as `gantral-verify` prints it.
    Text,
    /// The sentences of the report, in parts, as JSON.
    Sentences,
    /// Why there is no verdict; empty if nothing has failed.
    Failure,
    /// The names of what is wanted, an object of the mirror or a bundle of the window, one a line.
    Wanted,
    /// How many bundles of the window were judged, and of how many, one a line.
    Progress,
}

impl Form {
    const ALL: [Self; 6] =
        [Self::Json, Self::Text, Self::Sentences, Self::Failure, Self::Wanted, Self::Progress];

    /// Returns the form of a number: its place in the list above, from 0.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}
