//! What the sequencer reads and writes.
//!
//! Whoever claims or swaps holds the one row of `sequencer` first, alone and until the end of the transaction: claims and swaps of all
//! processes come one after the other, and one that the fence has passed by finds that out before it writes. Every read that follows is a
//! statement of its own, and sees what was committed before the row was had.

mod committed;
mod held;

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use tokio_postgres::Row;

use super::PostgresStore;
use super::columns::{array, count, get, int, rows, small, text};
use super::db::{Db, params};
use super::locks::{self, On};
use super::writer::{After, Fail};
use super::{duties, instances, numbers};
use crate::decoded::{self, LOG};
use crate::duty::Held;
use crate::error::StoreError;
use crate::governance::NO_INSTANCE;
use crate::log::leaves::Leaves;
use crate::log::rounds::{Round, WITNESSES_MAX, add_lines, cosigned_then};
use crate::log::{ChainId, LogClaim, LogGrowth, LogResume, LogRow, LogSwap, NOT_EVERY_ARTIFACT, SwapOutcome};
use crate::page::PAGE_MAX;

impl PostgresStore {
    pub(crate) async fn claim_logs(&self, held: Held) -> Result<Option<LogClaim>, StoreError> {
        self.write(held, |held, db, after| {
            Box::pin(async move {
                if !duties::has(db, held).await? {
                    after.forgets = true;
                    return Ok(None);
                }
                db.execute("UPDATE sequencer SET fence = fence + 1", params![]).await?;
                claim(db, "").await.map(Some)
            })
        })
        .await
    }

    pub(crate) async fn log_claim(&self) -> Result<LogClaim, StoreError> {
        let db = self.db().await?;
        Ok(claim(&db, "").await?)
    }

    pub(crate) async fn swap_logs(&self, swap: LogSwap) -> Result<SwapOutcome, StoreError> {
        let numbers = match swap.check() {
            Ok(numbers) => numbers,
            Err(what) => return Err(StoreError::Contradiction { what: what.to_owned() }),
        };
        let numbers: Vec<i64> = numbers.into_iter().map(int).collect();
        self.write((swap, numbers), |(swap, numbers), db, after| {
            Box::pin(swap_logs(swap, numbers, db, after))
        })
        .await
    }

    pub(crate) async fn resume_log(&self, resume: LogResume) -> Result<SwapOutcome, StoreError> {
        if let Err(what) = resume.check() {
            return Err(StoreError::Contradiction { what: what.to_owned() });
        }
        self.write(resume, |resume, db, after| Box::pin(resume_log(resume, db, after))).await
    }

    pub(crate) async fn add_log_signatures(
        &self,
        tenant: TenantId,
        tree: (u64, Digest),
        lines: Vec<String>,
    ) -> Result<Option<LogRow>, StoreError> {
        self.write((tenant, tree, lines), |(tenant, tree, lines), db, _| {
            Box::pin(async move {
                let sql = format!("SELECT {LOG} FROM log WHERE tenant = $1 FOR UPDATE");
                let found = db.first(&sql, params![tenant.as_str()]).await?;
                let found = found.as_ref().map(decoded::log).transpose()?;
                let Some(mut row) = found.filter(|row| (row.size, row.root) == *tree) else {
                    return Ok(None);
                };
                add_lines(&mut row.checkpoint, lines.iter().map(String::as_str));
                db.execute(
                    "UPDATE log SET checkpoint = $2 WHERE tenant = $1",
                    params![tenant.as_str(), row.checkpoint],
                )
                .await?;
                Ok(Some(row))
            })
        })
        .await
    }

    pub(crate) async fn keep_cosigned(&self, witnesses: u8, row: LogRow) -> Result<bool, StoreError> {
        self.write((witnesses, row), |(witnesses, row), db, _| {
            Box::pin(async move { keep_cosigned(db, *witnesses, row).await })
        })
        .await
    }

