//! What a backup is worth, or any data folder whose server is stopped: every file by its list, every chain and every log by its keys.

use std::path::{Path, PathBuf};

use gantral_keys::KeysError;
use gantral_store::{CopyError, CopyStep, Examined, LEDGER};

use super::manifest::{Manifest, ManifestError};
use crate::copying::Proof;

/// Why a folder cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no ledger of one file.
    #[error("`{path}` has no ledger: there is no file `{LEDGER}`", path = .0.display())]
    NoLedger(PathBuf),
    /// It is not what its list says.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Without its keys nobody can tell whether the ledger is what they signed.
    #[error("the keys by which the ledger is proved: {0}")]
    Keys(#[from] KeysError),
    /// The ledger, or a log that is not its own.
    #[error(transparent)]
    Ledger(#[from] CopyError),
}

/// What was found to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// When the backup was made, and how many files were compared with its list; `None` for a folder that is no backup.
    pub backup: Option<(String, u64)>,
    /// The ledger and its logs.
    pub ledger: Examined,
}

/// Reads a data folder through, without changing it: no server may run on it. `told` hears how far it is.
///
/// # Errors
/// `CheckError`; what it names is wrong, and what comes after it was not looked at.
pub async fn check(
    folder: &Path,
    told: &mut (dyn FnMut(CopyStep<'_>) + Send),
) -> Result<Checked, CheckError> {
    let manifest = Manifest::read(folder)?;
    let ledger = folder.join(LEDGER);
    if !ledger.is_file() && manifest.is_none() {
        return Err(CheckError::NoLedger(folder.to_owned()));
    }
    let mut backup = None;
    if let Some(manifest) = manifest {
        let compared = manifest.compare(folder)?;
        backup = Some((manifest.made_at, compared));
    }
    let mut proof = Proof::of(folder, told)?;
    let ledger = gantral_store::examine(&ledger, &mut proof).await?;
    Ok(Checked { backup, ledger })
}
