//! A database into which a ledger is copied: in one transaction, from the schema to the last proof.

mod proving;

use std::pin::pin;

use futures_util::TryStreamExt as _;
use gantral_core::digest::{Digest, commit};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Row, Transaction};

use super::access::{Access, Password};
use super::columns::{count, digest, get, salt};
use super::server;
use super::writer::{Fail, reason};
use crate::columns::label;
use crate::copying::{Column, Copied, CopiedTable, CopyCheck, CopyError, CopyStep, Kind, Rows, Table, Value};
use crate::packed::unpack;
use crate::sqlite::source::Source;

/// The tables that each database has of its own: how its schema came about, which servers serve it with which keys and do which duty now, and
/// the objects of the logs, which a ledger of one machine keeps in files.
const OWN: [&str; 4] = ["schema_version", "serving", "duty", "log_object"];
/// The table of the artifacts.
const ARTIFACT: &str = "artifact";
/// The table whose numbers are never given twice, also when the newest rows are gone.
const OUTBOX: &str = "outbox";

/// Copies everything that a source has into a database that has nothing, and proves it there.
pub(crate) async fn copy(
    source: &Source,
    address: &str,
    password: Option<&Password>,
    check: &mut dyn CopyCheck,
) -> Result<Copied, CopyError> {
    let access = Access::new(address, password)?;
    let connected = access.config.connect(access.tls.clone()).await;
    let (mut client, connection) = connected.map_err(|error| access.unreachable(&error))?;
    // What ends it is told to whoever waits for an answer.
    let connection = tokio::spawn(async move { connection.await.ok() });
    let server = &access.server;
    let refused = |error| CopyError::from(server::refused(server, &error));
    // One statement may take as long as the ledger is large. Where this machine is lost the server ends the copy after a minute.
    let session = "SET statement_timeout TO 0; SET idle_in_transaction_session_timeout TO 0; SET application_name TO 'gantral store copy';
                   SET tcp_keepalives_idle TO 30; SET tcp_keepalives_interval TO 10; SET tcp_keepalives_count TO 3";
    client.batch_execute(&format!("{}; {session}", server::session())).await.map_err(refused)?;
    server::check(&client, server).await?;
    let transaction = client.transaction().await.map_err(refused)?;
    server::prepare(&transaction, server).await?;
    let copied = fill(&transaction, source, server, check).await;
    let ended = match copied {
        Ok(copied) => match transaction.commit().await {
            Ok(()) => Ok(copied),
            Err(error) if error.as_db_error().is_some() => Err(failed(&error)),
            Err(error) => Err(CopyError::Unknown { reason: reason(&error) }),
        },
        Err(error) => {
            // Fails only where the connection is lost, and then the server does it.
            let _ = transaction.rollback().await;
            Err(error)
        }
    };
    drop(client);
    // Waits until the server was told goodbye, so that whoever comes next finds its locks free.
    let _ = connection.await;
    ended
}

async fn fill(
    transaction: &Transaction<'_>,
    source: &Source,
    server: &str,
    check: &mut dyn CopyCheck,
) -> Result<Copied, CopyError> {
    let tables = tables(transaction).await?;
    source.fits(&tables).await?;
    // Its row says that nothing was taken yet.
    transaction.batch_execute("DELETE FROM sequencer").await.map_err(|error| failed(&error))?;
    let mut written = Vec::with_capacity(tables.len());
    for table in &tables {
        written.push(write(transaction, source, table, check).await?);
    }
    transaction.batch_execute("ANALYZE").await.map_err(|error| failed(&error))?;
    number(transaction, source, &tables).await?;
    for (table, written) in tables.iter().zip(&written) {
        check.step(CopyStep::Comparing { table: &table.name });
        compare(transaction, table, written).await?;
    }
    let chains = proving::chains(transaction, check).await?;
    let logs = proving::logs(transaction, check).await?;
    Ok(Copied { server: server.to_owned(), tables: written, chains, logs })
}