    pub(crate) async fn cosigned_at(
        &self,
        tenant: TenantId,
        size: u64,
    ) -> Result<Option<LogRow>, StoreError> {
        let db = self.db().await?;
        Ok(cosigned_at(&db, &tenant, int(size)).await?.map(|(row, _)| row))
    }

    pub(crate) async fn cosigned(
        &self,
        tenant: TenantId,
        witnesses: u8,
    ) -> Result<Option<LogRow>, StoreError> {
        let db = self.db().await?;
        // The newest of each number of witnesses: one step into the index for each, and not a walk through all that are kept.
        let found = db
            .first(
                "SELECT k.tenant, k.size, k.root, k.checkpoint
                 FROM generate_series($2::bigint, $3::bigint) AS number(witnesses) CROSS JOIN LATERAL
                   (SELECT tenant, size, root, checkpoint FROM log_cosigned c
                    WHERE c.tenant = $1 AND c.witnesses = number.witnesses ORDER BY c.size DESC LIMIT 1) k
                 ORDER BY k.size DESC LIMIT 1",
                params![tenant.as_str(), i64::from(witnesses), i64::from(WITNESSES_MAX)],
            )
            .await?;
        Ok(found.as_ref().map(decoded::log).transpose()?)
    }

    pub(crate) async fn log(&self, tenant: TenantId) -> Result<Option<LogRow>, StoreError> {
        let db = self.db().await?;
        Ok(log(&db, &tenant).await?)
    }

