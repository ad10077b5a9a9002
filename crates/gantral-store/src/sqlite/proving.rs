//! A file shown to whoever knows what its rows mean: every chain, every log, and what is named after its digest.

use std::path::Path;

use gantral_core::digest::{Digest, commit};
use gantral_core::ids::TenantId;
use rusqlite::{Connection, Row, params};

use super::columns::{Cells as _, count, digest, salt, text};
use super::{file, governance, instances};
use crate::append::{Head, SealedArtifact};
use crate::backup::Examined;
use crate::columns::{label, rows};
use crate::copying::{CopiedChain, CopyCheck, CopyError, CopyStep, ROUNDS, TOLD_EVERY, Taken};
use crate::decoded::{self, INSTANCE, LOG};
use crate::log::{ChainId, CommittedArtifact, LogRow, runs};

/// An artifact by its number, as [`decoded::committed`] reads it.
const COMMITTED: &str = "SELECT number, previous, tenant, instance, sequence, hash, terminal, signer,
       CASE WHEN terminal IS NULL THEN envelope END
     FROM artifact WHERE number = ?1 AND tenant = ?2";

/// Looks at all of a file. Blocks its thread.
pub(crate) fn examine(path: &Path, check: &mut dyn CopyCheck) -> Result<Examined, CopyError> {
    let connection = file::source(path)?;
    contents(&connection)?;
    let (mut chains, mut artifacts) = (0_u64, 0_u64);
    let sql = format!("SELECT {INSTANCE}, tenant FROM instance ORDER BY tenant, id");
    let mut index = connection.prepare(&sql).map_err(damaged)?;
    let mut found = index.query([]).map_err(damaged)?;
    while let Some(row) = found.next().map_err(damaged)? {
        let chain = of_instance(&connection, row).map_err(damaged)?;
        chain.show(check)?;
        chains = chains.saturating_add(1);
        artifacts = artifacts.saturating_add(chain.artifacts.len() as u64);
        if chains.is_multiple_of(TOLD_EVERY) {
            check.step(CopyStep::Chains(chains));
        }
    }
    let mut heads = connection
        .prepare("SELECT tenant, head_sequence, head_hash FROM governance ORDER BY tenant")
        .map_err(damaged)?;
    let mut found = heads.query([]).map_err(damaged)?;
    while let Some(row) = found.next().map_err(damaged)? {
        let chain = of_governance(&connection, row).map_err(damaged)?;
        chain.show(check)?;
        chains = chains.saturating_add(1);
        artifacts = artifacts.saturating_add(chain.artifacts.len() as u64);
    }
    check.step(CopyStep::Chains(chains));
    let all = connection.query_row("SELECT count(*) FROM artifact", [], |row| count(row, 0));
    if all.map_err(damaged)? != artifacts {
        return Err(CopyError::Damaged { what: "artifacts stand in no chain".to_owned() });
    }
    let logs = logs(&connection, check)?;
    Ok(Examined { chains, artifacts, logs })
}

/// Checks the rows that name a digest of what they hold.
fn contents(connection: &Connection) -> Result<(), CopyError> {
    let other = |table: &str, which: &dyn std::fmt::Display| CopyError::Damaged {
        what: format!("a row of `{table}` ({which}) does not hold what it is named after"),
    };
    let mut evidence = connection.prepare("SELECT digest, content FROM human_evidence").map_err(damaged)?;
    let mut found = evidence.query([]).map_err(damaged)?;
    while let Some(row) = found.next().map_err(damaged)? {
        let named = digest(row, 0).map_err(damaged)?;
        if Digest::of(row.blob(1).map_err(damaged)?) != named {
            return Err(other("human_evidence", &named));
        }
    }
    let mut snapshots = connection
        .prepare("SELECT artifact, commitment, label, salt, plaintext FROM snapshot WHERE erased_at IS NULL")
        .map_err(damaged)?;
    let mut found = snapshots.query([]).map_err(damaged)?;
    while let Some(row) = found.next().map_err(damaged)? {
        let holds =
            |row: &Row<'_>| Ok(commit(label(row, 2)?, &salt(row, 3)?, row.blob(4)?) == digest(row, 1)?);
        if !holds(row).map_err(damaged)? {
            let artifact = count(row, 0).map_err(damaged)?;
            return Err(other("snapshot", &format_args!("of artifact {artifact}")));
        }
    }
    Ok(())
}