/// Reads from the server which tables there are to be filled.
async fn tables(transaction: &Transaction<'_>) -> Result<Vec<Table>, CopyError> {
    let rows = transaction
        .query(
            "SELECT c.relname::text, a.attname::text, t.typname::text,
               a.attidentity <> '', coalesce(array_position(i.indkey::int2[], a.attnum), -1)::bigint
             FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
             JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
             WHERE c.relnamespace = to_regnamespace('gantral') AND c.relkind = 'r' AND NOT c.relname::text = ANY($1)
             ORDER BY c.relname::text COLLATE \"C\", a.attnum",
            &[&OWN.as_slice()],
        )
        .await
        .map_err(|error| failed(&error))?;
    let mut tables: Vec<(Table, Vec<(i64, String)>)> = Vec::new();
    for row in rows {
        let read = |index| get::<String>(&row, index);
        let (table, name, kind) = (read(0)?, read(1)?, read(2)?);
        let kind = match kind.as_str() {
            "int8" => Kind::Int,
            "bool" => Kind::Flag,
            "text" => Kind::Text,
            "bytea" => Kind::Bytes,
            other => {
                return Err(CopyError::Unfit { what: format!("`{table}.{name}` is of the type {other}") });
            }
        };
        let (counted, place) = (get(&row, 3)?, get::<i64>(&row, 4)?);
        if tables.last().is_none_or(|(last, _)| last.name != table) {
            tables.push((Table { name: table, columns: Vec::new(), key: Vec::new() }, Vec::new()));
        }
        if let Some((table, key)) = tables.last_mut() {
            if place >= 0 {
                key.push((place, name.clone()));
            }
            table.columns.push(Column { name, kind, counted });
        }
    }
    let keyed = |(mut table, mut key): (Table, Vec<(i64, String)>)| {
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, name)| name).collect();
        table
    };
    Ok(tables.into_iter().map(keyed).collect())
}

/// Writes all rows of a table, and digests them on their way.
async fn write(
    transaction: &Transaction<'_>,
    source: &Source,
    table: &Table,
    check: &mut dyn CopyCheck,
) -> Result<CopiedTable, CopyError> {
    let statement = format!("COPY \"{}\" ({}) FROM STDIN BINARY", table.name, table.list());
    let types: Vec<Type> = table.columns.iter().map(|column| sql_type(column.kind)).collect();
    let sink = transaction.copy_in(&statement).await.map_err(|error| failed(&error))?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    let (mut digest, mut batches, mut rows) = (Rows::new(table), source.rows(table), 0_u64);
    let here = |error: &tokio_postgres::Error| match error.as_db_error() {
        Some(_) => CopyError::Damaged { what: format!("`{}`: {}", table.name, reason(error)) },
        None => failed(error),
    };
    while let Some(batch) = batches.recv().await {
        for mut row in batch? {
            if table.name == ARTIFACT {
                tell(table, &mut row, check)?;
            }
            digest.add(&row);
            writer.as_mut().write_raw(row.iter()).await.map_err(|error| here(&error))?;
            rows = rows.saturating_add(1);
        }
        check.step(CopyStep::Writing { table: &table.name, rows });
    }
    writer.finish().await.map_err(|error| here(&error))?;
    Ok(digest.finish(table))
}

/// Writes into the row of an artifact what those have not that are older than the log: their envelopes say it.
fn tell(table: &Table, row: &mut [Value], check: &mut dyn CopyCheck) -> Result<(), CopyError> {
    let place = |column| table.position(column).unwrap_or(usize::MAX);
    let (number, envelope) = (place("number"), place("envelope"));
    let (terminal, signer) = (place("terminal"), place("signer"));
    if row.get(terminal) != Some(&Value::Null) {
        return Ok(());
    }
    let Some(Value::Bytes(bytes)) = row.get(envelope) else { return Ok(()) };
    let told =
        unpack(bytes).ok_or_else(|| "it is no envelope".to_owned()).and_then(|bytes| check.told(&bytes));
    let (ends, key) = told.map_err(|what| CopyError::Damaged {
        what: format!("artifact {:?} cannot be read: {what}", row.get(number)),
    })?;
    for (index, value) in [(terminal, Value::Flag(ends)), (signer, Value::Bytes(key.to_vec()))] {
        if let Some(cell) = row.get_mut(index) {
            *cell = value;
        }
    }
    Ok(())
}

