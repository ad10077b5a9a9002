//! Outages under SHADOW: what lets a client go on without an answer, and its count of what it did meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gantral_api::wire;
use gantral_core::ids::WorkflowId;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_core::workflow::Workflow;
use gantral_engine::EngineError;
use gantral_identity::Principal;
use gantral_store::Unobserved;

use super::shadow::HOUR_MS;
use super::{Path, workflows};
use crate::app::App;
use crate::command::{Write, call};
use crate::identity::{Caller, sees_team};
use crate::problems::{Answer, Failure};
use crate::views::stored;

/// How long ago something may have been done that is counted now.
const PAST: DurationMs = DurationMs::from_secs(31 * 86_400);

/// GET /v1/workflows/{id}/mode-lease
pub(crate) async fn mode_lease(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<wire::text::WorkflowId>,
) -> Answer<Json<wire::ModeLeaseView>> {
    let workflow = concerned(&app, &principal, &id).await?;
    let mut call = call(&app, None)?;
    let lease = app.engine().mode_lease(&mut call, principal.tenant(), &workflow).await?;
    let delegation = lease.signed.delegation.as_deref();
    Ok(Json(wire::ModeLeaseView {
        lease: stored(&lease.signed.envelope, "mode lease")?,
        delegation: delegation.map(|envelope| stored(envelope, "delegation")).transpose()?,
        expires_at: lease.expires_at.into(),
    }))
}

/// POST /v1/unobserved
pub(crate) async fn count(
    State(app): State<App>,
    write: Write<wire::CountUnobserved>,
) -> Answer<Json<wire::Counted>> {
    if write.principal.attempt_bearer().is_err() {
        write.principal.requester()?;
    }
    if !(1..=wire::UNOBSERVED_ITEMS_MAX).contains(&write.body.items.len()) {
        return Err(Failure::member("items", "`items` has 1 to 100 lines"));
    }
    let (tenant, now) = (write.principal.tenant(), write.call.now);
    let mut workflows: BTreeMap<WorkflowId, Arc<Workflow>> = BTreeMap::new();
    let mut lines: BTreeMap<_, u64> = BTreeMap::new();
    for (index, line) in write.body.items.into_iter().enumerate() {
        let path = |member: &str| format!("items/{index}/{member}");
        let (workflow, action) = (line.workflow.into_inner(), line.action.into_inner());
        if !workflows.contains_key(&workflow) {
            let found = concerned(&app, &write.principal, &workflow).await?;
            workflows.insert(workflow.clone(), found);
        }
        let known = workflows.get(&workflow).is_some_and(|known| known.actions.contains_key(&action));
        if !known {
            return Err(Failure::member(&path("action"), "the workflow has no such action"));
        }
        let hour = hour_of(line.hour.into_inner());
        if hour > now || hour.plus(PAST) < now {
            return Err(Failure::member(&path("hour"), "lies in the future, or more than 31 days back"));
        }
        let asks = lines.entry((hour, workflow, action)).or_default();
        *asks = asks.saturating_add(line.asks.into());
    }
    let lines = lines
        .into_iter()
        .map(|((hour, workflow, action), asks)| Unobserved { hour, workflow, action, asks })
        .collect();
    let report = *write.body.report_id.as_bytes();
    app.engine().store().count_unobserved(tenant, report, lines).await.map_err(EngineError::from)?;
    Ok(Json(wire::Counted { report_id: write.body.report_id }))
}

/// GET /v1/unobserved
pub(crate) async fn unobserved(
    State(app): State<App>,
    Caller(principal): Caller,
    super::Query(query): super::Query<wire::UnobservedQuery>,
) -> Answer<Json<wire::UnobservedCounts>> {
    counted(&app, &principal, &query).await.map(Json)
}

/// Returns what clients counted without an answer, of the workflows that a human sees.
pub(crate) async fn counted(
    app: &App,
    principal: &Principal,
    query: &wire::UnobservedQuery,
) -> Answer<wire::UnobservedCounts> {
    principal.approver()?;
    let from = query.from.map_or(UnixMillis::EPOCH, |from| hour_of(from.into_inner()));
    let to =
        query.to.map_or_else(|| app.0.clock.now().plus(DurationMs::new(1)), wire::text::Text::into_inner);
    let (tenant, store) = (principal.tenant(), app.engine().store());
    let mut found = store.unobserved(tenant, (from, to)).await.map_err(EngineError::from)?;
    let names: BTreeSet<WorkflowId> = found.iter().map(|line| line.workflow.clone()).collect();
    let mut seen = BTreeSet::new();
    for name in names {
        let workflow = app.engine().workflow(tenant, &name, None).await?;
        let asked = query.workflow.as_ref().is_none_or(|asked| **asked == name)
            && query.team.as_ref().is_none_or(|team| **team == workflow.team);
        if asked && sees_team(principal, &workflow.team) {
            seen.insert(name);
        }
    }
    found.retain(|line| seen.contains(&line.workflow));
    let items = found.into_iter().map(|line| wire::UnobservedLine {
        hour: line.hour.into(),
        workflow: line.workflow.into(),
        action: line.action.into(),
        asks: line.asks,
    });
    Ok(wire::UnobservedCounts { items: items.collect() })
}

/// Returns a workflow that somebody has to do with: one of their teams, or that of the instance whose attempt they are.
async fn concerned(app: &App, principal: &Principal, id: &WorkflowId) -> Answer<Arc<Workflow>> {
    let Ok(bearer) = principal.attempt_bearer() else { return workflows::visible(app, principal, id).await };
    let (engine, tenant) = (app.engine(), principal.tenant());
    let workflow = engine.workflow(tenant, id, None).await?;
    let its_own = engine.instance(tenant, bearer.scope().instance).await?.workflow.id == *id;
    if its_own { Ok(workflow) } else { Err(workflows::unknown()) }
}

/// Returns the beginning of the hour (UTC) of an instant.
fn hour_of(at: UnixMillis) -> UnixMillis {
    UnixMillis::new(at.get() - at.get() % HOUR_MS).unwrap_or(UnixMillis::EPOCH)
}