/// Reads the chain of a row of the index.
fn of_instance(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<CopiedChain> {
    let (indexed, tenant) = (decoded::instance_row(row)?, text(row, 15, TenantId::parse)?);
    let sql = format!("{} {ARTIFACTS}", instances::CHAIN);
    let mut chain = connection.prepare_cached(&sql)?;
    let found = chain
        .query_map(params![tenant.as_str(), indexed.id.as_bytes(), 0], |row| decoded::artifact(row, 0))?;
    let artifacts: Vec<SealedArtifact> = found.collect::<rusqlite::Result<_>>()?;
    let head = indexed.head;
    Ok(CopiedChain { tenant, chain: ChainId::Instance(indexed.id), artifacts, instance: Some(indexed), head })
}

/// Reads what governs a tenant.
fn of_governance(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<CopiedChain> {
    let tenant = text(row, 0, TenantId::parse)?;
    let head = Head { sequence: count(row, 1)?, hash: digest(row, 2)? };
    let mut chain = connection.prepare_cached(&format!("{} {ARTIFACTS}", governance::CHAIN))?;
    let found = chain.query_map(params![tenant.as_str(), 0], |row| decoded::artifact(row, 0))?;
    let artifacts = found.collect::<rusqlite::Result<_>>()?;
    Ok(CopiedChain { tenant, chain: ChainId::Governance, artifacts, instance: None, head })
}

/// The rest of a statement that begins with a chain.
const ARTIFACTS: &str =
    "SELECT a.sequence, a.hash, a.envelope FROM chain c JOIN artifact a ON a.number = c.number
     ORDER BY c.sequence";

/// Shows every log from its first leaf on. Returns how many logs, and how many leaves.
fn logs(connection: &Connection, check: &mut dyn CopyCheck) -> Result<(u64, u64), CopyError> {
    let mut select =
        connection.prepare(&format!("SELECT {LOG} FROM log ORDER BY tenant")).map_err(damaged)?;
    let found = select.query_map([], |row| decoded::log(row)).map_err(damaged)?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>().map_err(damaged)?;
    let mut leaves = 0_u64;
    for row in &found {
        leaves = leaves.saturating_add(grown(connection, row, check)?);
        check.step(CopyStep::Leaves(leaves));
    }
    Ok((found.len() as u64, leaves))
}

/// Lets one log grow again from what it took, and returns how many leaves it has.
fn grown(connection: &Connection, log: &LogRow, check: &mut dyn CopyCheck) -> Result<u64, CopyError> {
    let tenant = &log.tenant;
    let wrong = |what: String| CopyError::Damaged { what: format!("the log of tenant {tenant}: {what}") };
    check.log_name(tenant).map_err(wrong)?;
    let (mut after, mut taken) = (-1_i64, Taken::default());
    loop {
        let rounds = rounds(connection, tenant, after).map_err(damaged)?;
        let is_last = rounds.len() < ROUNDS;
        for (first, at, numbers) in rounds {
            taken.add(at, numbers).map_err(wrong)?;
            after = first;
        }
        while let Some(numbers) = taken.page(is_last) {
            let artifacts = artifacts(connection, tenant, &numbers)?;
            check.leaves(tenant, &artifacts).map_err(wrong)?;
        }
        if is_last {
            break;
        }
    }
    let leaves = taken.end(log).map_err(wrong)?;
    check.log(log).map_err(wrong)?;
    Ok(leaves)
}

/// Reads what a log took in its next rounds: of each the number of the first artifact, the place of its leaf, and all numbers.
fn rounds(
    connection: &Connection,
    tenant: &TenantId,
    after: i64,
) -> rusqlite::Result<Vec<(i64, u64, Vec<u64>)>> {
    let mut select = connection.prepare_cached(
        "SELECT first, position, numbers FROM log_round WHERE tenant = ?1 AND first > ?2 ORDER BY first LIMIT ?3",
    )?;
    let found = select.query_map(params![tenant.as_str(), after, rows(ROUNDS)], |row| {
        Ok((row.get(0)?, count(row, 1)?, runs::decode(count(row, 0)?, row.blob(2)?)))
    })?;
    found.collect()
}

/// Reads artifacts by their numbers.
fn artifacts(
    connection: &Connection,
    tenant: &TenantId,
    numbers: &[u64],
) -> Result<Vec<CommittedArtifact>, CopyError> {
    let mut select = connection.prepare_cached(COMMITTED).map_err(damaged)?;
    let read = |number: &u64| {
        let number = *number;
        let parameters = params![crate::columns::int(number), tenant.as_str()];
        select.query_row(parameters, |row| decoded::committed(row, number, tenant)).map_err(|error| {
            match error {
                rusqlite::Error::QueryReturnedNoRows => CopyError::Damaged {
                    what: format!(
                        "the log of tenant {tenant} has taken artifact {number}, which is not there"
                    ),
                },
                error => damaged(error),
            }
        })
    };
    numbers.iter().map(read).collect()
}

fn damaged(error: rusqlite::Error) -> CopyError {
    CopyError::Damaged { what: format!("SQLite says: {error}") }
}
