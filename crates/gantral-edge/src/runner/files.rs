//! The files of a runner: private directories, tokens and contexts that nobody sees half written.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, WorkflowId};
use gantral_evidence::trust::Trust;

use crate::private;

/// How many characters of a digest name the socket of an attempt.
const SOCKET_NAME_LEN: usize = 16;

/// Why the files of a runner cannot be used. The environment is at fault.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Another runner works there.
    #[error("`{path}` is in use by another runner: give each runner a work directory of its own")]
    InUse {
        /// The work directory.
        path: String,
    },
    /// The system refused.
    #[error("`{path}` cannot be used: {error}")]
    Io {
        /// What was used.
        path: String,
        /// Why.
        error: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FilesError {
    let path = path.display().to_string();
    move |error| FilesError::Io { path, error }
}

/// The work directory, held by one runner.
#[derive(Debug)]
pub(super) struct WorkDir {
    folder: PathBuf,
    attempts: PathBuf,
    leases: PathBuf,
    sockets: PathBuf,
    trust: PathBuf,
    logs: PathBuf,
    /// Held for as long as the runner lives; the system lets go of it when the process dies.
    _lock: File,
}

impl WorkDir {
    /// Takes the directory, and removes what a runner that was killed left behind: tokens and contexts.
    pub(super) fn take(work: &Path, logs: &Path) -> Result<Self, FilesError> {
        // Commands have a working directory of their own: what they are told must not depend on it.
        let work = std::path::absolute(work).map_err(at(work))?;
        let logs = std::path::absolute(logs).map_err(at(logs))?;
        make(&work)?;
        make(&logs)?;
        let lock_path = work.join("lock");
        let lock = private::open(OpenOptions::new().write(true).create(true).truncate(false), &lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FilesError::InUse { path: work.display().to_string() });
            }
            Err(TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
        }
        let attempts = work.join("attempts");
        remove(&attempts)?;
        make(&attempts)?;
        let (leases, trust) = (work.join("mode-leases"), work.join("trust.json"));
        make(&leases)?;
        let sockets = work.join("sockets");
        remove(&sockets)?;
        make(&sockets)?;
        Ok(Self { folder: work, attempts, leases, sockets, trust, logs, _lock: lock })
    }

    /// Returns the directory itself, from the root.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns where the socket of an attempt is: a short name, because the system limits the whole path of a socket.
    pub(super) fn socket(&self, instance: InstanceId, attempt: u32) -> PathBuf {
        let name = Digest::of(format!("{instance}-{attempt}").as_bytes()).to_hex();
        self.sockets.join(name.get(..SOCKET_NAME_LEN).unwrap_or_default())
    }

    /// Returns the file in which hand-outs of secrets are recorded.
    pub(super) fn records(&self) -> PathBuf {
        self.folder.join("secrets.jsonl")
    }

    /// Writes down what is pinned, for the processes.
    pub(super) fn put_trust(&self, trust: &Trust) -> Result<(), FilesError> {
        private::replace(&self.trust, &trust.encode()).map_err(at(&self.trust))
    }

    /// Returns where [`Self::put_trust`] wrote.
    pub(super) fn trust(&self) -> &Path {
        &self.trust
    }

    /// Returns where the processes of a workflow keep its mode lease. They share it, so that the first ask of each of them may go on.
    pub(super) fn lease(&self, workflow: &WorkflowId) -> PathBuf {
        self.leases.join(format!("{}.json", Digest::of(workflow.as_str().as_bytes())))
    }

    /// Makes the directory of one attempt.
    pub(super) fn attempt(&self, instance: InstanceId, attempt: u32) -> Result<AttemptDir, FilesError> {
        let path = self.attempts.join(format!("{instance}-{attempt}"));
        remove(&path)?;
        let dir = AttemptDir { path };
        make(&dir.told())?;
        Ok(dir)
    }

    /// Returns where the output of an attempt goes.
    pub(super) fn log(&self, instance: InstanceId, attempt: u32) -> PathBuf {
        self.logs.join(format!("{instance}-{attempt}.log"))
    }
}

/// The directory of one attempt; removed when dropped.
#[derive(Debug)]
pub(super) struct AttemptDir {
    path: PathBuf,
}

impl AttemptDir {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder with what the command is told, and nothing else.
    pub(super) fn told(&self) -> PathBuf {
        self.path.join("told")
    }

    pub(super) fn token(&self) -> PathBuf {
        self.told().join("token")
    }

    pub(super) fn context(&self) -> PathBuf {
        self.told().join("context.json")
    }

    /// Replaces the token: a reader sees the old one or the new one.
    pub(super) fn put_token(&self, token: &str) -> Result<(), FilesError> {
        let path = self.token();
        private::replace(&path, token.as_bytes()).map_err(at(&path))
    }

    pub(super) fn put_context(&self, context: &[u8]) -> Result<(), FilesError> {
        let path = self.context();
        private::replace(&path, context).map_err(at(&path))
    }
}

impl Drop for AttemptDir {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, "the files of an attempt stay behind");
        }
    }
}

/// Opens the log of an attempt, for writing at its end.
pub(super) fn open_log(path: &Path) -> Result<File, FilesError> {
    private::open(OpenOptions::new().append(true).create(true), path).map_err(at(path))
}

fn make(path: &Path) -> Result<(), FilesError> {
    private::directory(path).map_err(at(path))
}

fn remove(path: &Path) -> Result<(), FilesError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}
