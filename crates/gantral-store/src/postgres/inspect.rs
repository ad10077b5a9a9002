//! What a database is like, looked at without changing anything: for whoever is to say what is wrong with a deployment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::access::{Access, Password};
use super::server::{self, refused};
use crate::error::ConnectError;

/// What a database is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseReport {
    /// Where it is, without who logs in.
    pub server: String,
    /// The release of the server, as it says it.
    pub version: String,
    /// How many steps its schema has: 0 where no server of ours was there yet.
    pub schema: u32,
    /// How many steps this release knows.
    pub schema_known: u32,
    /// How far the clock of the database is from that of this machine.
    pub skew: Duration,
    /// Whether it takes writes: a standby does not.
    pub writable: bool,
    /// Whether who logs in may do what a server does: make the schema, or write to its tables.
    pub permitted: bool,
    /// How many connections the server takes, and how many it has.
    pub connections: (u64, u64),
}

/// Looks at a database, as [`crate::PostgresStore::open`] takes its address. Changes nothing, and makes no schema; a server may run upon it.
///
/// # Errors
/// [`ConnectError`], as where it is opened.
pub async fn inspect(address: &str, password: Option<&Password>) -> Result<DatabaseReport, ConnectError> {
    let access = Access::new(address, password)?;
    let connected = access.config.connect(access.tls.clone()).await;
    let (mut client, connection) = connected.map_err(|error| access.unreachable(&error))?;
    // What ends it is told to whoever waits for an answer.
    let connection = tokio::spawn(async move { connection.await.ok() });
    let report = look(&mut client, &access.server).await;
    drop(client);
    // Waits until the server was told goodbye.
    let _ = connection.await;
    report
}

async fn look(client: &mut tokio_postgres::Client, server: &str) -> Result<DatabaseReport, ConnectError> {
    let fail = |error| refused(server, &error);
    server::check(client, server).await?;
    let transaction = client.build_transaction().read_only(true).start().await.map_err(fail)?;
    let schema = server::found(&transaction, server).await?;
    let before = SystemTime::now();
    let row = transaction
        .query_one(
            "SELECT current_setting('server_version'), extract(epoch FROM clock_timestamp())::float8,
               NOT pg_is_in_recovery(), current_setting('max_connections')::bigint,
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
               CASE WHEN to_regnamespace('gantral') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
                 WHEN to_regclass('gantral.artifact') IS NULL THEN has_schema_privilege('gantral', 'CREATE')
                 ELSE has_schema_privilege('gantral', 'USAGE') AND has_table_privilege('gantral.artifact', 'SELECT, INSERT')
                   AND has_table_privilege('gantral.instance', 'SELECT, INSERT, UPDATE') END",
            &[],
        )
        .await
        .map_err(fail)?;
    let here = before.duration_since(UNIX_EPOCH).unwrap_or_default();
    let there = Duration::try_from_secs_f64(row.try_get(1).map_err(fail)?).unwrap_or_default();
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(DatabaseReport {
        server: server.to_owned(),
        version: row.try_get(0).map_err(fail)?,
        schema,
        schema_known: server::steps(),
        skew: here.abs_diff(there),
        writable: row.try_get(2).map_err(fail)?,
        permitted: row.try_get(5).map_err(fail)?,
        connections: (count(row.try_get(3).map_err(fail)?), count(row.try_get(4).map_err(fail)?)),
    })
}
