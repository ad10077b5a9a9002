//! The file: its settings and its schema.

use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::lock::beside;
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
/// How many bytes a page of a new file has. Three artifacts fit into one, where in the 4 KiB that are usual one fits, and not twice.
const PAGE_BYTES: u32 = 8 << 10;
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

/// Opens the one connection that writes, and brings the schema up to date.
pub(super) fn writer(path: &Path, file_bytes_max: Option<u64>) -> Result<Connection, OpenError> {
    let fail = |error| not_opened(path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fail)?;
    recognise(&connection, path)?;
    // `secure_delete` overwrites what an erasure frees.
    connection
        .execute_batch(&format!(
            "PRAGMA page_size={PAGE_BYTES}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;
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
///
/// SQLite reads a file with a write-ahead log by a third file, which it makes beside them. Where it may not, the file is read as one that never changes,
/// unless that would pass over what is in the log.
pub(super) fn source(path: &Path) -> Result<Connection, OpenError> {
    let fail = |error| not_opened(path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fail)?;
    let looked = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
    let is_closed =
        looked.is_err_and(|error| error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen));
    if is_closed {
        if has_log(path) {
            let reason =
                "what its write-ahead log holds cannot be read where nothing may be written: use a copy";
            return Err(OpenError::Database { path: path.to_owned(), reason: reason.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        connection = connect(Path::new(&immutable(path)), flags).map_err(fail)?;
    }
    connection.execute_batch("PRAGMA query_only=ON; PRAGMA trusted_schema=OFF;").map_err(fail)?;
    Ok(connection)
}

/// Tells whether a write-ahead log holds anything that the file does not.
fn has_log(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// Names a file that cannot change. Source: <https://sqlite.org/uri.html>.
fn immutable(path: &Path) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
    // Two slashes at the beginning would name a machine.
    let begin = if path.is_absolute() { "file://" } else { "file:" };
    format!("{begin}{}?immutable=1", percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED))
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
