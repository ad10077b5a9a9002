//! The keys of a folder, copied into another one: for a backup.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use gantral_evidence::delegation::DELEGATION_SUFFIX;

use super::{DELEGATIONS, Held, KeyFolder, KeysError, STATE_FILE, entry, lock, missing};
use crate::delegations::FILE_BYTES_MAX;
use crate::file::{FileError, read_private, read_private_up_to, read_up_to, write_private};

impl KeyFolder {
    /// Copies what a folder says of its keys, and what they delegated, into a folder that has neither; with `private` also the private keys in files. All of it is
    /// durable when this returns, and readable by its owner alone. A server may run meanwhile; keys that would be changed meanwhile wait.
    ///
    /// # Errors
    /// `KeysError`; `Missing` when there are no keys, `InUse` while somebody changes them.
    pub fn copy(from: &Path, to: &Path, private: bool) -> Result<(), KeysError> {
        if !from.join(STATE_FILE).exists() {
            return Err(missing(from));
        }
        let _unchanged = lock(from, File::try_lock_shared)?;
        for entry in Self::look(from)?.iter().filter(|_| private) {
            if let Some(Held::File(name)) = &entry.held {
                write_private(&to.join(name), &read_private(&from.join(name))?)?;
            }
        }
        copy_delegations(&from.join(DELEGATIONS), &to.join(DELEGATIONS))?;
        let state = read_private_up_to(&from.join(STATE_FILE), entry::STATE_BYTES_MAX)?;
        Ok(write_private(&to.join(STATE_FILE), &state)?)
    }
}

fn copy_delegations(from: &Path, to: &Path) -> Result<(), KeysError> {
    let unreadable = |source| FileError::Read { path: from.to_owned(), source };
    let files = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        files => files.map_err(unreadable)?,
    };
    let made = DirBuilder::new().mode(0o700).create(to);
    made.map_err(|source| FileError::Write { path: to.to_owned(), source })?;
    for file in files {
        let name = file.map_err(unreadable)?.file_name();
        // What is not named like one is none, such as one that a server is about to write.
        if name.to_string_lossy().ends_with(DELEGATION_SUFFIX) {
            write_private(&to.join(&name), &read_up_to(&from.join(&name), FILE_BYTES_MAX)?)?;
        }
    }
    Ok(())
}
