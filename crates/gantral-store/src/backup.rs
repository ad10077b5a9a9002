//! A copy of a ledger of one file, made while its server writes; and what such a file is worth, whoever made it.

use std::path::{Path, PathBuf};

use crate::copying::{CopyCheck, CopyError};
use crate::error::OpenError;
use crate::log::LogRow;
use crate::sqlite::source::Source;
use crate::sqlite::{backup, proving};

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// The number of the newest artifact; 0 when there is none.
    pub newest: u64,
    /// How many artifacts.
    pub artifacts: u64,
    /// How far the logs are by this copy, by tenant.
    pub logs: Vec<LogRow>,
}

/// Why a ledger was not copied. The target is no copy, whatever stands there.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no ledger there, or not one of this release or an older one.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {reason}")]
    Read {
        /// What SQLite said.
        reason: String,
    },
    /// The copy cannot be written; worth a retry in another place.
    #[error("`{path}` cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite gave the copy up, as it does when the disk is full; worth a retry.
    #[error("the ledger was not copied: {reason}")]
    Copy {
        /// What SQLite said.
        reason: String,
    },
}

/// Copies the ledger of a file, as it is at one moment, into a new file that needs none beside it. Whoever writes to the ledger goes on, and everything that was
/// answered before is in the copy. Blocks for as long as that takes; `told` hears how many pages there are and how many are left.
///
/// # Errors
/// `BackupError`; may be tried again with another target.
pub fn back_up(
    source: &Path,
    target: &Path,
    told: &mut dyn FnMut(u64, u64),
) -> Result<BackedUp, BackupError> {
    backup::back_up(source, target, told)
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// How many chains were shown.
    pub chains: u64,
    /// How many artifacts they have.
    pub artifacts: u64,
    /// How many logs, and how many leaves they have together.
    pub logs: (u64, u64),
}

/// Reads a ledger of one file through: by SQLite's own check, every row that names a digest of what it holds, and every chain and every log by whoever knows
/// what they mean. Nothing is changed; no server may have it open. Of a file of an older release a copy is brought up to date beside it, and removed.
///
/// # Errors
/// `CopyError` of the source; `Damaged` names what is wrong.
pub async fn examine(path: &Path, check: &mut dyn CopyCheck) -> Result<Examined, CopyError> {
    let source = Source::open(path, check).await?;
    proving::examine(source.path(), check)
}
