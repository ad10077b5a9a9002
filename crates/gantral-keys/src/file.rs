//! Secrets in files: readable by their owner alone, durable before they are used, never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gantral_evidence::trust::KeyRole;

use crate::local::LocalSigner;

/// The largest secret file, in bytes: a key has 85, a token of a service a few hundred.
const SECRET_BYTES_MAX: u64 = 16 << 10;

/// Why a secret file cannot be used. Whoever keeps the folder is at fault; trying again is pointless until it is mended.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("`{path}` cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It cannot be written, or something stands there already.
    #[error("`{path}` cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("`{path}` can be read by others: set its mode to 0600", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong; never a part of the content.
        why: String,
    },
}

/// Reads a file that holds a secret.
///
/// # Errors
/// `Read`, `Mode`, and `Content` for a file that is larger than any secret.
pub fn read_private(path: &Path) -> Result<Vec<u8>, FileError> {
    read_private_up_to(path, SECRET_BYTES_MAX)
}

/// As [`read_private`], with another limit.
pub(crate) fn read_private_up_to(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Read { path: path.to_owned(), source };
    // The mode is that of the file that is read, whatever stands under the name later.
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(FileError::Mode { path: path.to_owned() });
    }
    whole(file, path, bytes_max)
}

/// Reads a file that holds no secret, and is not larger than this.
pub(crate) fn read_up_to(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    whole(file, path, bytes_max)
}

fn whole(file: File, path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        return Ok(bytes);
    }
    Err(FileError::Content { path: path.to_owned(), why: format!("larger than {bytes_max} bytes") })
}

/// Writes a new file with mode 0600. It is whole and durable when this returns, and never takes the place of one that exists;
/// a process that is killed meanwhile leaves no part of it under its name.
///
/// # Errors
/// `Write`; then there is no file of ours.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    // A link, unlike a rename, refuses a name that is taken.
    stage(path, bytes, |staged| fs::hard_link(staged, path).and_then(|()| fs::remove_file(staged)))
}

/// Writes a file with mode 0600 in the place of what stands there. It is durable when this returns; a reader, and whoever looks
/// after a crash, finds the old content or the new one.
///
/// # Errors
/// `Write`; then the old content stands.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    stage(path, bytes, |staged| fs::rename(staged, path))
}

/// Writes bytes under a name of this process beside `path`, and lets `publish` give them their name.
fn stage(
    path: &Path,
    bytes: &[u8],
    publish: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let unwritable = |source| FileError::Write { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| unwritable(ErrorKind::InvalidFilename.into()))?;
    let staged = path.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&staged)
        .map_err(unwritable)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| publish(&staged));
    if let Err(source) = written {
        // If this fails too, the first reason says more.
        let _ = fs::remove_file(&staged);
        return Err(unwritable(source));
    }
    sync_parent(path).map_err(unwritable)
}

/// Makes the name of a file durable.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads the key of a role from its file, or makes it when there is none.
///
/// # Errors
/// `FileError`; a key that was made is durable, or there is none.
pub fn load_or_generate(role: KeyRole, path: &Path) -> Result<LocalSigner, FileError> {
    let wrong = |why: String| FileError::Content { path: path.to_owned(), why };
    match read_private(path) {
        Ok(bytes) => LocalSigner::from_pkcs8(role, &bytes).map_err(|error| wrong(error.to_string())),
        Err(FileError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            let bytes = LocalSigner::generate().map_err(|error| FileError::Write {
                path: path.to_owned(),
                source: std::io::Error::other(error),
            })?;
            write_private(path, &bytes)?;
            LocalSigner::from_pkcs8(role, &bytes).map_err(|error| wrong(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
