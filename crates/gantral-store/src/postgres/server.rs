//! The server: its settings, what every session is told, and the schema.

use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use gantral_core::digest::Digest;
use tokio::time::timeout;
use tokio_postgres::{Client, Transaction};

use super::access::Access;
use super::writer::reason;
use crate::error::ConnectError;

/// Every schema change, oldest first; the number of a migration is its place, counted from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
];
/// `GNTM` and a one: the advisory lock under which schemas are changed. Those of the numbers of artifacts begin with `GNTL`.
const MIGRATION_LOCK: i64 = 0x474e_544d_0000_0001;
/// `GNTC` and a one: the advisory lock of whoever copies a ledger into the database, shared by those that look at its schema.
const COPY_LOCK: i64 = 0x474e_5443_0000_0001;
/// The oldest server that serves: what is older gets no fixes any more.
const VERSION_MIN: u32 = 14;
/// How long a connection may take to be made.
pub(super) const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection while all are in use: longer than a burst, shorter than a client waits for an answer.
const POOL_WAIT: Duration = Duration::from_secs(10);
/// How long one statement may take, a wait for a row included. None of ours reads more than a page; a longer one says that the server stands
/// still.
const STATEMENT_MS_MAX: u32 = 12_000;
/// How long a statement waits for a row that another transaction holds: many times what a transaction takes, less than a statement may.
const LOCK_MS_MAX: u32 = 10_000;
/// How a session plans. A statement is planned once, and not for each of its values: planning takes longer than running what finds one row by its
/// key. The tables may be all but empty then, when to read a whole one looks as good as an index, and filled in the next second. Each of our statements
/// has an index that leads to its rows, so plans go by those; and since one of them looks as good as another for as long, a session
/// plans anew from time to time ([`plans`]).
const PLANNING: &str =
    "SET plan_cache_mode TO force_generic_plan; SET enable_seqscan TO off; SET enable_hashjoin TO off;
    SET enable_mergejoin TO off";
/// The age in seconds from which a session plans anew once in as many: what is planned then costs less than a thousandth of that time.
const PLANS_LAST: u64 = 16;
/// When the server ends a transaction of which nothing is heard any more, so that the locks of a lost process are free. Between two statements of one
/// we wait for nothing but the network.
const IDLE_MS_MAX: u32 = 4_000;
/// How long an answer may take: longer than a statement may, so that a server that is there has said so before. Whoever hears nothing for so long
/// goes on without the connection, since a network that loses everything says nothing, and the system would wait a quarter of an hour.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// After how long the server is asked on a silent connection whether it is there.
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// How often it is asked then, and how often without an answer until the connection is lost.
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub(super) const KEEPALIVE_RETRIES: u32 = 3;

/// Opens the pool, checks what the server promises, and brings the schema up to date.
pub(super) async fn open(access: &Access, connections: usize) -> Result<Pool, ConnectError> {
    let server = &access.server;
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(access.config.clone(), access.tls.clone(), recycling);
    let pool = Pool::builder(manager)
        .max_size(connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(POOL_WAIT))
        .create_timeout(Some(CONNECT_WAIT))
        .post_create(Hook::async_fn(|client, _| Box::pin(tell(client, format!("{}; {PLANNING}", session())))))
        .post_recycle(Hook::async_fn(|client, used| {
            Box::pin(async move {
                let last_used = used.recycled.unwrap_or(used.created).duration_since(used.created);
                if plans(used.age()) == plans(last_used) {
                    return Ok(());
                }
                tell(client, "DISCARD PLANS".to_owned()).await
            })
        }))
        .build()
        .map_err(|error| ConnectError::Database { server: server.clone(), reason: error.to_string() })?;
    let client = pool.get().await.map_err(|error| match &error {
        PoolError::Backend(error) => access.unreachable(error),
        _ => ConnectError::Unreachable { server: server.clone(), reason: pool_reason(&error) },
    })?;
    check(&client, server).await?;
    migrate(client, server).await?;
    Ok(pool)
}