/// Lets the numbers of each table go on behind those that were given.
async fn number(transaction: &Transaction<'_>, source: &Source, tables: &[Table]) -> Result<(), CopyError> {
    let mut counted: Vec<(String, String)> = vec![("'artifact_number'".to_owned(), ARTIFACT.to_owned())];
    for table in tables.iter().filter(|table| table.columns.iter().any(|column| column.counted)) {
        counted.push((format!("pg_get_serial_sequence('{}', 'number')", table.name), table.name.clone()));
    }
    for (sequence, table) in counted {
        let given = if table == OUTBOX { source.given(&table).await? } else { 0 };
        let set = format!(
            "SELECT setval({sequence}, newest) FROM (SELECT greatest(max(number), $1) AS newest FROM \"{table}\") AS numbers
             WHERE newest > 0"
        );
        transaction.execute(&set, &[&given]).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Reads a table as the server has it, and compares it with what was written.
async fn compare(
    transaction: &Transaction<'_>,
    table: &Table,
    written: &CopiedTable,
) -> Result<(), CopyError> {
    let mut digest = Rows::new(table);
    let none: [i64; 0] = [];
    let rows = transaction.query_raw(&table.select(), none).await;
    let mut rows = pin!(rows.map_err(|error| failed(&error))?);
    while let Some(row) = rows.try_next().await.map_err(|error| failed(&error))? {
        let mut values = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            values.push(value(&row, index, column.kind)?);
        }
        digest.add(&values);
        holds(table, &row)?;
    }
    if digest.finish(table) == *written {
        Ok(())
    } else {
        Err(CopyError::Damaged {
            what: format!("`{}` came out of the database otherwise than it went in", table.name),
        })
    }
}

/// Checks the rows that name a digest of what they hold.
fn holds(table: &Table, row: &Row) -> Result<(), CopyError> {
    let place = |column| table.position(column).unwrap_or(usize::MAX);
    let bytes = |column| get::<&[u8]>(row, place(column));
    let is_right = match table.name.as_str() {
        "human_evidence" => Digest::of(bytes("content")?) == digest(row, place("digest"))?,
        "snapshot" if get::<Option<&[u8]>>(row, place("salt"))?.is_some() => {
            let (label, salt) = (label(row, place("label"))?, salt(row, place("salt"))?);
            commit(label, &salt, bytes("plaintext")?) == digest(row, place("commitment"))?
        }
        _ => true,
    };
    if is_right {
        return Ok(());
    }
    let which = if table.name == "snapshot" {
        format!("of artifact {}", count(row, place("artifact"))?)
    } else {
        digest(row, place("digest"))?.to_string()
    };
    Err(CopyError::Damaged {
        what: format!("a row of `{}` ({which}) does not hold what it is named after", table.name),
    })
}

fn value(row: &Row, index: usize, kind: Kind) -> Result<Value, Fail> {
    let value = match kind {
        Kind::Int => get::<Option<i64>>(row, index)?.map(Value::Int),
        Kind::Flag => get::<Option<bool>>(row, index)?.map(Value::Flag),
        Kind::Text => get::<Option<String>>(row, index)?.map(Value::Text),
        Kind::Bytes => get::<Option<Vec<u8>>>(row, index)?.map(Value::Bytes),
    };
    Ok(value.unwrap_or(Value::Null))
}

const fn sql_type(kind: Kind) -> Type {
    match kind {
        Kind::Int => Type::INT8,
        Kind::Flag => Type::BOOL,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql(kind, out),
            Self::Flag(value) => value.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

pub(super) fn failed(error: &tokio_postgres::Error) -> CopyError {
    CopyError::Failed { reason: reason(error) }
}

impl From<Fail> for CopyError {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Damaged(what) => Self::Damaged { what },
            Fail::Contradiction(what) => Self::Damaged { what: what.to_owned() },
            Fail::Sql(error) => failed(&error),
            Fail::Again | Fail::Pool(_) | Fail::Silent => {
                Self::Failed { reason: "the connection is not there".to_owned() }
            }
        }
    }
}
