//! A backup of a data folder whose server goes on: the ledger as it was at one moment, its logs exactly as far as that ledger says, and the keys that prove
//! both.
//!
//! The ledger is copied first, and of each log what the tree in that copy needs: the log is never behind its ledger, and never ahead. Everything is written into a
//! folder of its own within the target and moved out when it is whole, the list of all files last: a folder without that list is no
//! backup, whatever else is in it. Not here: ledgers in a database, which have tools of their own.

mod check;
mod manifest;

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use gantral_core::ids::IdError;
use gantral_evidence::log::tree::TreeHead;
use gantral_keys::{FileError, KeyFolder, KeysError, read_private, write_private};
use gantral_log::copying::copy_tree;
use gantral_log::folder::{FOLDER, Folders};
use gantral_log::objects::{READ_ONLY, Shelf as _};
use gantral_log::tree::LogError;
use gantral_store::{BackedUp, LEDGER};

use crate::clock::{Clock as _, SystemClock};
use crate::keys::{ATTEMPTS, log_of};

pub use check::{CheckError, Checked, check};
pub use gantral_store::BackupError as LedgerError;
pub use manifest::{MANIFEST, ManifestError};
use manifest::{Manifest, SavedLog};

/// Where a backup is made, within its folder: what a crash leaves there is no backup.
pub(crate) const UNFINISHED: &str = "backup-unfinished";

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no ledger of one file.
    #[error("`{path}` has no ledger: there is no file `{LEDGER}`", path = .0.display())]
    NoLedger(PathBuf),
    /// A backup is never made over something else.
    #[error("`{path}` is not empty", path = .0.display())]
    NotEmpty(PathBuf),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The keys.
    #[error("the keys: {0}")]
    Keys(#[from] KeysError),
    /// A tenant whose log has no name: a defect.
    #[error(transparent)]
    Origin(#[from] IdError),
    /// A log does not have what its ledger says.
    #[error("the log of tenant {tenant}: {error}")]
    Log {
        /// Whose log.
        tenant: String,
        /// What is wrong.
        error: LogError,
    },
    /// The folder cannot be written.
    #[error("`{path}`: {source}", path = path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is backed up where.
#[derive(Debug)]
pub struct Backup<'a> {
    /// The data folder; its server may run.
    pub data: &'a Path,
    /// A folder that is empty, or not there.
    pub to: &'a Path,
    /// Whether private keys are copied too: who has the backup then can sign as this deployment.
    pub private_keys: bool,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// How many artifacts.
    pub artifacts: u64,
    /// How many logs, and how many leaves they have together.
    pub logs: (u64, u64),
    /// How many files, and how many bytes they have together.
    pub files: (u64, u64),
}

impl Backup<'_> {
    /// Makes the backup. Everything that the server had answered before is in it. Blocks; `told` hears how many pages the ledger has and how many are left.
    ///
    /// # Errors
    /// `BackupError`; what stands in the folder then is no backup. May be tried again into another folder.
    pub fn run(&self, told: &mut dyn FnMut(u64, u64)) -> Result<Made, BackupError> {
        let ledger = self.data.join(LEDGER);
        if !ledger.is_file() {
            return Err(BackupError::NoLedger(self.data.to_owned()));
        }
        let made = self.begin()?;
        let saved = gantral_store::back_up(&ledger, &made.join(LEDGER), told)?;
        let logs = self.copy_logs(&made, &saved)?;
        // After the ledger: whatever signed an artifact of it is there by now.
        KeyFolder::copy(self.data, &made, self.private_keys)?;
        if self.private_keys {
            self.copy_attempts(&made)?;
        }
        let written = |source| BackupError::Folder { path: made.clone(), source };
        let now = SystemClock.now().to_text();
        let manifest = Manifest::of(&made, now, &saved, logs, self.private_keys).map_err(written)?;
        let files = (manifest.files.len() as u64, manifest.files.iter().map(|file| file.bytes).sum());
        manifest.write(&made).map_err(written)?;
        put_in_place(&made, self.to)?;
        let leaves = saved.logs.iter().map(|log| log.size).sum();
        Ok(Made { artifacts: saved.artifacts, logs: (saved.logs.len() as u64, leaves), files })
    }

    /// Makes the folder, refusing one that holds anything, and within it where the backup is made.
    fn begin(&self) -> Result<PathBuf, BackupError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| BackupError::Folder { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(self.to).map_err(failed(self.to))?;
        if fs::read_dir(self.to).map_err(failed(self.to))?.next().is_some() {
            return Err(BackupError::NotEmpty(self.to.to_owned()));
        }
        let made = self.to.join(UNFINISHED);
        match DirBuilder::new().mode(0o700).create(&made) {
            // Another backup into the same folder began a moment ago.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(BackupError::NotEmpty(self.to.to_owned()));
            }
            created => created.map_err(failed(&made))?,
        }
        sync(self.to)?;
        Ok(made)
    }

    /// Copies of each log the tree that the copied ledger knows.
    fn copy_logs(&self, made: &Path, saved: &BackedUp) -> Result<Vec<SavedLog>, BackupError> {
        let (from, to) = (Folders::new(&self.data.join(FOLDER)), Folders::new(&made.join(FOLDER)));
        let mut logs = Vec::with_capacity(saved.logs.len());
        for row in &saved.logs {
            let origin = log_of(&row.tenant)?;
            let tree = TreeHead { size: row.size, root: row.root };
            let (from, to) = (from.log(&origin, READ_ONLY), to.log(&origin, READ_ONLY));
            let wrong = |error| BackupError::Log { tenant: row.tenant.to_string(), error };
            copy_tree(&from, &to, &tree, &row.checkpoint).map_err(wrong)?;
            logs.push(SavedLog { origin: origin.to_string(), size: row.size, root: row.root.to_string() });
        }
        Ok(logs)
    }

    /// Copies the key of the tokens of attempts, where the server has made it.
    fn copy_attempts(&self, made: &Path) -> Result<(), BackupError> {
        match read_private(&self.data.join(ATTEMPTS)) {
            Err(FileError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(()),
            read => Ok(write_private(&made.join(ATTEMPTS), &read.map_err(KeysError::from)?)
                .map_err(KeysError::from)?),
        }
    }
}

/// Tells whether a folder is what a backup that was cut off has left.
pub(crate) fn is_unfinished(folder: &Path) -> bool {
    folder.join(UNFINISHED).exists() && !folder.join(MANIFEST).exists()
}

/// Moves everything out of where it was made, the list of all files last and alone.
fn put_in_place(made: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Folder { path: made.to_owned(), source };
    for entry in fs::read_dir(made).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != MANIFEST {
            fs::rename(made.join(&name), to.join(&name)).map_err(failed)?;
        }
    }
    sync(to)?;
    fs::rename(made.join(MANIFEST), to.join(MANIFEST)).map_err(failed)?;
    fs::remove_dir(made).map_err(failed)?;
    sync(to)
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> Result<(), BackupError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| BackupError::Folder { path: folder.to_owned(), source })
}
