//! A ledger of one file, copied into a PostgreSQL database: every row as it is, proved before anybody can see it.
//!
//! The copy is one transaction of the target. Whatever stops it, a fault of either side, a refusal, a killed process, leaves the target as it
//! was, and the copy is begun anew; there is no half of one that somebody would have to recognise. The price is that it starts from
//! the beginning, which for a ledger that one machine has filled takes minutes.
//!
//! Which tables and columns there are is read from the target, whose schema this release has made, and compared with the source: what only one
//! of them has is refused, so that a table which is added later is copied or the copy fails, and never left out. Rows are digested as they
//! leave the source and again as the target gives them back, in the order of their primary keys, which both sides sort alike: numbers by
//! value, texts and bytes byte by byte.
//!
//! Not here: what rows mean. Whoever asks for a copy gives a [`CopyCheck`], which sees all chains and all leaves as the target has them.

mod taken;

use std::path::{Path, PathBuf};

use gantral_core::digest::{Digest, Hasher};
use gantral_core::ids::TenantId;

use crate::append::{Head, SealedArtifact};
use crate::error::{ConnectError, OpenError};
use crate::log::{ChainId, CommittedArtifact, LogRow};
use crate::postgres::{Password, copying as target};
use crate::rows::InstanceRow;
use crate::sqlite::source;

pub(crate) use taken::{ROUNDS, Taken};

/// What is copied where.
#[derive(Debug)]
pub struct Copy<'a> {
    /// The file of the ledger. It is only read; its lock is held until the copy has ended, so that no server starts on it.
    pub source: &'a Path,
    /// The address of the database, as [`crate::PostgresStore::open`] takes it.
    pub target: &'a str,
    /// The password of the role that logs in there, if the address does not hold it.
    pub password: Option<Password>,
}

/// One chain, as the target has it.
#[derive(Debug)]
pub struct CopiedChain {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which one.
    pub chain: ChainId,
    /// All of it, from the first artifact on.
    pub artifacts: Vec<SealedArtifact>,
    /// The row of the index, where it is the chain of an instance.
    pub instance: Option<InstanceRow>,
    /// What the index says its newest artifact is.
    pub head: Head,
}

impl CopiedChain {
    /// Shows it to whoever knows what it means.
    pub(crate) fn show(&self, check: &mut dyn CopyCheck) -> Result<(), CopyError> {
        check.chain(self).map_err(|what| CopyError::Damaged { what: format!("{}: {what}", self.name()) })
    }

    /// Returns what it is called where something is wrong with it.
    fn name(&self) -> String {
        match self.chain {
            ChainId::Governance => format!("the governance chain of tenant {}", self.tenant),
            ChainId::Instance(id) => format!("instance {id} of tenant {}", self.tenant),
        }
    }
}

/// After how many chains it is said how far this is.
pub(crate) const TOLD_EVERY: u64 = 10_000;

/// An object of a log, for readers: its name and its bytes.
pub type CopiedObject = (String, Vec<u8>);

/// Whoever knows what rows mean. Each "no" ends the copy, and nothing is kept.
pub trait CopyCheck: Send {
    /// Reads from an envelope that is older than the log whether its chain ends with it, and the first eight bytes of the id of who signed it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn told(&mut self, envelope: &[u8]) -> Result<(bool, [u8; 8]), String>;

    /// Is shown every chain once.
    ///
    /// # Errors
    /// What is wrong with it.
    fn chain(&mut self, chain: &CopiedChain) -> Result<(), String>;

    /// Returns what the log of a tenant is called.
    ///
    /// # Errors
    /// Why it has no name.
    fn log_name(&mut self, tenant: &TenantId) -> Result<String, String>;

    /// Is shown everything that a log took, in its order, and returns the objects of the log that are whole by now.
    ///
    /// # Errors
    /// What is wrong with it.
    fn leaves(
        &mut self,
        tenant: &TenantId,
        artifacts: &[CommittedArtifact],
    ) -> Result<Vec<CopiedObject>, String>;

    /// Is shown what the ledger says of a log whose leaves it has seen, and returns the rest of its objects.
    ///
    /// # Errors
    /// What is wrong with it.
    fn log(&mut self, row: &LogRow) -> Result<Vec<CopiedObject>, String>;

