//! The folder of a witness: its key, its name, what it remembers, and who uses it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use gantral_evidence::log::note::{NoteKey, NoteKeyError, NoteKeyKind};
use gantral_evidence::trust::KeyRole;
use gantral_keys::{
    FileError, LocalSigner, Signer as _, SigningContext, load_or_generate, read_private, write_private,
};
use gantral_log::folder::Folder;
use gantral_log::witness::Cosigner;
use tokio::runtime::Handle;

/// The file with the private key, PKCS#8.
const KEY: &str = "key";
/// The file with the key as relying parties pin it.
const VKEY: &str = "vkey";
/// The file that is locked by whoever runs the witness.
const LOCK: &str = "lock";
/// The folder with what is remembered.
const MEMORY: &str = "memory";

/// The folder of a witness, used by this process alone.
#[derive(Debug)]
pub struct WitnessFolder {
    root: PathBuf,
    key: NoteKey,
    /// Locked as long as it is open.
    _lock: File,
}

/// Why a folder is not that of a witness, or cannot be one. Whoever runs the witness is at fault.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or used.
    #[error("`{path}` cannot be used: {source}", path = path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A witness is there already.
    #[error("`{path}` is the folder of a witness already", path = .0.display())]
    Exists(PathBuf),
    /// No witness is there.
    #[error("`{path}` is not the folder of a witness", path = .0.display())]
    Missing(PathBuf),
    /// Another process runs the witness: two would not know of each other's cosignatures.
    #[error("`{path}` is in use by another witness", path = .0.display())]
    Locked(PathBuf),
    /// The name cannot be that of a key.
    #[error(transparent)]
    Name(#[from] NoteKeyError),
    /// The key cannot be read or written.
    #[error(transparent)]
    Key(#[from] FileError),
    /// The name stands with another key.
    #[error("`{path}` names another key than the one that is there", path = .0.display())]
    OtherKey(PathBuf),
}

impl WitnessFolder {
    /// Makes the folder and the key of a witness. What a crash left behind is completed with the same key.
    ///
    /// # Errors
    /// `FolderError`; a folder that is a witness's already is left as it is.
    pub fn init(root: &Path, name: &str) -> Result<Self, FolderError> {
        if !NoteKey::is_name(name) {
            return Err(NoteKeyError::Name.into());
        }
        let unusable = |source| FolderError::Folder { path: root.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(unusable)?;
        let lock = lock(root)?;
        if root.join(VKEY).exists() {
            return Err(FolderError::Exists(root.to_owned()));
        }
        let signer = load_or_generate(KeyRole::Witness, &root.join(KEY))?;
        let key = NoteKey::new(name, NoteKeyKind::Cosignature, signer.public_key().clone())?;
        write_private(&root.join(VKEY), format!("{key}\n").as_bytes())?;
        Ok(Self { root: root.to_owned(), key, _lock: lock })
    }

    /// Opens the folder of a witness, for this process alone.
    ///
    /// # Errors
    /// `FolderError`; `Locked` may be tried again when the other process has ended.
    pub fn open(root: &Path) -> Result<Self, FolderError> {
        let path = root.join(VKEY);
        if !path.exists() {
            return Err(FolderError::Missing(root.to_owned()));
        }
        let lock = lock(root)?;
        let text = String::from_utf8(read_private(&path)?).map_err(|_| NoteKeyError::Syntax)?;
        let key = NoteKey::parse(text.trim_end())?;
        if key.kind() == NoteKeyKind::Cosignature {
            Ok(Self { root: root.to_owned(), key, _lock: lock })
        } else {
            Err(NoteKeyError::Kind(key.kind() as u8).into())
        }
    }

    /// Returns the key of the witness.
    pub const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Returns the line of a `tlog-policy` by which a relying party knows the witness. Its name there is that of the key.
    pub fn policy_line(&self) -> String {
        format!("witness {} {}", self.key.name(), self.key)
    }

    /// Returns where the witness keeps what it remembers and what it refused.
    pub fn memory(&self) -> Folder {
        Folder::new(&self.root.join(MEMORY))
    }

    /// Returns who cosigns, on threads of this runtime.
    ///
    /// # Errors
    /// `Key`, and `OtherKey` if the key is not the one of the name.
    pub fn cosigner(&self, runtime: Handle) -> Result<KeyCosigner, FolderError> {
        let path = self.root.join(KEY);
        let wrong = |why: String| FolderError::Key(FileError::Content { path: path.clone(), why });
        let bytes = read_private(&path)?;
        let signer =
            LocalSigner::from_pkcs8(KeyRole::Witness, &bytes).map_err(|error| wrong(error.to_string()))?;
        if signer.public_key() == self.key.key() {
            Ok(KeyCosigner { key: self.key.clone(), signer, runtime })
        } else {
            Err(FolderError::OtherKey(self.root.join(VKEY)))
        }
    }
}

/// Takes the lock of a folder; the system gives it back when the process ends, however it does.
fn lock(root: &Path) -> Result<File, FolderError> {
    let path = root.join(LOCK);
    let unusable = |source| FolderError::Folder { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(FolderError::Locked(root.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Cosigns with the key of a folder.
pub struct KeyCosigner {
    key: NoteKey,
    signer: LocalSigner,
    runtime: Handle,
}

impl Cosigner for KeyCosigner {
    fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Blocks its thread, which is none that drives the runtime.
    fn sign(&self, message: &[u8]) -> io::Result<[u8; 64]> {
        let signed = self.runtime.block_on(self.signer.sign(SigningContext::Cosignature, message));
        signed.map(|signature| signature.bytes).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests;
