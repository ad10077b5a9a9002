//! The list of all files of a backup, which is written last: what it says is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use gantral_core::digest::Digest;
use gantral_store::BackedUp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The file of a backup that lists all others.
pub const MANIFEST: &str = "backup.json";
/// The only format.
const FORMAT: &str = "gantral/backup/v1";
/// The largest list, in bytes: logs of a hundred million leaves.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// How much of a file is read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How many folders deep a backup is: the tiles of a log of 2^53 leaves lie eight deep.
const DEPTH_MAX: usize = 16;

/// Why a backup is not what its list says.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The backup was cut off, or is being made.
    #[error("the backup is not finished: it has no `{MANIFEST}`")]
    Unfinished,
    /// The list cannot be read.
    #[error("`{MANIFEST}` is not the list of a backup: {0}")]
    List(String),
    /// A file is missing, or holds something else.
    #[error("`{path}` {what}")]
    File {
        /// The file, within the backup.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file cannot be read; worth another try.
    #[error("`{path}` cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: String,
    /// The release that made it.
    release: String,
    /// When it was whole.
    pub(super) made_at: String,
    /// The number of the newest artifact.
    newest: u64,
    artifacts: u64,
    logs: Vec<SavedLog>,
    /// Whether it holds private keys.
    private_keys: bool,
    /// In the order of their paths.
    pub(super) files: Vec<SavedFile>,
}

/// How far a log is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedLog {
    pub(super) origin: String,
    pub(super) size: u64,
    pub(super) root: String,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedFile {
    path: String,
    pub(super) bytes: u64,
    sha256: String,
}

impl Manifest {
    /// Lists what stands in a folder.
    pub(super) fn of(
        folder: &Path,
        made_at: String,
        saved: &BackedUp,
        logs: Vec<SavedLog>,
        private_keys: bool,
    ) -> io::Result<Self> {
        let mut files = Vec::new();
        list(folder, "", 0, &mut files)?;
        files.sort_unstable_by(|one: &SavedFile, other| one.path.cmp(&other.path));
        let (newest, artifacts) = (saved.newest, saved.artifacts);
        let (format, release) = (FORMAT.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Ok(Self { format, release, made_at, newest, artifacts, logs, private_keys, files })
    }

    /// Writes the list, durably.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(MANIFEST))?;
        file.write_all(&text)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    }

    /// Reads the list of a backup; `None` where a folder has none and is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, ManifestError> {
        let path = folder.join(MANIFEST);
        let unreadable = |source| ManifestError::Read { path: path.clone(), source };
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if super::is_unfinished(folder) { Err(ManifestError::Unfinished) } else { Ok(None) };
            }
            file => file.map_err(unreadable)?,
        };
        let mut text = Vec::new();
        file.take(MANIFEST_BYTES_MAX.saturating_add(1)).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(ManifestError::List(format!("larger than {MANIFEST_BYTES_MAX} bytes")));
        }
        let read: Self =
            serde_json::from_slice(&text).map_err(|error| ManifestError::List(error.to_string()))?;
        if read.format == FORMAT {
            Ok(Some(read))
        } else {
            Err(ManifestError::List(format!("its format is not `{FORMAT}`")))
        }
    }

    /// Compares every file with the list, and says how many there are.
    pub(super) fn compare(&self, folder: &Path) -> Result<u64, ManifestError> {
        for file in &self.files {
            let wrong = |what| ManifestError::File { path: file.path.clone(), what };
            let path = folder.join(&file.path);
            let (bytes, sha256) = match digest(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(wrong("is not there any more"));
                }
                digest => digest.map_err(|source| ManifestError::Read { path, source })?,
            };
            if (bytes, sha256.to_string()) != (file.bytes, file.sha256.clone()) {
                return Err(wrong("is not what was backed up"));
            }
        }
        Ok(self.files.len() as u64)
    }
}

/// Lists the files below a folder.
fn list(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<SavedFile>) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other("it lies too deep"));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a name is no text"))?;
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{path}/"), depth.saturating_add(1), files)?;
        } else {
            let (bytes, sha256) = digest(&entry.path())?;
            files.push(SavedFile { path, bytes, sha256: sha256.to_string() });
        }
    }
    Ok(())
}

/// Returns how many bytes a file has, and their digest.
fn digest(path: &Path) -> io::Result<(u64, Digest)> {
    let mut file = File::open(path)?;
    let (mut sha, mut total) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        total = total.saturating_add(bytes.len() as u64);
        sha.update(bytes);
    }
    Ok((total, Digest::from_bytes(sha.finalize().into())))
}