    /// Is told how far the copy has come.
    fn step(&mut self, step: CopyStep<'_>);
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStep<'a> {
    /// The file is read through for damage.
    Checking,
    /// The file is of an older release: what is copied is a copy of it, brought up to date in the folder beside it.
    Updating,
    /// So many rows of a table were written.
    Writing {
        /// The table.
        table: &'a str,
        /// How many rows.
        rows: u64,
    },
    /// What was written is read again, and compared.
    Comparing {
        /// The table.
        table: &'a str,
    },
    /// So many chains were proved.
    Chains(u64),
    /// So many leaves of logs were proved.
    Leaves(u64),
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where to, without who logs in.
    pub server: String,
    /// All tables, by name.
    pub tables: Vec<CopiedTable>,
    /// How many chains were proved.
    pub chains: u64,
    /// How many logs, and how many leaves they have together.
    pub logs: (u64, u64),
}

/// One table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// A digest of all of them, equal on both sides.
    pub digest: Digest,
}

/// Why nothing was copied. The target is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no file.
    #[error("`{path}` is no ledger: there is no such file", path = path.display())]
    NoSource {
        /// The file.
        path: PathBuf,
    },
    /// The source cannot be opened; worth a retry when it is in use.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The target cannot be opened, or is not empty.
    #[error(transparent)]
    Target(#[from] ConnectError),
    /// The source holds what it may not hold.
    #[error("the ledger is damaged: {what}")]
    Damaged {
        /// Where, and what.
        what: String,
    },
    /// The two schemas are not of one release.
    #[error("the ledger does not fit the database: {what}")]
    Unfit {
        /// What does not fit.
        what: String,
    },
    /// The target failed, or was lost; worth a retry.
    #[error("the database failed and kept nothing: {reason}")]
    Failed {
        /// What it said; for the log.
        reason: String,
    },
    /// The target was lost while it committed: whether it has the ledger is not known. A retry tells: it is refused if it has.
    #[error(
        "the database was lost while it committed, and may have the ledger: copy again; it refuses if it has"
    )]
    Unknown {
        /// What it said; for the log.
        reason: String,
    },
}

/// Copies a ledger.
///
/// # Errors
/// `CopyError`; unless it is `Unknown`, the target is as it was.
pub async fn copy(copy: Copy<'_>, check: &mut dyn CopyCheck) -> Result<Copied, CopyError> {
    let source = source::Source::open(copy.source, check).await?;
    target::copy(&source, copy.target, copy.password.as_ref(), check).await
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Flag(bool),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// Returns about how much memory it takes, in bytes.
    pub(crate) const fn size(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) | Self::Flag(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Flag,
    Text,
    Bytes,
}

/// A table of the target.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// In the order in which they are written, read and digested.
    pub(crate) columns: Vec<Column>,
    /// The names of the columns of its primary key.
    pub(crate) key: Vec<String>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether its numbers are given by the table, so that the next one has to follow.
    pub(crate) counted: bool,
}

impl Table {
    /// Returns the names of its columns as a list.
    pub(crate) fn list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        names.join(", ")
    }

    /// Returns the statement that reads all of it in the order of its key.
    pub(crate) fn select(&self) -> String {
        let key: Vec<_> = self.key.iter().map(|name| format!("\"{name}\"")).collect();
        format!("SELECT {} FROM \"{}\" ORDER BY {}", self.list(), self.name, key.join(", "))
    }

    /// Returns where a column is.
    pub(crate) fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == column)
    }
}

/// The digest of the rows of a table, one after the other.
pub(crate) struct Rows {
    rows: u64,
    digest: Digest,
}

impl Rows {
    pub(crate) fn new(table: &Table) -> Self {
        let digest = Hasher::new("gantral/copy/table").text(&table.name).text(&table.list()).finish();
        Self { rows: 0, digest }
    }

    /// Adds a row: for each value what it is, how long it is, and itself.
    pub(crate) fn add(&mut self, row: &[Value]) {
        let mut hasher = Hasher::new("gantral/copy/row").bytes(self.digest.as_bytes());
        for value in row {
            let (tag, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Int(value) => (1, &value.to_be_bytes()),
                Value::Flag(value) => (2, &[u8::from(*value)]),
                Value::Text(text) => (3, text.as_bytes()),
                Value::Bytes(bytes) => (4, bytes),
            };
            hasher = hasher.bytes(&[tag]).bytes(&(bytes.len() as u64).to_be_bytes()).bytes(bytes);
        }
        self.digest = hasher.finish();
        self.rows = self.rows.saturating_add(1);
    }

    pub(crate) fn finish(self, table: &Table) -> CopiedTable {
        CopiedTable { table: table.name.clone(), rows: self.rows, digest: self.digest }
    }
}
