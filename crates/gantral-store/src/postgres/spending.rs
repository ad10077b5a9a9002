//! Running totals, and what is reserved until an outcome is known.

use gantral_core::ids::{GrantId, InstanceId, Name, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;

use super::PostgresStore;
use super::columns::{count, get, instance, instant, int, millis, rows, text};
use super::db::{Db, params};
use super::writer::Fail;
use crate::append::Append;
use crate::error::StoreError;
use crate::spending::{AMOUNT_MAX, RULES_MAX, RULES_TOLD_FOR, Reservation, Spending, Total, Totals, periods};

/// One total: its kind, its name, and its period.
type Place<'a> = (&'a str, &'a str, &'a str);

impl PostgresStore {
    pub(crate) async fn spending(
        &self,
        tenant: TenantId,
        id: InstanceId,
        workflow: WorkflowId,
        team: TeamId,
        at: UnixMillis,
    ) -> Result<Spending, StoreError> {
        let db = self.db().await?;
        // What belongs to one count of changes is read with it, by one statement.
        Ok(Spending {
            instance: totals(&db, &tenant, "instance", &id.to_string(), at).await?.always,
            workflow: totals(&db, &tenant, "workflow", workflow.as_str(), at).await?,
            team: totals(&db, &tenant, "team", team.as_str(), at).await?,
            rules: rules(&db, &tenant, &workflow, at).await?,
        })
    }
}

/// Returns how often the totals of a workflow and of a team changed, and holds both: nobody changes them until the transaction has ended.
pub(super) async fn held_changes(
    db: &Db,
    tenant: &TenantId,
    workflow: &WorkflowId,
    team: &TeamId,
) -> Result<(u64, u64), Fail> {
    let workflow = held(db, tenant, ("workflow", workflow.as_str(), "")).await?;
    Ok((workflow, held(db, tenant, ("team", team.as_str(), "")).await?))
}

/// Returns how often one total changed, and holds its row. One that is missing is put there, so that it can be held.
async fn held(db: &Db, tenant: &TenantId, (kind, name, period): Place<'_>) -> Result<u64, Fail> {
    const SELECT: &str = "SELECT changes FROM spending
        WHERE tenant = $1 AND kind = $2 AND name = $3 AND period = $4 FOR NO KEY UPDATE";
    let tenant = tenant.as_str();
    let mut found = db.first(SELECT, params![tenant, kind, name, period]).await?;
    if found.is_none() {
        db.execute(
            "INSERT INTO spending(tenant, kind, name, period, spent, reserved, changes)
             VALUES($1, $2, $3, $4, 0, 0, 0) ON CONFLICT DO NOTHING",
            params![tenant, kind, name, period],
        )
        .await?;
        // Whoever was first has ended by now: its row is what is held.
        found = db.first(SELECT, params![tenant, kind, name, period]).await?;
    }
    count(&found.ok_or(Fail::Again)?, 0)
}

async fn totals(db: &Db, tenant: &TenantId, kind: &str, name: &str, at: UnixMillis) -> Result<Totals, Fail> {
    let [month, day] = periods(at);
    let found = db
        .query(
            "SELECT spent, reserved, changes, period FROM spending
             WHERE tenant = $1 AND kind = $2 AND name = $3 AND period IN ('', $4, $5)",
            params![tenant.as_str(), kind, name, month, day],
        )
        .await?;
    let mut totals = Totals::default();
    for row in &found {
        let total = Total { spent: count(row, 0)?, reserved: count(row, 1)? };
        match get::<&str>(row, 3)? {
            "" => (totals.always, totals.changes) = (total, count(row, 2)?),
            period if period == month => totals.month = total,
            _ => totals.day = total,
        }
    }
    Ok(totals)
}

/// Returns how often standing rules were used in a workflow; nothing where they are too many.
async fn rules(
    db: &Db,
    tenant: &TenantId,
    workflow: &WorkflowId,
    at: UnixMillis,
) -> Result<Option<Vec<(Name, u64)>>, Fail> {
    let since = at.get().saturating_sub(RULES_TOLD_FOR.get());
    let found = db
        .query(
            "SELECT rule, uses FROM rule_use WHERE tenant = $1 AND workflow = $2 AND last_at >= $3 ORDER BY rule LIMIT $4",
            params![tenant.as_str(), workflow.as_str(), int(since), rows(RULES_MAX.saturating_add(1))],
        )
        .await?;
    if found.len() > RULES_MAX {
        return Ok(None);
    }
    let rule = |row| Ok((text(row, 0, Name::parse)?, count(row, 1)?));
    found.iter().map(rule).collect::<Result<_, _>>().map(Some)
}

