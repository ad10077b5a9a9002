//! A file from which a ledger is copied: read, held, and never written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use rusqlite::types::ValueRef;
use tokio::sync::mpsc;

use super::file;
use super::lock::{self, FileLock};
use crate::copying::{CopyCheck, CopyError, CopyStep, Kind, Table, Value};
use crate::error::OpenError;
use crate::store::LEDGER;

/// How many bytes of rows travel together.
const BATCH_BYTES: usize = 1 << 20;
/// How many rows travel together at most.
const BATCH_ROWS: usize = 1_024;
/// How many such batches wait for the target.
const BATCHES: usize = 2;
/// How many pages of an old file are copied at a time.
const PAGES: i32 = 1_024;
/// The folder, beside the ledger, of an old file that is brought up to date.
const UPDATED: &str = ".gantral-copy";

/// What travels together.
pub(crate) type Batch = Vec<Vec<Value>>;

/// A ledger that nobody else has open.
pub(crate) struct Source {
    path: Arc<PathBuf>,
    /// A file of an older release, brought up to date; gone with this.
    _updated: Option<Updated>,
    /// Dropped last.
    _lock: Option<FileLock>,
}

impl Source {
    /// Takes the lock of a ledger, and reads all of it for damage.
    pub(crate) async fn open(path: &Path, check: &mut dyn CopyCheck) -> Result<Self, CopyError> {
        if !path.is_file() {
            return Err(CopyError::NoSource { path: path.to_owned() });
        }
        let lock = lock::claim_source(path)?;
        check.step(CopyStep::Checking);
        let whole = path.to_owned();
        let is_old = blocking(move || {
            let connection = file::source(&whole)?;
            examine(&connection, &whole)?;
            Ok(file::is_old(&connection, &whole)?)
        })
        .await?;
        if !is_old {
            return Ok(Self { path: Arc::new(path.to_owned()), _updated: None, _lock: lock });
        }
        check.step(CopyStep::Updating);
        let old = path.to_owned();
        let (folder, path) = blocking(move || update(&old)).await?;
        Ok(Self { path: Arc::new(path), _updated: Some(folder), _lock: lock })
    }

    /// Returns the file that is read: the ledger, or what was brought up to date of it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses tables and columns that the target has not, and the other way round.
    pub(crate) async fn fits(&self, tables: &[Table]) -> Result<(), CopyError> {
        let (path, tables) = (Arc::clone(&self.path), tables.to_vec());
        blocking(move || {
            let connection = file::source(&path)?;
            let mut theirs: BTreeSet<String> = tables
                .iter()
                .flat_map(|table| table.columns.iter().map(|column| format!("{}.{}", table.name, column.name)))
                .collect();
            let mut statement = connection
                .prepare(
                    "SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> 'schema_version'",
                )
                .map_err(damaged)?;
            let ours = statement.query_map([], |row| row.get::<_, String>(0)).map_err(damaged)?;
            for column in ours {
                let column = column.map_err(damaged)?;
                if !theirs.remove(&column) {
                    return Err(CopyError::Unfit { what: format!("the database has no `{column}`") });
                }
            }
            match theirs.first() {
                Some(column) => Err(CopyError::Unfit { what: format!("the ledger has no `{column}`") }),
                None => Ok(()),
            }
        })
        .await
    }

    /// Reads a table in the order of its key, on a thread of its own and no faster than it is taken.
    pub(crate) fn rows(&self, table: &Table) -> mpsc::Receiver<Result<Batch, CopyError>> {
        let (sender, receiver) = mpsc::channel(BATCHES);
        let (path, table) = (Arc::clone(&self.path), table.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read(&path, &table, &sender) {
                // Whoever waits no longer has failed already.
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    }

    /// Returns the greatest number that a table has ever given, where it gives none twice.
    pub(crate) async fn given(&self, table: &str) -> Result<i64, CopyError> {
        let (path, table) = (Arc::clone(&self.path), table.to_owned());
        blocking(move || {
            let connection = file::source(&path)?;
            let given = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?1";
            connection.query_row(given, [table], |row| row.get(0)).map_err(damaged)
        })
        .await
    }
}

/// Sends all rows of a table; ends early when nobody takes them.
fn read(
    path: &Path,
    table: &Table,
    sender: &mpsc::Sender<Result<Batch, CopyError>>,
) -> Result<(), CopyError> {
    let connection = file::source(path)?;
    let mut statement = connection.prepare(&table.select()).map_err(damaged)?;
    let mut rows = statement.query([]).map_err(damaged)?;
    let (mut batch, mut bytes) = (Batch::new(), 0_usize);
    while let Some(row) = rows.next().map_err(damaged)? {
        let mut values = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            let cell = row.get_ref(index).map_err(damaged)?;
            let value = value(cell, column.kind).ok_or_else(|| CopyError::Damaged {
                what: format!("`{}.{}` holds what it may not", table.name, column.name),
            })?;
            bytes = bytes.saturating_add(value.size());
            values.push(value);
        }
        batch.push(values);
        if bytes >= BATCH_BYTES || batch.len() >= BATCH_ROWS {
            bytes = 0;
            if sender.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                return Ok(());
            }
        }
    }
    // As above: nobody waits.
    let _ = sender.blocking_send(Ok(batch));
    Ok(())
}

fn value(cell: ValueRef<'_>, kind: Kind) -> Option<Value> {
    Some(match (cell, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(value), Kind::Int) => Value::Int(value),
        (ValueRef::Integer(value @ (0 | 1)), Kind::Flag) => Value::Flag(value == 1),
        (ValueRef::Text(text), Kind::Text) => Value::Text(str::from_utf8(text).ok()?.to_owned()),
        (ValueRef::Blob(bytes), Kind::Bytes) => Value::Bytes(bytes.to_vec()),
        _ => return None,
    })
}

/// Lets SQLite look at every page, every index and every rule of its own.
fn examine(connection: &Connection, path: &Path) -> Result<(), CopyError> {
    file::recognise(connection, path)?;
    let found: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(damaged)?;
    if found == "ok" { Ok(()) } else { Err(CopyError::Damaged { what: format!("SQLite says: {found}") }) }
}

/// Copies a file of an older release into a folder beside it, which only its owner may read, and brings that up to date.
fn update(path: &Path) -> Result<(Updated, PathBuf), CopyError> {
    let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = Updated::make(beside.join(UPDATED))?;
    let updated = folder.0.join(LEDGER);
    let from = file::source(path)?;
    let mut to = Connection::open(&updated).map_err(damaged)?;
    Backup::new(&from, &mut to)
        .and_then(|backup| backup.run_to_completion(PAGES, Duration::ZERO, None))
        .map_err(damaged)?;
    drop(to);
    drop(file::writer(&updated, None)?);
    Ok((folder, updated))
}

/// A folder that is gone with this.
struct Updated(PathBuf);

impl Updated {
    /// Makes the folder. One that a killed copy has left is removed: nobody else has the lock.
    fn make(folder: PathBuf) -> Result<Self, CopyError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let removed = match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        removed
            .and_then(|()| std::fs::DirBuilder::new().mode(0o700).create(&folder))
            .map_err(|source| OpenError::File { path: folder.clone(), source })?;
        Ok(Self(folder))
    }
}

impl Drop for Updated {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a copy of the ledger was left behind: remove it");
        }
    }
}

fn damaged(error: rusqlite::Error) -> CopyError {
    CopyError::Damaged { what: format!("SQLite says: {error}") }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CopyError> + Send + 'static,
) -> Result<T, CopyError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(lost) => Err(CopyError::Damaged { what: lost.to_string() }),
    }
}
