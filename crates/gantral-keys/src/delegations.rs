//! The delegations that an issuer ever used: one file each, never changed, never removed.
//!
//! Whoever checks a chain later needs the delegation of each key that signed it, so a delegation is durable here before its
//! delegate signs anything. Source: `spec/keys.md` §6.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use gantral_evidence::delegation::{DELEGATION_SUFFIX, DelegationError, KeyDelegation};
use gantral_evidence::keys::{KeyId, PublicKey};

use crate::facts::Facts;
use crate::file::{FileError, write_private};

/// The largest file of a delegation, in bytes: what an envelope may have.
pub(crate) const FILE_BYTES_MAX: u64 = gantral_evidence::dsse::ENVELOPE_BYTES_MAX as u64;

/// A delegation, and the signed bytes that a stranger checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDelegation {
    /// What was delegated.
    pub delegation: KeyDelegation,
    /// The envelope.
    pub envelope: Vec<u8>,
}

impl KeptDelegation {
    /// Tells whether the delegate signed these bytes, and may sign what they are.
    pub fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let permitted = Facts::of(message).is_some_and(|facts| facts.are_permitted(&self.delegation));
        permitted && self.delegation.delegate.verify_strict(message, signature).is_ok()
    }
}

/// Why a folder of delegations cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DelegationsError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file holds no delegation by a key of this issuer. Whoever keeps the folder is at fault.
    #[error("`{path}`: {why}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: DelegationError,
    },
    /// A file is not named after the delegate that it is about.
    #[error("`{path}` is the delegation of another key", path = path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
}

/// A folder of delegations, all of them in memory too. Several servers may share it: what another one keeps there is read when it is asked for.
#[derive(Debug)]
pub struct Delegations {
    folder: PathBuf,
    issuers: Vec<PublicKey>,
    kept: RwLock<BTreeMap<KeyId, Arc<KeptDelegation>>>,
}

impl Delegations {
    /// Reads the folder, and makes it with mode 0700 when there is none. Every file must be by one of these issuer keys.
    ///
    /// # Errors
    /// `DelegationsError`, naming the file: nothing is skipped, because a chain may need it.
    pub fn open(folder: &Path, issuers: &[PublicKey]) -> Result<Self, DelegationsError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| FileError::Write { path: folder.to_owned(), source })?;
        let unreadable = |source| FileError::Read { path: folder.to_owned(), source };
        let mut kept = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(id) = name.strip_suffix(DELEGATION_SUFFIX) else { continue };
            let read = read(&path, issuers)?;
            if read.delegation.delegate.id().to_string() != id {
                return Err(DelegationsError::Name { path });
            }
            kept.insert(read.delegation.delegate.id(), Arc::new(read));
        }
        Ok(Self { folder: folder.to_owned(), issuers: issuers.to_vec(), kept: RwLock::new(kept) })
    }

    /// Keeps a delegation that the issuer has just signed. It is durable when this returns.
    ///
    /// # Errors
    /// `FileError::Write`; then the delegate may sign nothing.
    pub fn keep(&self, delegation: KeyDelegation, envelope: Vec<u8>) -> Result<(), FileError> {
        let id = delegation.delegate.id();
        write_private(&self.folder.join(format!("{id}{DELEGATION_SUFFIX}")), &envelope)?;
        let kept = Arc::new(KeptDelegation { delegation, envelope });
        self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(id, kept);
        Ok(())
    }

    /// Returns the delegation of a key, also where another server that shares the folder has kept it since it was read.
    pub fn find(&self, delegate: &KeyId) -> Option<Arc<KeptDelegation>> {
        let known = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(delegate).cloned();
        known.or_else(|| self.find_file(delegate))
    }

    /// Reads the file of one delegation. What is not one is no delegation: whoever asked finds the chain damaged, and says so.
    fn find_file(&self, delegate: &KeyId) -> Option<Arc<KeptDelegation>> {
        let path = self.folder.join(format!("{delegate}{DELEGATION_SUFFIX}"));
        let found =
            read(&path, &self.issuers).ok().filter(|found| found.delegation.delegate.id() == *delegate)?;
        let found = Arc::new(found);
        self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(*delegate, Arc::clone(&found));
        Some(found)
    }
}

fn read(path: &Path, issuers: &[PublicKey]) -> Result<KeptDelegation, DelegationsError> {
    let unreadable = |source| FileError::Read { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        return Err(unreadable(ErrorKind::FileTooLarge.into()).into());
    }
    let envelope = fs::read(path).map_err(unreadable)?;
    let known = |id: &KeyId| issuers.iter().find(|key| key.id() == *id);
    let delegation = KeyDelegation::open(&envelope, known)
        .map_err(|why| DelegationsError::Content { path: path.to_owned(), why })?;
    Ok(KeptDelegation { delegation, envelope })
}
