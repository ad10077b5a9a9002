//! Reads of gates and grants.

use gantral_core::ids::{GateId, GrantId, InstanceId, Role, TenantId};

use super::PostgresStore;
use super::columns::{millis, names, rows};
use super::db::{Db, Query, params};
use super::reads::Reads;
use super::writer::Fail;
use crate::decoded::{self, GATE, GRANT};
use crate::error::StoreError;
use crate::page::{Cursor, FILTER_NAMES_MAX, GateFilter, PAGE_MAX, Page};
use crate::rows::{GrantRow, StoredGate};

/// Reads gates by their keys.
pub(super) fn reads() -> Reads<StoredGate> {
    let row = format!("SELECT {GATE} FROM gate g WHERE g.tenant = n.tenant AND g.id = n.key");
    Reads::new(&row, decoded::stored_gate)
}

impl PostgresStore {
    pub(crate) async fn gate(&self, tenant: TenantId, id: GateId) -> Result<Option<StoredGate>, StoreError> {
        self.one(|inner| &inner.gates, tenant, *id.as_bytes()).await
    }

    pub(crate) async fn list_gates(
        &self,
        tenant: TenantId,
        filter: GateFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredGate>, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let names = [filter.roles.as_ref().map(Vec::len), filter.teams.as_ref().map(Vec::len)];
        if names.into_iter().flatten().any(|names| names > FILTER_NAMES_MAX) {
            return Err(Fail::Contradiction("a filter names too many roles or teams").into());
        }
        let db = self.db().await?;
        let found = match &filter.roles {
            _ if filter.closed => closed(&db, &tenant, &filter, after, limit).await?,
            None => open(&db, &tenant, &filter, None, after, limit).await?,
            // One walk of the role's inbox for each role, merged.
            Some(roles) => {
                let mut found = Vec::new();
                for role in roles {
                    found.extend(open(&db, &tenant, &filter, Some(role), after, limit).await?);
                }
                found.sort_by_key(StoredGate::cursor);
                found.dedup_by_key(|row| row.gate.id);
                found
            }
        };
        Ok(Page::cut(found, limit, StoredGate::cursor))
    }

    pub(crate) async fn grant(
        &self,
        tenant: TenantId,
        of: InstanceId,
        id: GrantId,
    ) -> Result<Option<GrantRow>, StoreError> {
        let db = self.db().await?;
        let sql = format!("SELECT {GRANT} FROM grant_row WHERE tenant = $1 AND instance = $2 AND id = $3");
        let (of, id) = (of.as_bytes().as_slice(), id.as_bytes().as_slice());
        let found = db.first(&sql, params![tenant.as_str(), of, id]).await?;
        Ok(found.as_ref().map(decoded::grant).transpose()?)
    }
}

/// Adds what a filter says of the gate itself.
fn filtered(query: &mut Query, filter: &GateFilter) {
    if let Some(workflow) = &filter.workflow {
        query.also(" AND g.workflow = ", workflow.to_string());
    }
    if let Some(action) = &filter.action {
        query.also(" AND g.action_name = ", action.to_string());
    }
    if let Some(teams) = &filter.teams {
        query.also(" AND g.team = ANY(", names(teams)).text(")");
    }
}

/// Reads one open gate more than `limit`, of one role or of any, from the nearest deadline.
async fn open(
    db: &Db,
    tenant: &TenantId,
    filter: &GateFilter,
    role: Option<&Role>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<StoredGate>, Fail> {
    let (mut query, key) = match role {
        None => {
            let sql = format!("SELECT {GATE} FROM gate g WHERE g.open AND g.tenant = ");
            (Query::new(sql, tenant.to_string()), "g.deadline, g.id")
        }
        Some(role) => {
            let sql = format!(
                "SELECT {GATE} FROM gate_role r JOIN gate g ON g.tenant = r.tenant AND g.id = r.gate
                 WHERE r.open AND r.tenant = "
            );
            let mut query = Query::new(sql, tenant.to_string());
            query.also(" AND r.role = ", role.to_string());
            (query, "r.deadline, r.gate")
        }
    };
    filtered(&mut query, filter);
    if let Some(after) = after {
        query.also(&format!(" AND ({key}) > ("), millis(after.at)).also(", ", after.id.to_vec()).text(")");
    }
    query.also(&format!(" ORDER BY {key} LIMIT "), rows(limit.saturating_add(1)));
    query.run(db).await?.iter().map(decoded::stored_gate).collect()
}

/// Reads one closed gate more than `limit`, from the one that was closed last.
async fn closed(
    db: &Db,
    tenant: &TenantId,
    filter: &GateFilter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<StoredGate>, Fail> {
    let sql = format!("SELECT {GATE} FROM gate g WHERE NOT g.open AND g.tenant = ");
    let mut query = Query::new(sql, tenant.to_string());
    filtered(&mut query, filter);
    if let Some(roles) = &filter.roles {
        query
            .also(
                " AND EXISTS (SELECT 1 FROM gate_role r WHERE r.tenant = g.tenant AND NOT r.open
                  AND r.deadline = g.deadline AND r.gate = g.id AND r.role = ANY(",
                names(roles),
            )
            .text("))");
    }
    if let Some(after) = after {
        query.also(" AND (g.closed_at, g.id) < (", millis(after.at)).also(", ", after.id.to_vec()).text(")");
    }
    query.also(" ORDER BY g.closed_at DESC, g.id DESC LIMIT ", rows(limit.saturating_add(1)));
    query.run(db).await?.iter().map(decoded::stored_gate).collect()
}
