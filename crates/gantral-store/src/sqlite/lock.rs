//! Who may use a file: its lock, and its mode.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// The exclusive right to a file; held for as long as the store is open, given up by the kernel when the process ends.
#[derive(Debug)]
pub(super) struct FileLock(File);

/// Gives the right up and not only this handle of it: a child that the process starts at this moment has another one until it
/// becomes its own program.
impl Drop for FileLock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the ledger was not given up");
        }
    }
}

/// Creates the file with mode 0600 if it is not there, and takes its lock.
pub(super) fn claim(path: &Path) -> Result<FileLock, OpenError> {
    let fail = |source| OpenError::File { path: path.to_owned(), source };
    let lock = take(private(&beside(path, ".lock")).map_err(fail)?, path)?;
    private(path).and_then(|file| file.sync_all()).map_err(fail)?;
    sync_folder(path).map_err(fail)?;
    Ok(lock)
}

/// Takes the lock of a file that is only read. Where nothing may be written, as on a medium that was closed, there need not be one.
pub(super) fn claim_source(path: &Path) -> Result<Option<FileLock>, OpenError> {
    match claim(path) {
        Err(OpenError::File { source, .. }) if is_closed(&source) => {}
        claimed => return claimed.map(Some),
    }
    match File::open(beside(path, ".lock")) {
        Ok(lock) => take(lock, path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}

fn take(lock: File, path: &Path) -> Result<FileLock, OpenError> {
    match lock.try_lock() {
        Ok(()) => Ok(FileLock(lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// Opens a file that only its owner may read, creating it if it is not there.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

/// Names a file that belongs to another one and lies beside it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the file's name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_is_closed_is_free_though_a_child_still_has_a_handle_of_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gantral.db");
        let lock = claim(&path).unwrap();
        assert!(matches!(claim(&path), Err(OpenError::InUse { .. })));
        let inherited = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(claim(&path).is_ok());
        drop(inherited);
    }
}
