//! Duties of many processes, each a row.
//!
//! A row is taken over by one statement, which finds it free or changes nothing: of two that find it free the second waits for the first and
//! looks again. The time is that of the server, at the moment of the statement and not at the beginning of its transaction. Whoever writes
//! under a duty holds its row, shared, until the write has ended, so that nobody takes the duty over in between.

use std::time::Duration;

use super::PostgresStore;
use super::columns::{count, get, int};
use super::db::{Db, params};
use super::writer::Fail;
use crate::duty::{Duty, DutyTaken, Held, Holder};
use crate::error::StoreError;

/// Who holds what was given back.
const NOBODY: &[u8] = &[];

impl PostgresStore {
    pub(crate) async fn take_duty(
        &self,
        duty: &Duty,
        holder: Holder,
        lasting: Duration,
    ) -> Result<DutyTaken, StoreError> {
        // Who stands by only reads: a write that finds the row taken would have the server flush all the same.
        if let Some(left) = left(&self.db().await?, duty, holder).await? {
            return Ok(DutyTaken::Others { left });
        }
        self.write((duty.clone(), holder, lasting), |(duty, holder, lasting), db, _| {
            Box::pin(take(duty, *holder, *lasting, db))
        })
        .await
    }

    pub(crate) async fn renew_duty(&self, held: &Held, lasting: Duration) -> Result<bool, StoreError> {
        self.write((held.clone(), lasting), |(held, lasting), db, _| {
            Box::pin(async move {
                let renewed = db
                    .execute(
                        "UPDATE duty SET until = clock_timestamp() + $4::bigint * interval '1 millisecond'
                         WHERE name = $1 AND holder = $2 AND fence = $3",
                        params![
                            held.duty.name(),
                            held.holder.as_bytes().as_slice(),
                            int(held.fence),
                            millis(*lasting)
                        ],
                    )
                    .await?;
                Ok(renewed == 1)
            })
        })
        .await
    }

    pub(crate) async fn release_duty(&self, held: &Held) -> Result<bool, StoreError> {
        self.write(held.clone(), |held, db, _| {
            Box::pin(async move {
                let released = db
                    .execute(
                        "UPDATE duty SET holder = $4 WHERE name = $1 AND holder = $2 AND fence = $3",
                        params![held.duty.name(), held.holder.as_bytes().as_slice(), int(held.fence), NOBODY],
                    )
                    .await?;
                Ok(released == 1)
            })
        })
        .await
    }
}

/// Tells whether nobody has taken a duty over, and lets nobody until the transaction ends.
pub(super) async fn has(db: &Db, held: &Held) -> Result<bool, Fail> {
    let (name, holder) = (held.duty.name(), held.holder.as_bytes().as_slice());
    let sql = "SELECT 1 FROM duty WHERE name = $1 AND holder = $2 AND fence = $3 FOR SHARE";
    db.exists(sql, params![name, holder, int(held.fence)]).await
}

/// Returns how long another holder has a duty; `None` when it may be taken.
async fn left(db: &Db, duty: &Duty, holder: Holder) -> Result<Option<Duration>, Fail> {
    let found = db
        .first(
            "SELECT ceil(extract(epoch FROM until - clock_timestamp()) * 1000)::bigint FROM duty
             WHERE name = $1 AND holder NOT IN ($2, $3) AND until > clock_timestamp()",
            params![duty.name(), holder.as_bytes().as_slice(), NOBODY],
        )
        .await?;
    let left: Option<i64> = found.map(|row| get(&row, 0)).transpose()?;
    Ok(left.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or_default())))
}

async fn take(duty: &Duty, holder: Holder, lasting: Duration, db: &Db) -> Result<DutyTaken, Fail> {
    let taken = db
        .first(
            "INSERT INTO duty(name, holder, fence, until)
             VALUES($1, $2, 1, clock_timestamp() + $4::bigint * interval '1 millisecond')
             ON CONFLICT(name) DO UPDATE SET holder = excluded.holder,
               fence = duty.fence + (duty.holder <> excluded.holder)::int,
               until = clock_timestamp() + $4::bigint * interval '1 millisecond'
             WHERE duty.holder IN ($2, $3) OR duty.until <= clock_timestamp()
             RETURNING fence",
            params![duty.name(), holder.as_bytes().as_slice(), NOBODY, millis(lasting)],
        )
        .await?;
    match taken {
        Some(row) => Ok(DutyTaken::Held(Held { duty: duty.clone(), holder, fence: count(&row, 0)? })),
        None => Ok(DutyTaken::Others { left: left(db, duty, holder).await?.unwrap_or_default() }),
    }
}

fn millis(lasting: Duration) -> i64 {
    i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX)
}
