//! The journal of an executor: every receipt that it was given, one a line, kept on its own disk.
//!
//! Whoever holds a receipt can show later what the server promised, also to a server that has forgotten it. The lines are the
//! receipts of `spec/verification.md` §14. The file grows until its owner moves it away.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use gantral_api::wire::{Document, Receipt};

use crate::private;

/// How many receipts a server is shown: the newest of each of so many chains.
pub const SHOWN_MAX: usize = 100;
/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = 128 << 10;

/// Why the journal cannot be used. The environment is at fault; nothing may be done that was not written down.
#[derive(Debug, thiserror::Error)]
#[error("the journal `{path}` cannot be used: {error}", path = path.display())]
pub struct JournalError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// One journal, which several processes may append to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// Names a journal; the file is made, for its owner alone, with the first receipt.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes receipts down, durable when this returns.
    ///
    /// # Errors
    /// When they may not be durable; the caller must not act on what they say.
    pub fn append(&self, receipts: &[Receipt]) -> Result<(), JournalError> {
        if receipts.is_empty() {
            return Ok(());
        }
        self.write(receipts).map_err(|error| JournalError { path: self.path.clone(), error })
    }

    fn write(&self, receipts: &[Receipt]) -> io::Result<()> {
        let mut lines = Vec::new();
        for receipt in receipts {
            serde_json::to_writer(&mut lines, receipt)?;
            lines.push(b'\n');
        }
        private::append(&self.path, lines)
    }

    /// Returns the newest receipt of each chain, at most those of the [`SHOWN_MAX`] chains that were written to last. A line
    /// that is no receipt, because a crash cut it off, is left out.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn newest(&self) -> Result<Vec<Document>, JournalError> {
        self.read().map_err(|error| JournalError { path: self.path.clone(), error })
    }

    fn read(&self) -> io::Result<Vec<Document>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        let mut newest: BTreeMap<String, (usize, Document)> = BTreeMap::new();
        for (at, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line?;
            if line.len() > LINE_BYTES_MAX {
                continue;
            }
            if let Ok(receipt) = serde_json::from_slice::<Receipt>(&line)
                && let Some(instance) = instance_of(&receipt.envelope)
            {
                newest.insert(instance, (at, receipt.envelope));
                if newest.len() > SHOWN_MAX {
                    let oldest = newest.iter().min_by_key(|(_, (at, _))| *at).map(|(name, _)| name.clone());
                    oldest.and_then(|name| newest.remove(&name));
                }
            }
        }
        Ok(newest.into_values().map(|(_, envelope)| envelope).collect())
    }
}

/// Returns which instance an envelope is about, as it says itself.
fn instance_of(envelope: &Document) -> Option<String> {
    let envelope = gantral_evidence::dsse::Envelope::parse(envelope.as_str().as_bytes()).ok()?;
    let statement = gantral_evidence::statement::Statement::decode(&envelope.payload).ok()?;
    Some(statement.identity.instance.to_string())
}
