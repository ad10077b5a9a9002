//! What the sequencer reads and writes.

mod committed;
mod held;

use std::sync::Arc;

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::columns::{count, int, rows, text};
use super::writer::Fail;
use super::{SqliteStore, governance, instances};
use crate::decoded::{self, LOG};
use crate::duty::Held;
use crate::error::StoreError;
use crate::log::leaves::Leaves;
use crate::log::rounds::{Round, WITNESSES_MAX, add_lines, cosigned_then};
use crate::log::{ChainId, LogClaim, LogGrowth, LogResume, LogRow, LogSwap, NOT_EVERY_ARTIFACT, SwapOutcome};
use crate::page::PAGE_MAX;

impl SqliteStore {
    pub(crate) async fn claim_logs(&self, held: Held) -> Result<Option<LogClaim>, StoreError> {
        // Looked at by the writer: who takes the duty over afterwards claims the logs after this.
        let duties = Arc::clone(&self.inner.duties);
        let step = i64::from(self.way.as_ref().is_none_or(|way| way.numbers_claims()));
        self.write(move |connection, _| {
            if !duties.has(&held) {
                return Ok(None);
            }
            connection.prepare_cached("UPDATE sequencer SET fence = fence + ?1")?.execute([step])?;
            claim(connection).map(Some)
        })
        .await
    }

    pub(crate) async fn log_claim(&self) -> Result<LogClaim, StoreError> {
        self.read(claim).await
    }

    pub(crate) async fn swap_logs(&self, swap: LogSwap) -> Result<SwapOutcome, StoreError> {
        // Numbers have no gaps here, because no artifact is ever deleted: each of them becomes a leaf, once, or is waited for.
        let all = (swap.after..swap.through).map(|number| number.saturating_add(1));
        let checked = swap.check().and_then(|numbers| match numbers.into_iter().eq(all) {
            true => Ok(()),
            false => Err(NOT_EVERY_ARTIFACT),
        });
        if let Err(what) = checked {
            return Err(StoreError::Contradiction { what: what.to_owned() });
        }
        self.write(move |connection, _| swap_logs(connection, &swap)).await
    }

    pub(crate) async fn resume_log(&self, resume: LogResume) -> Result<SwapOutcome, StoreError> {
        if let Err(what) = resume.check() {
            return Err(StoreError::Contradiction { what: what.to_owned() });
        }
        self.write(move |connection, _| resume_log(connection, &resume)).await
    }

    pub(crate) async fn add_log_signatures(
        &self,
        tenant: TenantId,
        tree: (u64, Digest),
        lines: Vec<String>,
    ) -> Result<Option<LogRow>, StoreError> {
        self.write(move |connection, _| {
            let Some(mut row) = log(connection, &tenant)?.filter(|row| (row.size, row.root) == tree) else {
                return Ok(None);
            };
            add_lines(&mut row.checkpoint, lines.iter().map(String::as_str));
            connection
                .prepare_cached("UPDATE log SET checkpoint = ?2 WHERE tenant = ?1")?
                .execute(params![tenant.as_str(), row.checkpoint])?;
            Ok(Some(row))
        })
        .await
    }

    pub(crate) async fn keep_cosigned(&self, witnesses: u8, row: LogRow) -> Result<bool, StoreError> {
        self.write(move |connection, _| keep_cosigned(connection, witnesses, &row)).await
    }

    pub(crate) async fn cosigned_at(
        &self,
        tenant: TenantId,
        size: u64,
    ) -> Result<Option<LogRow>, StoreError> {
        self.read(move |connection| Ok(cosigned_at(connection, &tenant, int(size))?.map(|(row, _)| row)))
            .await
    }

    pub(crate) async fn cosigned(
        &self,
        tenant: TenantId,
        witnesses: u8,
    ) -> Result<Option<LogRow>, StoreError> {
        self.read(move |connection| Ok(cosigned(connection, &tenant, witnesses)?)).await
    }

    pub(crate) async fn log(&self, tenant: TenantId) -> Result<Option<LogRow>, StoreError> {
        self.read(move |connection| Ok(log(connection, &tenant)?)).await
    }

