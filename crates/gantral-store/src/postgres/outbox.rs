//! Messages about gates, and reminders.
//!
//! A message has a number from a sequence, and messages of one subject are delivered in the order of their numbers. That order is that of
//! what they tell, because whoever writes one holds the row of its gate, or has just made its proposal: the next one is numbered after
//! this one has committed. Between subjects numbers may become visible out of order, which delays nobody.

mod write;

use gantral_core::ids::{Name, TenantId};
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{count, int, millis, rows};
use super::db::params;
use crate::decoded::{self, MESSAGE, REMINDER};
use crate::error::StoreError;
use crate::outbox::{DueReminder, Gathered, OutboxCount, OutboxRow, OutboxTurn};
use crate::page::PAGE_MAX;
pub(super) use write::{schedule, tell, tell_proposal};

/// The most messages that are gathered at once.
const GATHERED_MAX: usize = 1_000;

impl PostgresStore {
    pub(crate) async fn outbox(&self, turn: OutboxTurn, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {MESSAGE} FROM outbox o
             WHERE o.recipient = $1 AND NOT o.dead AND (o.due_at <= $2 OR o.due_at > $3)
               AND NOT EXISTS(SELECT 1 FROM outbox e WHERE e.recipient = o.recipient AND e.subject = o.subject AND NOT e.dead
                                AND e.number < o.number)
             ORDER BY o.number LIMIT $4"
        );
        let (now, latest) = (millis(turn.now), millis(turn.latest));
        let limit = rows(limit.min(PAGE_MAX));
        let found = db.query(&sql, params![turn.recipient.as_str(), now, latest, limit]).await?;
        Ok(found.iter().map(decoded::message).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn gathered(
        &self,
        recipient: Name,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Gathered>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {MESSAGE}, CASE WHEN o.proposes IS NULL THEN g.resolution
               ELSE coalesce(p.ending, CASE WHEN p.expires_at <= $2 THEN 'expired' END) END
             FROM outbox o
               LEFT JOIN gate g ON g.tenant = o.tenant AND g.id = o.subject
               LEFT JOIN proposal p ON p.tenant = o.tenant AND p.id = o.subject
             WHERE o.recipient = $1 AND NOT o.dead ORDER BY o.number LIMIT $3"
        );
        let limit = rows(limit.min(GATHERED_MAX));
        let found = db.query(&sql, params![recipient.as_str(), millis(now), limit]).await?;
        Ok(found.iter().map(decoded::gathered).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn told(
        &self,
        recipient: Name,
        since: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        let db = self.db().await?;
        let found = db
            .first(
                "SELECT coalesce(sum(count), 0)::bigint FROM told WHERE recipient = $1 AND at > $2 AND at <= $3",
                params![recipient.as_str(), millis(since), millis(now)],
            )
            .await?;
        Ok(found.map_or(Ok(0), |row| count(&row, 0))?)
    }

    pub(crate) async fn dead_letters(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {MESSAGE} FROM outbox o WHERE o.tenant = $1 AND o.dead AND o.number > $2 ORDER BY o.number LIMIT $3"
        );
        let limit = rows(limit.min(PAGE_MAX));
        let found = db.query(&sql, params![tenant.as_str(), int(after), limit]).await?;
        Ok(found.iter().map(decoded::message).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        let db = self.db().await?;
        let found = db
            .query(
                "SELECT recipient, count(*) FILTER(WHERE NOT dead), min(queued_at) FILTER(WHERE NOT dead),
                   count(*) FILTER(WHERE dead)
                 FROM outbox GROUP BY recipient ORDER BY recipient",
                params![],
            )
            .await?;
        Ok(found.iter().map(decoded::outbox_count).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn due_reminders(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<DueReminder>, StoreError> {
        let db = self.db().await?;
        let sql = format!(
            "SELECT {REMINDER} FROM gate
             WHERE remind_at IS NOT NULL AND remind_at <= $1 AND deadline > $1 ORDER BY remind_at LIMIT $2"
        );
        let found = db.query(&sql, params![millis(now), rows(limit.min(PAGE_MAX))]).await?;
        Ok(found.iter().map(decoded::reminder).collect::<Result<_, _>>()?)
    }
}
