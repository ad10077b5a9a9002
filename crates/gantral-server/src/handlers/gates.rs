//! Gates: what waits for humans, and what they say. GET never decides.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::problem::Code;
use gantral_api::wire::{self, text};
use gantral_core::state::DecisionKind;
use gantral_engine::{Answer as Said, DecisionRequest, GateFacts};
use gantral_identity::Principal;
use gantral_store::GateFilter;

use super::{Path, Query, page};
use crate::app::App;
use crate::command::Write;
use crate::identity::{Caller, sees_team};
use crate::problems::{Answer, Failure};
use crate::views::{self, receipts};

/// A gate is for those who may decide there, for its team, and for the attempt or client that asked.
fn sees_gate(principal: &Principal, facts: &GateFacts) -> bool {
    let fold = &facts.instance.instance;
    if let Some(scope) = principal.attempt() {
        return scope.instance == fold.identity.instance;
    }
    let eligible = facts.row.gate.roles.iter().any(|role| principal.roles().contains(role));
    let human = principal.human().is_some();
    sees_team(principal, &facts.row.gate.team)
        || (human && eligible)
        || fold.created_by == *principal.client()
}

/// GET /v1/gates
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::GateList>,
) -> Answer<Json<wire::GatePage>> {
    if principal.attempt().is_some() {
        return Err(Failure::new(Code::Forbidden, "an attempt sees its own gate only"));
    }
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let roles = query.mine.unwrap_or(false).then(|| principal.roles().iter().cloned().collect());
    let filter = GateFilter { closed: false, roles, teams: None, workflow: None };
    let tenant = principal.tenant();
    let found = app.engine().store().list_gates(tenant, filter, cursor, limit).await;
    let found = found.map_err(gantral_engine::EngineError::from)?;
    let mut items = Vec::with_capacity(found.items.len());
    for row in &found.items {
        let facts = app.engine().gate(tenant, row.gate.id).await?;
        if sees_gate(&principal, &facts) {
            items.push(views::gate_summary(&facts)?);
        }
    }
    Ok(Json(wire::GatePage { items, next: found.next.map(|cursor| cursor.to_string()) }))
}

/// GET /v1/gates/{gate_id}
pub(crate) async fn show(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<text::GateId>,
) -> Answer<Json<wire::GateView>> {
    let facts = app.engine().gate(principal.tenant(), id.into_inner()).await?;
    if !sees_gate(&principal, &facts) {
        return Err(Failure::not_found("the gate"));
    }
    Ok(Json(views::gate(&facts)?))
}

/// POST /v1/gates/{gate_id}/decisions
pub(crate) async fn decide(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    write: Write<wire::Decide>,
) -> Answer<(StatusCode, Json<wire::Decided>)> {
    let approver = write.principal.approver()?;
    let body = write.body;
    let decision = body.decision.into_inner();
    if (decision == DecisionKind::Override) != body.action.is_some() {
        return Err(Failure::new(Code::ActionMismatch, "`action` is given with OVERRIDE, and only with it"));
    }
    let action = body.action.as_ref().map(wire::Action::to_value).transpose();
    let request = DecisionRequest {
        decision,
        gate_version: body.gate_version,
        role: body.role.map(text::Text::into_inner),
        action: action.map_err(|error| Failure::new(Code::InvalidBody, error.to_string()))?,
        justification: body.justification.as_str().to_owned(),
    };
    let done = app.engine().decide_gate(write.call, &approver, id.into_inner(), request).await?;
    let grant_id = match done.answer {
        Said::Voted { grant } => grant.map(Into::into),
        _ => None,
    };
    let artifacts = receipts(&done.receipts)?;
    Ok((StatusCode::CREATED, Json(wire::Decided { state: done.state.into(), grant_id, artifacts })))
}

/// POST /v1/gates/{gate_id}/extend
pub(crate) async fn extend(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    write: Write<wire::Extend>,
) -> Answer<Json<wire::Extended>> {
    let approver = write.principal.approver()?;
    let wire::Extend { gate_version, deadline } = write.body;
    let id = id.into_inner();
    let done = app.engine().extend(write.call, &approver, id, gate_version, deadline.into_inner()).await?;
    Ok(Json(wire::Extended {
        gate_version: gate_version.saturating_add(1),
        deadline,
        artifacts: receipts(&done.receipts)?,
    }))
}