/// Counts one use of a standing rule, as a change of the totals of the workflow: who was told of fewer uses does not commit.
pub(super) async fn count_rule(db: &Db, append: &Append, rule: &Name, at: UnixMillis) -> Result<(), Fail> {
    let (tenant, workflow) = (append.tenant.as_str(), append.index.workflow.as_str());
    // The total first: it is what others wait for, and wait for in this order.
    put(db, &append.tenant, ("workflow", workflow, ""), 0, 0).await?;
    db.later(
        "INSERT INTO rule_use(tenant, workflow, rule, uses, last_at) VALUES($1, $2, $3, 1, $4)
         ON CONFLICT(tenant, workflow, rule) DO UPDATE
         SET uses = rule_use.uses + 1, last_at = greatest(rule_use.last_at, excluded.last_at)",
        params![tenant, workflow, rule.as_str(), millis(at)],
    )
    .await
}

/// Reserves what a grant of the append's instance is expected to cost.
pub(super) async fn reserve(
    db: &Db,
    append: &Append,
    grant: GrantId,
    amount: u64,
    at: UnixMillis,
) -> Result<(), Fail> {
    let reservation = Reservation::of(append, amount, at);
    db.later(
        "INSERT INTO reservation(tenant, id, instance, workflow, team, amount, at)
         VALUES($1, $2, $3, $4, $5, $6, $7)",
        params![
            append.tenant.as_str(),
            grant.as_bytes().as_slice(),
            append.instance.as_bytes().as_slice(),
            reservation.workflow.as_str(),
            reservation.team.as_str(),
            int(reservation.amount),
            millis(at),
        ],
    )
    .await?;
    add(db, &append.tenant, &reservation, 0, int(reservation.amount)).await
}

/// Counts what a grant has cost in place of what was reserved for it; `None`: as much. One for which nothing is reserved counts nothing.
pub(super) async fn settle(db: &Db, append: &Append, grant: GrantId, cost: Option<u64>) -> Result<(), Fail> {
    let found = db
        .first(
            "DELETE FROM reservation WHERE tenant = $1 AND id = $2 RETURNING instance, workflow, team, amount, at",
            params![append.tenant.as_str(), grant.as_bytes().as_slice()],
        )
        .await?;
    let Some(row) = found else { return Ok(()) };
    let reservation = Reservation {
        instance: instance(&row, 0)?,
        workflow: text(&row, 1, WorkflowId::parse)?,
        team: text(&row, 2, TeamId::parse)?,
        amount: count(&row, 3)?,
        at: instant(&row, 4)?,
    };
    let cost = cost.unwrap_or(reservation.amount).min(AMOUNT_MAX);
    add(db, &append.tenant, &reservation, cost, int(reservation.amount).saturating_neg()).await
}

/// Adds to every total that a reservation counts in, always in the same order. Where nothing is added nothing changes, and who was told of the totals
/// may commit.
async fn add(db: &Db, tenant: &TenantId, of: &Reservation, spent: u64, reserved: i64) -> Result<(), Fail> {
    for (kind, name, period) in of.places(spent, reserved) {
        put(db, tenant, (kind, &name, &period), spent, reserved).await?;
    }
    Ok(())
}

/// Adds to one total, and counts that as a change of it.
async fn put(
    db: &Db,
    tenant: &TenantId,
    (kind, name, period): Place<'_>,
    spent: u64,
    reserved: i64,
) -> Result<(), Fail> {
    db.later(
        "INSERT INTO spending AS s(tenant, kind, name, period, spent, reserved, changes)
         VALUES($1, $2, $3, $4, $5, greatest($6::bigint, 0), 1)
         ON CONFLICT(tenant, kind, name, period) DO UPDATE
         SET spent = least(s.spent + $5, $7), reserved = greatest(least(s.reserved + $6, $7), 0), changes = s.changes + 1",
        params![tenant.as_str(), kind, name, period, int(spent), reserved, int(AMOUNT_MAX)],
    )
    .await
}
