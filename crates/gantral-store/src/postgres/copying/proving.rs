//! What was copied, shown to whoever knows what it means.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use gantral_core::ids::TenantId;
use tokio_postgres::{Row, Transaction};

use super::super::columns::{array, count, digest, get, int, text};
use super::super::writer::Fail;
use super::failed;
use crate::append::Head;
use crate::copying::{CopiedChain, CopiedObject, CopyCheck, CopyError, CopyStep, ROUNDS, TOLD_EVERY, Taken};
use crate::decoded::{INSTANCE, LOG, artifact, committed, instance_row, log};
use crate::governance::NO_INSTANCE;
use crate::log::{ChainId, CommittedArtifact, LogRow, runs};

/// Shows every chain, one after the other.
pub(super) async fn chains(
    transaction: &Transaction<'_>,
    check: &mut dyn CopyCheck,
) -> Result<u64, CopyError> {
    let index: Vec<_> = INSTANCE.split(',').map(|column| format!("i.{}", column.trim())).collect();
    let sql = format!(
        "SELECT {}, a.sequence, a.hash, a.envelope, a.tenant, a.instance, g.head_sequence, g.head_hash
         FROM artifact a LEFT JOIN instance i ON i.tenant = a.tenant AND i.id = a.instance
         LEFT JOIN governance g ON g.tenant = a.tenant AND a.instance = $1
         ORDER BY a.tenant, a.instance, a.sequence",
        index.join(", ")
    );
    let statement = transaction.prepare(&sql).await.map_err(|error| failed(&error))?;
    let rows = transaction.query_raw(&statement, [NO_INSTANCE.as_slice()]).await;
    let mut rows = pin!(rows.map_err(|error| failed(&error))?);
    let (mut chains, mut current) = (0_u64, None::<CopiedChain>);
    while let Some(row) = rows.try_next().await.map_err(|error| failed(&error))? {
        let next = begun(&row)?;
        match &mut current {
            Some(chain) if chain.tenant == next.tenant && chain.chain == next.chain => {
                chain.artifacts.extend(next.artifacts);
            }
            _ => {
                if let Some(whole) = current.replace(next) {
                    whole.show(check)?;
                    chains = chains.saturating_add(1);
                    if chains.is_multiple_of(TOLD_EVERY) {
                        check.step(CopyStep::Chains(chains));
                    }
                }
            }
        }
    }
    if let Some(whole) = current {
        whole.show(check)?;
        chains = chains.saturating_add(1);
    }
    check.step(CopyStep::Chains(chains));
    let heads = "SELECT (SELECT count(*) FROM instance) + (SELECT count(*) FROM governance)";
    let row = transaction.query_one(heads, &[]).await.map_err(|error| failed(&error))?;
    if count(&row, 0)? == chains {
        Ok(chains)
    } else {
        Err(CopyError::Damaged { what: "an instance, or what governs a tenant, has no chain".to_owned() })
    }
}

/// Reads one artifact as the beginning of its chain.
fn begun(row: &Row) -> Result<CopiedChain, Fail> {
    let (tenant, id) = (text(row, 18, TenantId::parse)?, array(row, 19)?);
    let lost = |chain: &dyn std::fmt::Display| {
        Fail::Damaged(format!("{chain} of tenant {tenant} has artifacts and no row of its own"))
    };
    let (chain, instance, head) = if id == NO_INSTANCE {
        if get::<Option<i64>>(row, 20)?.is_none() {
            return Err(lost(&"the governance chain"));
        }
        (ChainId::Governance, None, Head { sequence: count(row, 20)?, hash: digest(row, 21)? })
    } else {
        let id = crate::columns::instance(row, 19)?;
        if get::<Option<&[u8]>>(row, 0)?.is_none() {
            return Err(lost(&format_args!("instance {id}")));
        }
        let indexed = instance_row(row)?;
        (ChainId::Instance(id), Some(indexed.clone()), indexed.head)
    };
    Ok(CopiedChain { tenant, chain, artifacts: vec![artifact(row, 15)?], instance, head })
}

