//! Reads of gates and grants.

use gantral_core::ids::{
    ActorId, AttemptNo, GateId, GrantId, InstanceId, Name, Role, TeamId, TenantId, WorkflowId,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::SqliteStore;
use super::columns::{
    digest, instance, instant, is_null, json, maybe_text, millis, name, rows, split, text, uuid,
};
use super::writer::Fail;
use crate::effect::GateRow;
use crate::error::StoreError;
use crate::page::{Cursor, FILTER_NAMES_MAX, GateFilter, PAGE_MAX, Page};
use crate::rows::{Closing, GrantRow, StoredGate};

const COLUMNS: &str =
    "g.id, g.instance, g.version, g.workflow, g.team, g.roles, g.action_name, g.deadline, g.opened_at,
    g.context, g.resolution, g.decided_by, g.closed_at";

impl SqliteStore {
    pub(crate) async fn gate(&self, tenant: TenantId, id: GateId) -> Result<Option<StoredGate>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM gate g WHERE g.tenant = ?1 AND g.id = ?2");
            let mut select = connection.prepare_cached(&sql)?;
            Ok(select.query_row(params![tenant.as_str(), id.as_bytes()], stored_gate).optional()?)
        })
        .await
    }

    pub(crate) async fn list_gates(
        &self,
        tenant: TenantId,
        filter: GateFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredGate>, StoreError> {
        self.read(move |connection| {
            let limit = limit.clamp(1, PAGE_MAX);
            let names = [filter.roles.as_ref().map(Vec::len), filter.teams.as_ref().map(Vec::len)];
            if names.into_iter().flatten().any(|names| names > FILTER_NAMES_MAX) {
                return Err(Fail::Contradiction("a filter names too many roles or teams"));
            }
            let found = match &filter.roles {
                _ if filter.closed => closed(connection, &tenant, &filter, after, limit)?,
                None => open(connection, &tenant, &filter, None, after, limit)?,
                // One walk of the role's inbox for each role, merged.
                Some(roles) => {
                    let mut found = Vec::new();
                    for role in roles {
                        found.extend(open(connection, &tenant, &filter, Some(role), after, limit)?);
                    }
                    found.sort_by_key(cursor);
                    found.dedup_by_key(|row| row.gate.id);
                    found
                }
            };
            Ok(Page::cut(found, limit, cursor))
        })
        .await
    }

    pub(crate) async fn grant(
        &self,
        tenant: TenantId,
        of: InstanceId,
        id: GrantId,
    ) -> Result<Option<GrantRow>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, instance, expires_at, consumed_by FROM grant_row
                 WHERE tenant = ?1 AND instance = ?2 AND id = ?3",
            )?;
            let found = select
                .query_row(params![tenant.as_str(), of.as_bytes(), id.as_bytes()], |row| {
                    Ok(GrantRow {
                        id: uuid(row, 0, GrantId::from_bytes)?,
                        instance: instance(row, 1)?,
                        expires_at: instant(row, 2)?,
                        consumed_by: row.get::<_, Option<u32>>(3)?.map(AttemptNo),
                    })
                })
                .optional()?;
            Ok(found)
        })
        .await
    }
}

/// A query that grows clause by clause.
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    fn also(&mut self, clause: &str, value: impl Into<Value>) {
        self.sql.push_str(clause);
        self.values.push(value.into());
    }

    /// Adds what a filter says of the gate itself.
    fn filtered(&mut self, filter: &GateFilter) {
        if let Some(workflow) = &filter.workflow {
            self.also(" AND g.workflow = ?", workflow.as_str().to_owned());
        }
        if let Some(action) = &filter.action {
            self.also(" AND g.action_name = ?", action.as_str().to_owned());
        }
        if let Some(teams) = &filter.teams {
            self.also(" AND g.team IN (SELECT value FROM json_each(?))", json(teams));
        }
    }

    fn run(self, connection: &Connection) -> rusqlite::Result<Vec<StoredGate>> {
        let mut select = connection.prepare_cached(&self.sql)?;
        select.query_map(params_from_iter(self.values), stored_gate)?.collect()
    }
}

/// Reads one open gate more than `limit`, of one role or of any, from the nearest deadline.
fn open(
    connection: &Connection,
    tenant: &TenantId,
    filter: &GateFilter,
    role: Option<&Role>,
    after: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredGate>> {
    let mut values = vec![Value::from(tenant.as_str().to_owned())];
    let (sql, key) = match role {
        None => {
            (format!("SELECT {COLUMNS} FROM gate g WHERE g.tenant = ? AND g.open = 1"), "g.deadline, g.id")
        }
        Some(role) => {
            values.push(role.as_str().to_owned().into());
            let sql = format!(
                "SELECT {COLUMNS} FROM gate_role r CROSS JOIN gate g ON g.tenant = r.tenant AND g.id = r.gate
                 WHERE r.tenant = ? AND r.open = 1 AND r.role = ?"
            );
            (sql, "r.deadline, r.gate")
        }
    };
    let mut query = Query { sql, values };
    query.filtered(filter);
    if let Some(after) = after {
        query.also(&format!(" AND ({key}) > (?"), millis(after.at));
        query.also(", ?)", after.id.to_vec());
    }
    query.also(&format!(" ORDER BY {key} LIMIT ?"), rows(limit.saturating_add(1)));
    query.run(connection)
}

/// Reads one closed gate more than `limit`, from the one that was closed last.
fn closed(
    connection: &Connection,
    tenant: &TenantId,
    filter: &GateFilter,
    after: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredGate>> {
    let sql = format!("SELECT {COLUMNS} FROM gate g WHERE g.tenant = ? AND g.open = 0");
    let mut query = Query { sql, values: vec![Value::from(tenant.as_str().to_owned())] };
    query.filtered(filter);
    if let Some(roles) = &filter.roles {
        query.also(
            " AND EXISTS (SELECT 1 FROM json_each(?) names CROSS JOIN gate_role r ON r.tenant = g.tenant
              AND r.role = names.value AND r.open = 0 AND r.deadline = g.deadline AND r.gate = g.id)",
            json(roles),
        );
    }
    if let Some(after) = after {
        query.also(" AND (g.closed_at, g.id) < (?", millis(after.at));
        query.also(", ?)", after.id.to_vec());
    }
    query.also(" ORDER BY g.closed_at DESC, g.id DESC LIMIT ?", rows(limit.saturating_add(1)));
    query.run(connection)
}

/// Where a list goes on behind a gate.
fn cursor(row: &StoredGate) -> Cursor {
    let at = row.closing.as_ref().map_or(row.gate.deadline, |closing| closing.at);
    Cursor { at, id: *row.gate.id.as_bytes() }
}

/// Reads a row of [`COLUMNS`].
fn stored_gate(row: &Row<'_>) -> rusqlite::Result<StoredGate> {
    let closing = if is_null(row, 10)? {
        None
    } else {
        Some(Closing {
            resolution: name(row, 10)?,
            decided_by: maybe_text(row, 11, ActorId::parse)?,
            at: instant(row, 12)?,
        })
    };
    Ok(StoredGate {
        instance: instance(row, 1)?,
        gate: GateRow {
            id: uuid(row, 0, GateId::from_bytes)?,
            version: row.get(2)?,
            workflow: text(row, 3, WorkflowId::parse)?,
            team: text(row, 4, TeamId::parse)?,
            roles: split(row, 5)?,
            action_name: text(row, 6, Name::parse)?,
            deadline: instant(row, 7)?,
            opened_at: instant(row, 8)?,
            context: digest(row, 9)?,
        },
        closing,
    })
}
