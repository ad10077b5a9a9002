//! What the environment does to a store.

use std::path::PathBuf;

/// Why the store could not do what it was asked. A lawful "no" is never here: it is an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The environment's fault; nothing of the write is durable. May be asked again after a reload.
    #[error("the store failed and kept nothing: {reason}")]
    Failed {
        /// What the database said; for the log.
        reason: String,
    },
    /// The environment's fault; whether the write is durable is not known. The caller must reload before it says
    /// anything, and before it tries again.
    #[error("the store failed and may have kept the write: {reason}")]
    Unknown {
        /// What the database said; for the log.
        reason: String,
    },
    /// An earlier fault stopped the writer; nothing of the write is durable, and nothing will be until the store is
    /// opened again. Not worth a retry.
    #[error("the store has stopped writing: {reason}")]
    Stopped {
        /// The fault that stopped it; for the log.
        reason: String,
    },
    /// Our own fault: the write contradicts itself or rows that it does not guard. Nothing is durable; a retry gives
    /// the same answer.
    #[error("the write contradicts the store: {what}")]
    Contradiction {
        /// What does not fit.
        what: String,
    },
    /// A stored row cannot be read. Nothing is durable; a retry gives the same answer.
    #[error("a stored row is damaged: {what}")]
    Damaged {
        /// What cannot be read.
        what: String,
    },
}

impl StoreError {
    /// Tells whether the write may be durable although it was answered with this error.
    pub const fn may_be_kept(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Failed { .. }
            | Self::Stopped { .. }
            | Self::Contradiction { .. }
            | Self::Damaged { .. } => false,
        }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file, or its folder, could not be created, locked or given its mode.
    #[error("`{path}` cannot be opened: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process, or another store of this process, has the file open.
    #[error("`{path}` is in use by another process", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of something else.
    #[error("`{path}` is not a gantral store", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer release.
    #[error("`{path}` has schema {found}, but this release knows {known}: use a newer release", path = path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: u32,
        /// The newest schema that this release knows.
        known: u32,
    },
    /// The database refused.
    #[error("`{path}` cannot be opened: {reason}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
    /// A thread could not be started.
    #[error("the store could not start its threads: {0}")]
    Threads(std::io::Error),
}

/// Why a database server was not opened as a store. `server` says where, without a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The caller's fault: the address is none. It is not repeated, because a password may be in it.
    #[error("the address of the database is not one: {reason}")]
    Address {
        /// What does not fit.
        reason: String,
    },
    /// The server does not let us in: it knows no such role, password or database.
    #[error("`{server}` does not let us in: {reason}")]
    Refused {
        /// The server.
        server: String,
        /// What it said.
        reason: String,
    },
    /// The server does not answer. Worth a retry.
    #[error("`{server}` cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        server: String,
        /// Why; for the log.
        reason: String,
    },
    /// The caller's fault: a file that the address names cannot be used.
    #[error("`{key}` names `{path}`, which cannot be used: {why}", path = path.display())]
    File {
        /// What the address calls it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// This machine cannot say which authorities it believes.
    #[error("no authority can be believed: {reason}; name a file of them by `sslrootcert`")]
    Tls {
        /// Why.
        reason: String,
    },
    /// Whoever answers does not prove that it is the server that was asked for. It was told nothing.
    #[error("`{server}` is not trusted: {reason}")]
    Untrusted {
        /// The server.
        server: String,
        /// What does not fit, and what helps.
        reason: String,
    },
    /// The server would lose what it has answered: it does not flush, or does not protect pages that are half written.
    #[error("`{server}` is not durable: `{setting}` is off, and must be on")]
    NotDurable {
        /// The server.
        server: String,
        /// Its setting.
        setting: &'static str,
    },
    /// The server is too old.
    #[error("`{server}` is PostgreSQL {found}, but {needed} or newer is needed")]
    TooOld {
        /// The server.
        server: String,
        /// Its version.
        found: u32,
        /// The oldest that serves.
        needed: u32,
    },
    /// The schema `gantral` in the database is of something else.
    #[error("the schema `gantral` in `{server}` is not a gantral store")]
    Foreign {
        /// The server.
        server: String,
    },
    /// The schema was written by a newer release.
    #[error("`{server}` has schema {found}, but this release knows {known}: use a newer release")]
    NewerSchema {
        /// The server.
        server: String,
        /// The schema that is there.
        found: u32,
        /// The newest schema that this release knows.
        known: u32,
    },
    /// A ledger is being copied into the database. Worth a retry when that is done.
    #[error(
        "a ledger is being copied into `{server}`, or its schema is being made: try again when that is done"
    )]
    Copying {
        /// The server.
        server: String,
    },
    /// There is a ledger in the database already, and another was to be copied into it.
    #[error(
        "`{server}` has a ledger already, in its schema `gantral`: a ledger is copied into a database that has none"
    )]
    Occupied {
        /// The server.
        server: String,
    },
    /// A step of the schema is not the one that this release would have made.
    #[error("`{server}` has another step {number} of the schema than this release")]
    OtherSchema {
        /// The server.
        server: String,
        /// The step, counted from 1.
        number: u32,
    },
    /// The server refused.
    #[error("`{server}` cannot be opened: {reason}")]
    Database {
        /// The server.
        server: String,
        /// What it said; for the log.
        reason: String,
    },
}
