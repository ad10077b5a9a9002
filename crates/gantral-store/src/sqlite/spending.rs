//! Running totals, and what is reserved until an outcome is known.

use gantral_core::ids::{GrantId, InstanceId, Name, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::columns::{count, instance, instant, int, millis, text};
use super::writer::Fail;
use crate::append::Append;
use crate::error::StoreError;
use crate::spending::{AMOUNT_MAX, RULES_MAX, RULES_TOLD_FOR, Reservation, Spending, Total, Totals, periods};

impl SqliteStore {
    pub(crate) async fn spending(
        &self,
        tenant: TenantId,
        id: InstanceId,
        workflow: WorkflowId,
        team: TeamId,
        at: UnixMillis,
    ) -> Result<Spending, StoreError> {
        self.look(move |connection| {
            let of = |kind, name: &str| totals(connection, &tenant, kind, name, at);
            Ok(Spending {
                instance: of("instance", &id.to_string())?.always,
                workflow: of("workflow", workflow.as_str())?,
                team: of("team", team.as_str())?,
                rules: rules(connection, &tenant, &workflow, at)?,
            })
        })
        .await
    }
}

/// Returns how often the totals of a workflow and of a team changed.
pub(super) fn changes(
    connection: &Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    team: &TeamId,
) -> rusqlite::Result<(u64, u64)> {
    let of = |kind, name: &str| Ok::<_, rusqlite::Error>(total(connection, tenant, kind, name, "")?.1);
    Ok((of("workflow", workflow.as_str())?, of("team", team.as_str())?))
}

fn totals(
    connection: &Connection,
    tenant: &TenantId,
    kind: &str,
    name: &str,
    at: UnixMillis,
) -> rusqlite::Result<Totals> {
    let [month, day] = periods(at);
    let (always, changes) = total(connection, tenant, kind, name, "")?;
    let (month, _) = total(connection, tenant, kind, name, &month)?;
    let (day, _) = total(connection, tenant, kind, name, &day)?;
    Ok(Totals { always, month, day, changes })
}

fn total(
    connection: &Connection,
    tenant: &TenantId,
    kind: &str,
    name: &str,
    period: &str,
) -> rusqlite::Result<(Total, u64)> {
    connection
        .prepare_cached(
            "SELECT spent, reserved, changes FROM spending
             WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND period = ?4",
        )?
        .query_row(params![tenant.as_str(), kind, name, period], |row| {
            Ok((Total { spent: count(row, 0)?, reserved: count(row, 1)? }, count(row, 2)?))
        })
        .optional()
        .map(Option::unwrap_or_default)
}

/// Returns how often standing rules were used in a workflow; nothing where they are too many.
fn rules(
    connection: &Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    at: UnixMillis,
) -> rusqlite::Result<Option<Vec<(Name, u64)>>> {
    let since = at.get().saturating_sub(RULES_TOLD_FOR.get());
    let limit = int(u64::try_from(RULES_MAX).unwrap_or(u64::MAX).saturating_add(1));
    let mut statement = connection.prepare_cached(
        "SELECT rule, uses FROM rule_use WHERE tenant = ?1 AND workflow = ?2 AND last_at >= ?3 LIMIT ?4",
    )?;
    let found = statement
        .query_map(params![tenant.as_str(), workflow.as_str(), int(since), limit], |row| {
            Ok((text(row, 0, Name::parse)?, count(row, 1)?))
        })?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((found.len() <= RULES_MAX).then_some(found))
}

/// Counts one use of a standing rule, as a change of the totals of the workflow: who was told of fewer uses does not commit.
pub(super) fn count_rule(
    connection: &Connection,
    append: &Append,
    rule: &Name,
    at: UnixMillis,
) -> rusqlite::Result<()> {
    let (tenant, workflow) = (append.tenant.as_str(), append.index.workflow.as_str());
    connection
        .prepare_cached(
            "INSERT INTO rule_use(tenant, workflow, rule, uses, last_at) VALUES(?1, ?2, ?3, 1, ?4)
             ON CONFLICT DO UPDATE SET uses = uses + 1, last_at = max(last_at, ?4)",
        )?
        .execute(params![tenant, workflow, rule.as_str(), millis(at)])?;
    put(connection, &append.tenant, ("workflow", workflow, ""), 0, 0)
}

/// Reserves what a grant of the append's instance is expected to cost.
pub(super) fn reserve(
    connection: &Connection,
    append: &Append,
    grant: GrantId,
    amount: u64,
    at: UnixMillis,
) -> Result<(), Fail> {
    let reservation = Reservation::of(append, amount, at);
    connection
        .prepare_cached(
            "INSERT INTO reservation(tenant, id, instance, workflow, team, amount, at)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            append.tenant.as_str(),
            grant.as_bytes(),
            append.instance.as_bytes(),
            reservation.workflow.as_str(),
            reservation.team.as_str(),
            int(reservation.amount),
            millis(at),
        ])?;
    Ok(add(connection, &append.tenant, &reservation, 0, int(reservation.amount))?)
}

/// Counts what a grant has cost in place of what was reserved for it; `None`: as much. One for which nothing is reserved counts nothing.
pub(super) fn settle(
    connection: &Connection,
    append: &Append,
    grant: GrantId,
    cost: Option<u64>,
) -> Result<(), Fail> {
    let key = params![append.tenant.as_str(), grant.as_bytes()];
    let found = connection
        .prepare_cached(
            "DELETE FROM reservation WHERE tenant = ?1 AND id = ?2 RETURNING instance, workflow, team, amount, at",
        )?
        .query_row(key, |row| {
            Ok(Reservation {
                instance: instance(row, 0)?,
                workflow: text(row, 1, WorkflowId::parse)?,
                team: text(row, 2, TeamId::parse)?,
                amount: count(row, 3)?,
                at: instant(row, 4)?,
            })
        })
        .optional()?;
    let Some(reservation) = found else { return Ok(()) };
    let cost = cost.unwrap_or(reservation.amount).min(AMOUNT_MAX);
    Ok(add(connection, &append.tenant, &reservation, cost, int(reservation.amount).saturating_neg())?)
}

/// Adds to every total that a reservation counts in. Where nothing is added nothing changes, and who was told of the totals may commit.
fn add(
    connection: &Connection,
    tenant: &TenantId,
    of: &Reservation,
    spent: u64,
    reserved: i64,
) -> rusqlite::Result<()> {
    for (kind, name, period) in of.places(spent, reserved) {
        put(connection, tenant, (kind, &name, &period), spent, reserved)?;
    }
    Ok(())
}

/// Adds to one total, and counts that as a change of it.
fn put(
    connection: &Connection,
    tenant: &TenantId,
    (kind, name, period): (&str, &str, &str),
    spent: u64,
    reserved: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO spending(tenant, kind, name, period, spent, reserved, changes)
             VALUES(?1, ?2, ?3, ?4, ?5, max(?6, 0), 1)
             ON CONFLICT DO UPDATE SET spent = min(spent + ?5, ?7), reserved = max(min(reserved + ?6, ?7), 0),
               changes = changes + 1",
        )?
        .execute(params![tenant.as_str(), kind, name, period, int(spent), reserved, int(AMOUNT_MAX)])?;
    Ok(())
}
