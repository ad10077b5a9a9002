//! A data folder made again: the ledger of a server and the files of its logs.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use gantral_core::ids::LogOrigin;
use gantral_engine::EngineConfig;
use gantral_evidence::trust::Trust;
use gantral_log::folder::{FOLDER, Folders};
use gantral_store::{LEDGER, OpenError, Store};

use super::{RebuildError, Rebuilt, rebuild};
use crate::objects::Archive;

/// Where both are made, beside those that a server uses: what did not become whole is never used.
const UNFINISHED: &str = "rebuilding";
/// What SQLite may leave beside the file, which belongs to it.
const BESIDE: [&str; 2] = ["-wal", ""];

/// Why a data folder was not made.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The archive, or what was made from it.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// There is a ledger already.
    #[error("`{path}` is there already: nothing was written", path = .0.display())]
    Exists(PathBuf),
    /// The ledger cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The folder cannot be written.
    #[error("`{path}`: {source}", path = path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes the ledger and the logs of a data folder from an archive; neither may be there. Keys are no part of it.
///
/// # Errors
/// [`FolderError`]; the folder is then as it was, but for a folder `rebuilding` that the next try replaces.
pub async fn rebuild_folder(archive: &Archive, trust: &Trust, data: &Path) -> Result<Rebuilt, FolderError> {
    for name in [LEDGER, FOLDER] {
        let path = data.join(name);
        if path.exists() {
            return Err(FolderError::Exists(path));
        }
    }
    let made = data.join(UNFINISHED);
    match fs::remove_dir_all(&made) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(FolderError::Folder { path: made, source });
        }
        _ => {}
    }
    let folder = fs::DirBuilder::new().recursive(true).mode(0o700).create(&made);
    folder.map_err(|source| FolderError::Folder { path: made.clone(), source })?;
    let rebuilt = {
        let store = Store::open_sqlite(&made.join(LEDGER))?;
        let shelf = Folders::new(&made.join(FOLDER));
        let suffix = EngineConfig::default().log_suffix;
        let origin =
            |tenant: &gantral_core::ids::TenantId| LogOrigin::parse(&format!("{tenant}/{suffix}")).ok();
        rebuild(archive, trust, &store, &shelf, origin).await?
    };
    put_in_place(&made, data)?;
    Ok(rebuilt)
}

/// Moves what is whole to where a server looks for it, the ledger last: without it there is nothing.
fn put_in_place(made: &Path, data: &Path) -> Result<(), FolderError> {
    let rename = |name: &str| match fs::rename(made.join(name), data.join(name)) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(FolderError::Folder { path: made.join(name), source })
        }
        _ => Ok(()),
    };
    rename(FOLDER)?;
    for suffix in BESIDE {
        rename(&format!("{LEDGER}{suffix}"))?;
    }
    let durable = fs::File::open(data).and_then(|folder| folder.sync_all());
    durable.map_err(|source| FolderError::Folder { path: data.to_owned(), source })?;
    fs::remove_dir_all(made).map_err(|source| FolderError::Folder { path: made.to_owned(), source })
}
