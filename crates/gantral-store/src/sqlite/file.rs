//! The file: its lock, its mode, its settings and its schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::error::OpenError;

/// `GNTL`: says that a SQLite file is ours.
const APPLICATION_ID: i64 = 0x474e_544c;
/// Every schema change, oldest first; the number of a migration is its place, counted from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
    include_str!("schema/0008.sql"),
    include_str!("schema/0009.sql"),
    include_str!("schema/0010.sql"),
    include_str!("schema/0011.sql"),
    include_str!("schema/0012.sql"),
    include_str!("schema/0013.sql"),
    include_str!("schema/0014.sql"),
    include_str!("schema/0015.sql"),
    include_str!("schema/0016.sql"),
    include_str!("schema/0017.sql"),
    include_str!("schema/0018.sql"),
    include_str!("schema/0019.sql"),
    include_str!("schema/0020.sql"),
    include_str!("schema/0021.sql"),
];
/// The write-ahead log is cut to this many bytes when it starts over.
const WAL_BYTES_MAX: u32 = 64 << 20;
/// How long to wait for an external backup tool that holds the file.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);
/// How many prepared statements each connection keeps.
const STATEMENTS_MAX: usize = 128;
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: u32 = 64 << 10;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: u32 = 16 << 10;

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
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = private(&PathBuf::from(name)).map_err(fail)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(fail(source)),
    }
    private(path).and_then(|file| file.sync_all()).map_err(fail)?;
    sync_folder(path).map_err(fail)?;
    Ok(FileLock(lock))
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

/// Makes the file's name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

/// Opens the one connection that writes, and brings the schema up to date.
pub(super) fn writer(path: &Path, file_bytes_max: Option<u64>) -> Result<Connection, OpenError> {
    let fail = |error| not_opened(path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fail)?;
    recognise(&connection, path)?;
    // `secure_delete` overwrites what an erasure frees.
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;
             PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit={WAL_BYTES_MAX};
             PRAGMA cache_size=-{WRITER_CACHE_KIB}; PRAGMA trusted_schema=OFF;"
        ))
        .map_err(fail)?;
    settle_plans(&connection).map_err(fail)?;
    migrate(&mut connection, path)?;
    if let Some(bytes) = file_bytes_max {
        let page: u64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))
            .map_err(fail)?
            .max(1)
            .into();
        connection
            .query_row(&format!("PRAGMA max_page_count={}", bytes / page), [], |_| Ok(()))
            .map_err(fail)?;
    }
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let fail = |error| not_opened(path, &error);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fail)?;
    connection
        .execute_batch(&format!("PRAGMA cache_size=-{READER_CACHE_KIB}; PRAGMA trusted_schema=OFF;"))
        .map_err(fail)?;
    settle_plans(&connection).map_err(fail)?;
    Ok(connection)
}

/// Opens a connection that only reads, to a file that nobody writes.
pub(super) fn source(path: &Path) -> Result<Connection, OpenError> {
    let fail = |error| not_opened(path, &error);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fail)?;
    connection.execute_batch("PRAGMA query_only=ON; PRAGMA trusted_schema=OFF;").map_err(fail)?;
    Ok(connection)
}

/// Tells whether a file was written by an older release.
///
/// # Errors
/// `NewerSchema`, if by a newer one.
pub(super) fn is_old(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    let found = schema(connection).map_err(|error| not_opened(path, &error))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known });
    }
    Ok(found < known)
}

/// Opens the connection that copies the write-ahead log into the file.
pub(super) fn checkpointer(path: &Path) -> Result<Connection, OpenError> {
    let fail = |error| not_opened(path, &error);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fail)?;
    connection
        .execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA trusted_schema=OFF;")
        .map_err(fail)?;
    Ok(connection)
}

/// Opens a connection that one thread uses at a time.
fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(connection)
}

fn not_opened(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Database { path: path.to_owned(), reason: error.to_string() }
}

/// Keeps statements, and one plan for each: without the guarantee, SQLite plans some anew for every parameter.
fn settle_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}

/// Refuses a file of somebody else before anything is changed in it.
pub(super) fn recognise(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let fail = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => OpenError::Foreign { path: path.to_owned() },
        Some(_) | None => OpenError::Database { path: path.to_owned(), reason: error.to_string() },
    };
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(fail)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fail)?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        Ok(())
    } else {
        Err(OpenError::Foreign { path: path.to_owned() })
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let fail =
        |error: rusqlite::Error| OpenError::Database { path: path.to_owned(), reason: error.to_string() };
    is_old(connection, path)?;
    let found = schema(connection).map_err(fail)?;
    for (number, migration) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction().map_err(fail)?;
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id={APPLICATION_ID};
                 CREATE TABLE IF NOT EXISTS schema_version(version INTEGER PRIMARY KEY) STRICT;"
            ))
            .and_then(|()| transaction.execute_batch(migration))
            .and_then(|()| transaction.execute("INSERT INTO schema_version(version) VALUES(?1)", [number]))
            .and_then(|_| transaction.commit())
            .map_err(fail)?;
        tracing::info!(schema = number, "store schema brought up to date");
    }
    Ok(())
}

/// Returns the number of the newest migration in the file, 0 for a new file.
fn schema(connection: &Connection) -> rusqlite::Result<u32> {
    let exists = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name='schema_version'", [], |_| Ok(()))
        .optional()?
        .is_some();
    if !exists {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))
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