/// Returns what every session is told. A commit is answered when it is on the disk, whatever the database prefers.
pub(super) fn session() -> String {
    format!(
        "SET search_path TO gantral; SET synchronous_commit TO on; SET statement_timeout TO {STATEMENT_MS_MAX};
         SET lock_timeout TO {LOCK_MS_MAX}; SET idle_in_transaction_session_timeout TO {IDLE_MS_MAX};
         SET default_transaction_isolation TO 'read committed'; SET default_transaction_read_only TO off; SET jit TO off"
    )
}

/// Tells a session something that has no answer.
async fn tell(client: &Client, sql: String) -> Result<(), HookError> {
    let told = timeout(CONNECT_WAIT, client.batch_execute(&sql)).await;
    told.map_err(|_| HookError::message("the database does not answer"))?.map_err(HookError::Backend)
}

/// Returns how often a session of this age has been told to plan anew: after one second, two, four and so on, then every [`PLANS_LAST`].
fn plans(age: Duration) -> u64 {
    let seconds = age.as_secs();
    u64::from(seconds.min(PLANS_LAST).checked_ilog2().map_or(0, |log| log.saturating_add(1)))
        .saturating_add(seconds / PLANS_LAST)
}

/// Returns why the pool gave no connection, for the log.
pub(super) fn pool_reason(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => reason(error),
        PoolError::Timeout(_)
        | PoolError::Closed
        | PoolError::NoRuntimeSpecified
        | PoolError::PostCreateHook(_) => error.to_string(),
    }
}

pub(super) fn refused(server: &str, error: &tokio_postgres::Error) -> ConnectError {
    ConnectError::Database { server: server.to_owned(), reason: reason(error) }
}

/// Refuses a server that would lose what it has answered, or that is too old.
pub(super) async fn check(client: &Client, server: &str) -> Result<(), ConnectError> {
    let fail = |error| refused(server, &error);
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::bigint, current_setting('fsync')::boolean,
               current_setting('full_page_writes')::boolean, current_setting('synchronous_commit') <> 'off'",
            &[],
        )
        .await
        .map_err(fail)?;
    let version = u32::try_from(row.try_get::<_, i64>(0).map_err(fail)? / 10_000).unwrap_or_default();
    if version < VERSION_MIN {
        return Err(ConnectError::TooOld { server: server.to_owned(), found: version, needed: VERSION_MIN });
    }
    for (index, setting) in [(1, "fsync"), (2, "full_page_writes"), (3, "synchronous_commit")] {
        if !row.try_get::<_, bool>(index).map_err(fail)? {
            return Err(ConnectError::NotDurable { server: server.to_owned(), setting });
        }
    }
    Ok(())
}