    pub(crate) async fn logged_tenants(
        &self,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantId>, StoreError> {
        self.read(move |connection| {
            let mut select = connection
                .prepare_cached("SELECT tenant FROM log WHERE tenant > ?1 ORDER BY tenant LIMIT ?2")?;
            let after = after.as_ref().map_or("", TenantId::as_str);
            let found = select
                .query_map(params![after, rows(limit.min(PAGE_MAX))], |row| text(row, 0, TenantId::parse))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn log_positions(
        &self,
        tenant: TenantId,
        chain: ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        self.read(move |connection| {
            let numbers = match chain {
                ChainId::Instance(id) => instances::numbers(connection, &tenant, id, from, limit)?,
                ChainId::Governance => governance::numbers(connection, &tenant, from, limit)?,
            };
            positions(connection, &tenant, &numbers)
        })
        .await
    }
}

/// Returns the newest claim. A ledger that has lost artifacts which were taken gives their numbers to others, which no log
/// would take: then nobody lets the logs grow.
fn claim(connection: &Connection) -> Result<LogClaim, Fail> {
    let (claim, newest) = connection
        .prepare_cached(
            "SELECT fence, taken, (SELECT coalesce(max(number), 0) FROM artifact) FROM sequencer",
        )?
        .query_row([], |row| {
            Ok((LogClaim { fence: count(row, 0)?, taken: count(row, 1)? }, count(row, 2)?))
        })?;
    if newest < claim.taken {
        return Err(Fail::Contradiction("artifacts are missing that the logs have taken"));
    }
    Ok(claim)
}

fn log(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<Option<LogRow>> {
    connection
        .prepare_cached(&format!("SELECT {LOG} FROM log WHERE tenant = ?1"))?
        .query_row([tenant.as_str()], |row| decoded::log(row))
        .optional()
}

fn cosigned(connection: &Connection, tenant: &TenantId, witnesses: u8) -> rusqlite::Result<Option<LogRow>> {
    let mut newest: Option<i64> = None;
    for number in witnesses..=WITNESSES_MAX {
        let size: Option<i64> = connection
            .prepare_cached("SELECT max(size) FROM log_cosigned WHERE tenant = ?1 AND witnesses = ?2")?
            .query_row(params![tenant.as_str(), number], |row| row.get(0))?;
        newest = newest.max(size);
    }
    match newest {
        Some(size) => Ok(cosigned_at(connection, tenant, size)?.map(|(row, _)| row)),
        None => Ok(None),
    }
}

/// Returns the cosigned checkpoint of one size, and how many have cosigned it.
fn cosigned_at(
    connection: &Connection,
    tenant: &TenantId,
    size: i64,
) -> rusqlite::Result<Option<(LogRow, u8)>> {
    connection
        .prepare_cached(&format!(
            "SELECT {LOG}, witnesses FROM log_cosigned WHERE tenant = ?1 AND size = ?2"
        ))?
        .query_row(params![tenant.as_str(), size], |row| Ok((decoded::log(row)?, row.get("witnesses")?)))
        .optional()
}

fn keep_cosigned(connection: &Connection, witnesses: u8, row: &LogRow) -> Result<bool, Fail> {
    let before = cosigned_at(connection, &row.tenant, int(row.size))?;
    let Some((next, count)) = cosigned_then(before, row, witnesses).map_err(Fail::Contradiction)? else {
        return Ok(false);
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO log_cosigned(tenant, size, root, checkpoint, witnesses)
             VALUES(?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            next.tenant.as_str(),
            int(next.size),
            next.root.as_bytes(),
            next.checkpoint,
            count
        ])?;
    Ok(true)
}

/// Runs one swap inside the writer's transaction: all is checked before anything is written.
fn swap_logs(connection: &Connection, swap: &LogSwap) -> Result<SwapOutcome, Fail> {
    let claim = claim(connection)?;
    if claim.fence != swap.fence {
        return Ok(SwapOutcome::Stale);
    }
    if claim.taken != swap.after {
        return Ok(SwapOutcome::Moved);
    }
    for growth in &swap.growths {
        if held::number(connection, &growth.row.tenant)?.is_some() || has_moved(connection, growth)? {
            return Ok(SwapOutcome::Moved);
        }
    }
    if let Some(refused) = take(connection, swap.growths.iter())? {
        return Ok(refused);
    }
    for hold in &swap.holds {
        held::hold(connection, hold)?;
    }
    connection.prepare_cached("UPDATE sequencer SET taken = ?1")?.execute([int(swap.through)])?;
    Ok(SwapOutcome::Swapped)
}

/// Lets one log go on inside the writer's transaction: all is checked before anything is written.
fn resume_log(connection: &Connection, resume: &LogResume) -> Result<SwapOutcome, Fail> {
    let tenant = &resume.growth.row.tenant;
    let claim = claim(connection)?;
    if claim.fence != resume.fence {
        return Ok(SwapOutcome::Stale);
    }
    let held = held::number(connection, tenant)?;
    if resume.is_elsewhere(held, claim.taken) || has_moved(connection, &resume.growth)? {
        return Ok(SwapOutcome::Moved);
    }
    if let Some(refused) = take(connection, std::iter::once(&resume.growth))? {
        return Ok(refused);
    }
    held::go_on(connection, tenant, resume.held)?;
    Ok(SwapOutcome::Swapped)
}

fn has_moved(connection: &Connection, growth: &LogGrowth) -> rusqlite::Result<bool> {
    Ok(growth.has_moved(log(connection, &growth.row.tenant)?.as_ref()))
}

/// Checks every leaf, and writes the growths; answers the leaf that has no place, and has then written nothing.
fn take<'a>(
    connection: &Connection,
    growths: impl Iterator<Item = &'a LogGrowth> + Clone,
) -> rusqlite::Result<Option<SwapOutcome>> {
    let mut leaves = Leaves::default();
    let mut select = connection.prepare_cached("SELECT bits FROM log_last WHERE page = ?1")?;
    for page in Leaves::pages_of(growths.clone()) {
        if let Some(bits) = select.query_row([int(page)], |row| row.get(0)).optional()? {
            leaves.load_page(page, bits);
        }
    }
    let mut select = connection.prepare_cached("SELECT 1 FROM log_chain WHERE tag = ?1")?;
    for tag in Leaves::tags_of(growths.clone()) {
        if select.exists([tag])? {
            leaves.load_tag(tag);
        }
    }
    if let Err(refused) = leaves.take(growths.clone()) {
        return Ok(Some(refused));
    }
    let mut insert =
        connection.prepare_cached("INSERT OR REPLACE INTO log_last(page, bits) VALUES(?1, ?2)")?;
    for (page, bits) in leaves.pages() {
        insert.execute(params![int(page), bits])?;
    }
    let mut insert = connection.prepare_cached("INSERT INTO log_chain(tag) VALUES(?1)")?;
    for tag in leaves.begun() {
        insert.execute([tag])?;
    }
    for growth in growths {
        grow(connection, growth)?;
    }
    Ok(None)
}

fn grow(connection: &Connection, growth: &LogGrowth) -> rusqlite::Result<()> {
    let LogRow { tenant, size, root, checkpoint } = &growth.row;
    let (first, position, numbers) = growth.round();
    connection
        .prepare_cached("INSERT INTO log_round(tenant, first, position, numbers) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![tenant.as_str(), int(first), int(position), numbers])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO log(tenant, size, root, checkpoint) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![tenant.as_str(), int(*size), root.as_bytes(), checkpoint])?;
    Ok(())
}

/// Returns the places of artifacts of one tenant, by rising number, as far as they are in the log.
fn positions(connection: &Connection, tenant: &TenantId, numbers: &[i64]) -> Result<Vec<u64>, Fail> {
    let taken = claim(connection)?.taken;
    let held = held::number(connection, tenant)?;
    let mut select = connection.prepare_cached(
        "SELECT first, position, numbers FROM log_round WHERE tenant = ?1 AND first <= ?2
         ORDER BY first DESC LIMIT 1",
    )?;
    let mut found = Vec::with_capacity(numbers.len());
    let mut round: Option<Round> = None;
    for number in numbers {
        let wanted = u64::try_from(*number)
            .map_err(|_| Fail::Contradiction("the number of an artifact is negative"))?;
        if wanted > taken || held.is_some_and(|held| wanted >= held) {
            break;
        }
        let mut position = round.as_ref().and_then(|round| round.place(wanted));
        if position.is_none() {
            round = select
                .query_row(params![tenant.as_str(), number], |row| {
                    Ok(Round::read(count(row, 0)?, count(row, 1)?, &row.get::<_, Vec<u8>>(2)?))
                })
                .optional()?;
            position = round.as_ref().and_then(|round| round.place(wanted));
        }
        found.push(position.ok_or(Fail::Contradiction("an artifact that was taken is in no log"))?);
    }
    Ok(found)
}