/// Shows every log from its first leaf on, and writes the objects that readers of it ask for. Returns how many logs, and how many leaves.
pub(super) async fn logs(
    transaction: &Transaction<'_>,
    check: &mut dyn CopyCheck,
) -> Result<(u64, u64), CopyError> {
    let sql = format!("SELECT {LOG} FROM log ORDER BY tenant");
    let rows = transaction.query(&sql, &[]).await.map_err(|error| failed(&error))?;
    let (mut logs, mut leaves) = (0_u64, 0_u64);
    for row in &rows {
        leaves = leaves.saturating_add(grown(transaction, &log(row)?, check).await?);
        logs = logs.saturating_add(1);
        check.step(CopyStep::Leaves(leaves));
    }
    Ok((logs, leaves))
}

/// Lets one log grow again from what it took, and returns how many leaves it has.
async fn grown(
    transaction: &Transaction<'_>,
    log: &LogRow,
    check: &mut dyn CopyCheck,
) -> Result<u64, CopyError> {
    let tenant = &log.tenant;
    let wrong = |what: String| CopyError::Damaged { what: format!("the log of tenant {tenant}: {what}") };
    let name = check.log_name(tenant).map_err(wrong)?;
    let mut taken = Taken::default();
    loop {
        let rounds = rounds(transaction, tenant, taken.position()).await?;
        let is_last = rounds.len() < ROUNDS;
        for (at, numbers) in rounds {
            taken.add(at, numbers).map_err(wrong)?;
        }
        while let Some(numbers) = taken.page(is_last) {
            let artifacts = artifacts(transaction, tenant, &numbers).await?;
            put(transaction, &name, check.leaves(tenant, &artifacts).map_err(wrong)?).await?;
        }
        if is_last {
            break;
        }
        check.step(CopyStep::Leaves(taken.position()));
    }
    let leaves = taken.end(log).map_err(wrong)?;
    put(transaction, &name, check.log(log).map_err(wrong)?).await?;
    Ok(leaves)
}

/// Reads what a log took in its next rounds: of each the place of the first leaf, and the numbers.
async fn rounds(
    transaction: &Transaction<'_>,
    tenant: &TenantId,
    from: u64,
) -> Result<Vec<(u64, Vec<u64>)>, CopyError> {
    let rows = transaction
        .query(
            "SELECT first, position, numbers FROM log_round WHERE tenant = $1 AND position >= $2
             ORDER BY position LIMIT $3",
            &[&tenant.as_str(), &int(from), &crate::columns::rows(ROUNDS)],
        )
        .await
        .map_err(|error| failed(&error))?;
    let read = |row: &Row| Ok((count(row, 1)?, runs::decode(count(row, 0)?, get(row, 2)?)));
    rows.iter().map(read).collect()
}

/// Writes objects of a log.
async fn put(transaction: &Transaction<'_>, name: &str, objects: Vec<CopiedObject>) -> Result<(), CopyError> {
    let insert = "INSERT INTO log_object(log, name, bytes) VALUES($1, $2, $3)";
    for (object, bytes) in objects {
        let inserted = transaction.execute(insert, &[&name, &object, &bytes]).await;
        inserted.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Reads artifacts by their numbers, which rise.
async fn artifacts(
    transaction: &Transaction<'_>,
    tenant: &TenantId,
    numbers: &[u64],
) -> Result<Vec<CommittedArtifact>, CopyError> {
    let wanted: Vec<i64> = numbers.iter().copied().map(int).collect();
    let rows = transaction
        .query(
            "SELECT number, previous, tenant, instance, sequence, hash, terminal, signer FROM artifact
             WHERE tenant = $1 AND number = ANY($2) ORDER BY array_position($2, number)",
            &[&tenant.as_str(), &wanted],
        )
        .await
        .map_err(|error| failed(&error))?;
    if rows.len() != numbers.len() {
        let what = format!("the log of tenant {tenant} has taken an artifact that is not there");
        return Err(CopyError::Damaged { what });
    }
    let read = |(row, number): (&Row, &u64)| committed(row, *number, tenant);
    Ok(rows.iter().zip(numbers).map(read).collect::<Result<_, _>>()?)
}