/// Returns how many steps the schema of this release has.
pub(super) fn steps() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Makes the schema, or brings it up to date: one server at a time, each step once, in a transaction of its own.
async fn migrate(mut client: Object, server: &str) -> Result<(), ConnectError> {
    let fail = |error| refused(server, &error);
    loop {
        let transaction = client.transaction().await.map_err(fail)?;
        // Who waits for another server's step waits for as long as that takes; a copy takes longer than anybody would wait.
        transaction
            .batch_execute("SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0")
            .await
            .map_err(fail)?;
        if !free(&transaction, "SELECT pg_try_advisory_xact_lock_shared($1)").await.map_err(fail)? {
            return Err(ConnectError::Copying { server: server.to_owned() });
        }
        transaction.query("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.map_err(fail)?;
        let found = found(&transaction, server).await?;
        let Some(migration) = MIGRATIONS.get(found as usize) else { return Ok(()) };
        let number = step(&transaction, found, migration).await.map_err(fail)?;
        transaction.commit().await.map_err(fail)?;
        tracing::info!(schema = number, "store schema brought up to date");
    }
}

async fn free(transaction: &Transaction<'_>, lock: &str) -> Result<bool, tokio_postgres::Error> {
    transaction.query_one(lock, &[&COPY_LOCK]).await?.try_get(0)
}

/// Makes the step of the schema that follows those that are there, and returns its number.
async fn step(
    transaction: &Transaction<'_>,
    found: u32,
    migration: &str,
) -> Result<i64, tokio_postgres::Error> {
    let number = i64::from(found).saturating_add(1);
    if found == 0 {
        transaction
            .batch_execute(
                "CREATE SCHEMA IF NOT EXISTS gantral;
                 CREATE TABLE gantral.schema_version(version bigint PRIMARY KEY, digest bytea NOT NULL)",
            )
            .await?;
    }
    transaction.batch_execute(migration).await?;
    let digest = Digest::of(migration.as_bytes());
    transaction
        .execute(
            "INSERT INTO gantral.schema_version(version, digest) VALUES($1, $2)",
            &[&number, &digest.as_bytes().as_slice()],
        )
        .await?;
    Ok(number)
}

/// Takes a database for a copy alone, and makes the whole schema in a transaction that is not committed. Nobody sees any of it, and whoever
/// opens the database meanwhile is told so.
pub(super) async fn prepare(transaction: &Transaction<'_>, server: &str) -> Result<(), ConnectError> {
    let fail = |error| refused(server, &error);
    if !free(transaction, "SELECT pg_try_advisory_xact_lock($1)").await.map_err(fail)? {
        return Err(ConnectError::Copying { server: server.to_owned() });
    }
    transaction.query("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.map_err(fail)?;
    if found(transaction, server).await? > 0 {
        return Err(ConnectError::Occupied { server: server.to_owned() });
    }
    for (found, migration) in (0..).zip(MIGRATIONS) {
        step(transaction, found, migration).await.map_err(fail)?;
    }
    Ok(())
}

/// Returns how many steps the schema of a database has, each of which this release knows as it is; 0 where there is none.
pub(super) async fn found(transaction: &Transaction<'_>, server: &str) -> Result<u32, ConnectError> {
    let fail = |error| refused(server, &error);
    let foreign = || ConnectError::Foreign { server: server.to_owned() };
    let there = transaction
        .query_one(
            "SELECT to_regclass('gantral.schema_version') IS NOT NULL,
               EXISTS(SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace('gantral'))",
            &[],
        )
        .await
        .map_err(fail)?;
    let (version, anything): (bool, bool) =
        (there.try_get(0).map_err(fail)?, there.try_get(1).map_err(fail)?);
    if !version {
        // A schema that is empty was made for us, by whoever may make one.
        return if anything { Err(foreign()) } else { Ok(0) };
    }
    let rows = transaction
        .query("SELECT version, digest FROM gantral.schema_version ORDER BY version", &[])
        .await
        .map_err(|error| if error.is_closed() { fail(error) } else { foreign() })?;
    let mut found = 0;
    for row in rows {
        let number: i64 = row.try_get(0).map_err(|_| foreign())?;
        let digest: &[u8] = row.try_get(1).map_err(|_| foreign())?;
        found = u32::try_from(number).map_err(|_| foreign())?;
        if let Some(migration) = MIGRATIONS.get((found as usize).wrapping_sub(1))
            && Digest::of(migration.as_bytes()).as_bytes() != digest
        {
            return Err(ConnectError::OtherSchema { server: server.to_owned(), number: found });
        }
    }
    let known = steps();
    if found > known {
        return Err(ConnectError::NewerSchema { server: server.to_owned(), found, known });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_plans_anew_often_while_it_is_young_and_rarely_for_ever() {
        let anew = |second: &u64| {
            plans(Duration::from_secs(*second)) != plans(Duration::from_secs(second.saturating_sub(1)))
        };
        assert_eq!((1..70).filter(anew).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 48, 64]);
    }
}