    pub(crate) async fn logged_tenants(
        &self,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantId>, StoreError> {
        let db = self.db().await?;
        let after = after.as_ref().map_or("", TenantId::as_str);
        let found = db
            .query(
                "SELECT tenant FROM log WHERE tenant > $1 ORDER BY tenant LIMIT $2",
                params![after, rows(limit.min(PAGE_MAX))],
            )
            .await?;
        Ok(found.iter().map(|row| text(row, 0, TenantId::parse)).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn log_positions(
        &self,
        tenant: TenantId,
        chain: ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let db = self.db().await?;
        let chain = match chain {
            ChainId::Instance(id) => *id.as_bytes(),
            ChainId::Governance => NO_INSTANCE,
        };
        let numbers = instances::numbers(&db, &tenant, &chain, from, limit).await?;
        Ok(positions(&db, &tenant, &numbers).await?)
    }
}

/// Returns the newest claim, held for the rest of the transaction where `lock` says so. A ledger that has lost artifacts which were taken
/// gives their numbers to others, which no log would take: then nobody lets the logs grow.
async fn claim(db: &Db, lock: &str) -> Result<LogClaim, Fail> {
    let found = db.first(&format!("SELECT fence, taken FROM sequencer{lock}"), params![]).await?;
    let found = found.ok_or_else(|| Fail::Damaged("the row of the sequencer is missing".to_owned()))?;
    let claim = LogClaim { fence: count(&found, 0)?, taken: count(&found, 1)? };
    // A statement of its own: what was taken was committed before, and is seen by it.
    let newest = db.first("SELECT coalesce(max(number), 0) FROM artifact", params![]).await?;
    if newest.map_or(Ok(0), |row| count(&row, 0))? < claim.taken {
        return Err(Fail::Contradiction("artifacts are missing that the logs have taken"));
    }
    Ok(claim)
}

async fn log(db: &Db, tenant: &TenantId) -> Result<Option<LogRow>, Fail> {
    let found =
        db.first(&format!("SELECT {LOG} FROM log WHERE tenant = $1"), params![tenant.as_str()]).await?;
    found.as_ref().map(decoded::log).transpose()
}

/// Returns the cosigned checkpoint of one size, and how many have cosigned it.
async fn cosigned_at(db: &Db, tenant: &TenantId, size: i64) -> Result<Option<(LogRow, u8)>, Fail> {
    let sql = format!("SELECT {LOG}, witnesses FROM log_cosigned WHERE tenant = $1 AND size = $2");
    let found = db.first(&sql, params![tenant.as_str(), size]).await?;
    found.map(|row| Ok((decoded::log(&row)?, small(&row, 4)?))).transpose()
}

async fn keep_cosigned(db: &Db, witnesses: u8, row: &LogRow) -> Result<bool, Fail> {
    locks::alone(db, On::Cosigned, &[row.tenant.as_str()]).await?;
    let before = cosigned_at(db, &row.tenant, int(row.size)).await?;
    let Some((next, count)) = cosigned_then(before, row, witnesses).map_err(Fail::Contradiction)? else {
        return Ok(false);
    };
    db.execute(
        "INSERT INTO log_cosigned(tenant, size, root, checkpoint, witnesses) VALUES($1, $2, $3, $4, $5)
         ON CONFLICT(tenant, size) DO UPDATE SET checkpoint = excluded.checkpoint, witnesses = excluded.witnesses",
        params![
            next.tenant.as_str(),
            int(next.size),
            next.root.as_bytes().as_slice(),
            next.checkpoint,
            i64::from(count)
        ],
    )
    .await?;
    Ok(true)
}

/// Runs one swap inside its transaction: all is checked before anything is written.
async fn swap_logs(swap: &LogSwap, numbers: &[i64], db: &Db, after: &mut After) -> Result<SwapOutcome, Fail> {
    let claim = claim(db, " FOR UPDATE").await?;
    if claim.fence != swap.fence {
        return Ok(SwapOutcome::Stale);
    }
    // The horizon may be reckoned lower than before: then the swap is for later.
    if claim.taken != swap.after || swap.through > numbers::horizon(db).await? {
        return Ok(SwapOutcome::Moved);
    }
    if !carries_all(db, swap, numbers).await? {
        return Err(Fail::Contradiction(NOT_EVERY_ARTIFACT));
    }
    for growth in &swap.growths {
        if held::number(db, &growth.row.tenant).await?.is_some() || has_moved(db, growth).await? {
            return Ok(SwapOutcome::Moved);
        }
    }
    if let Some(refused) = take(db, swap.growths.iter()).await? {
        after.forgets = true;
        return Ok(refused);
    }
    for hold in &swap.holds {
        held::hold(db, hold).await?;
    }
    db.execute("UPDATE sequencer SET taken = $1", params![int(swap.through)]).await?;
    Ok(SwapOutcome::Swapped)
}

/// Tells whether a swap carries every artifact between its numbers, and no other. Numbers have gaps here; what is below the horizon and not
/// there never comes.
async fn carries_all(db: &Db, swap: &LogSwap, numbers: &[i64]) -> Result<bool, Fail> {
    let found = db
        .query(
            "SELECT number FROM artifact WHERE number > $1 AND number <= $2 ORDER BY number LIMIT $3",
            params![int(swap.after), int(swap.through), rows(numbers.len().saturating_add(1))],
        )
        .await?;
    let found: Vec<i64> = found.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    Ok(found == numbers)
}

/// Lets one log go on inside its transaction: all is checked before anything is written.
async fn resume_log(resume: &LogResume, db: &Db, after: &mut After) -> Result<SwapOutcome, Fail> {
    let tenant = &resume.growth.row.tenant;
    let claim = claim(db, " FOR UPDATE").await?;
    if claim.fence != resume.fence {
        return Ok(SwapOutcome::Stale);
    }
    let held = held::number(db, tenant).await?;
    if resume.is_elsewhere(held, claim.taken) || has_moved(db, &resume.growth).await? {
        return Ok(SwapOutcome::Moved);
    }
    if let Some(refused) = take(db, std::iter::once(&resume.growth)).await? {
        after.forgets = true;
        return Ok(refused);
    }
    held::go_on(db, tenant, resume.held).await?;
    Ok(SwapOutcome::Swapped)
}

async fn has_moved(db: &Db, growth: &LogGrowth) -> Result<bool, Fail> {
    Ok(growth.has_moved(log(db, &growth.row.tenant).await?.as_ref()))
}

/// Checks every leaf, and writes the growths; answers the leaf that has no place, and has then written nothing.
async fn take<'a>(
    db: &Db,
    growths: impl Iterator<Item = &'a LogGrowth> + Clone + Send,
) -> Result<Option<SwapOutcome>, Fail> {
    let mut leaves = Leaves::default();
    let pages: Vec<i64> = Leaves::pages_of(growths.clone()).into_iter().map(int).collect();
    for row in db.query("SELECT page, bits FROM log_last WHERE page = ANY($1)", params![pages]).await? {
        leaves.load_page(count(&row, 0)?, get(&row, 1)?);
    }
    let tags: Vec<Vec<u8>> = Leaves::tags_of(growths.clone()).iter().map(|tag| tag.to_vec()).collect();
    for row in db.query("SELECT tag FROM log_chain WHERE tag = ANY($1)", params![tags]).await? {
        leaves.load_tag(array(&row, 0)?);
    }
    if let Err(refused) = leaves.take(growths.clone()) {
        return Ok(Some(refused));
    }
    let (pages, bits): (Vec<i64>, Vec<&[u8]>) = leaves.pages().map(|(page, bits)| (int(page), bits)).unzip();
    db.execute(
        "INSERT INTO log_last(page, bits) SELECT page, bits FROM unnest($1::bigint[], $2::bytea[]) AS last(page, bits)
         ON CONFLICT(page) DO UPDATE SET bits = excluded.bits",
        params![pages, bits],
    )
    .await?;
    let begun: Vec<&[u8]> = leaves.begun().map(|tag| tag.as_slice()).collect();
    db.execute("INSERT INTO log_chain(tag) SELECT unnest($1::bytea[])", params![begun]).await?;
    for growth in growths {
        grow(db, growth).await?;
    }
    Ok(None)
}

async fn grow(db: &Db, growth: &LogGrowth) -> Result<(), Fail> {
    let LogRow { tenant, size, root, checkpoint } = &growth.row;
    let (first, position, numbers) = growth.round();
    db.execute(
        "INSERT INTO log_round(tenant, first, position, numbers) VALUES($1, $2, $3, $4)",
        params![tenant.as_str(), int(first), int(position), numbers],
    )
    .await?;
    db.execute(
        "INSERT INTO log(tenant, size, root, checkpoint) VALUES($1, $2, $3, $4)
         ON CONFLICT(tenant) DO UPDATE SET size = excluded.size, root = excluded.root, checkpoint = excluded.checkpoint",
        params![tenant.as_str(), int(*size), root.as_bytes().as_slice(), checkpoint],
    )
    .await
    .map(drop)
}

/// Returns the places of artifacts of one tenant, by rising number, as far as they are in the log.
async fn positions(db: &Db, tenant: &TenantId, numbers: &[i64]) -> Result<Vec<u64>, Fail> {
    // In this order: what is taken by now and not held afterwards is in the log, whatever was swapped in between.
    let taken = claim(db, "").await?.taken;
    let held = held::number(db, tenant).await?;
    let mut found = Vec::with_capacity(numbers.len());
    let mut round: Option<Round> = None;
    for number in numbers {
        let number = u64::try_from(*number)
            .map_err(|_| Fail::Contradiction("the number of an artifact is negative"))?;
        if number > taken || held.is_some_and(|held| number >= held) {
            break;
        }
        let mut position = round.as_ref().and_then(|round| round.place(number));
        if position.is_none() {
            round = round_of(db, tenant, number).await?;
            position = round.as_ref().and_then(|round| round.place(number));
        }
        found.push(position.ok_or(Fail::Contradiction("an artifact that was taken is in no log"))?);
    }
    Ok(found)
}

/// Returns the last round that begins with this artifact or before it.
async fn round_of(db: &Db, tenant: &TenantId, number: u64) -> Result<Option<Round>, Fail> {
    let found = db
        .first(
            "SELECT first, position, numbers FROM log_round WHERE tenant = $1 AND first <= $2
             ORDER BY first DESC LIMIT 1",
            params![tenant.as_str(), int(number)],
        )
        .await?;
    let read = |row: Row| Ok(Round::read(count(&row, 0)?, count(&row, 1)?, get(&row, 2)?));
    found.map(read).transpose()
}
