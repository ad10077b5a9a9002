//! Reads of gates and grants.

use gantral_core::ids::{GateId, GrantId, InstanceId, Role, TenantId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::SqliteStore;
use super::columns::{json, millis, rows};
use super::writer::Fail;
use crate::decoded::{self, GATE, GRANT};
use crate::error::StoreError;
use crate::page::{Cursor, FILTER_NAMES_MAX, GateFilter, PAGE_MAX, Page};
use crate::rows::{GrantRow, StoredGate};

impl SqliteStore {
    pub(crate) async fn gate(&self, tenant: TenantId, id: GateId) -> Result<Option<StoredGate>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {GATE} FROM gate g WHERE g.tenant = ?1 AND g.id = ?2");
            let mut select = connection.prepare_cached(&sql)?;
            Ok(select
                .query_row(params![tenant.as_str(), id.as_bytes()], |row| decoded::stored_gate(row))
                .optional()?)
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
                    found.sort_by_key(StoredGate::cursor);
                    found.dedup_by_key(|row| row.gate.id);
                    found
                }
            };
            Ok(Page::cut(found, limit, StoredGate::cursor))
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
            let sql =
                format!("SELECT {GRANT} FROM grant_row WHERE tenant = ?1 AND instance = ?2 AND id = ?3");
            let mut select = connection.prepare_cached(&sql)?;
            let key = params![tenant.as_str(), of.as_bytes(), id.as_bytes()];
            Ok(select.query_row(key, |row| decoded::grant(row)).optional()?)
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
        select.query_map(params_from_iter(self.values), |row| decoded::stored_gate(row))?.collect()
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
        None => (format!("SELECT {GATE} FROM gate g WHERE g.tenant = ? AND g.open = 1"), "g.deadline, g.id"),
        Some(role) => {
            values.push(role.as_str().to_owned().into());
            let sql = format!(
                "SELECT {GATE} FROM gate_role r CROSS JOIN gate g ON g.tenant = r.tenant AND g.id = r.gate
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
    let sql = format!("SELECT {GATE} FROM gate g WHERE g.tenant = ? AND g.open = 0");
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
