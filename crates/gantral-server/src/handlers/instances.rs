//! Instances: created, listed, shown, waited for, withdrawn, cancelled.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::wire::{self, text};
use gantral_core::ids::{InstanceId, TeamId};
use gantral_engine::policy_input::Trigger;
use gantral_engine::{Done, InstanceFacts, NewInstance, state_code};
use gantral_identity::Principal;
use gantral_store::InstanceFilter;

use super::{Path, Query, action, page, value, workflows};
use crate::app::App;
use crate::command::{Write, asking};
use crate::identity::{Caller, sees_team};
use crate::problems::{Answer, Failure};
use crate::views::{self, receipts, summary};
use crate::waiting::Waiting;

/// Reads a trigger in the words of the policy contract.
pub(crate) fn trigger(name: Option<&text::Name>) -> Answer<Option<Trigger>> {
    let unknown = || Failure::member("trigger", "`trigger` is not PR, INCIDENT, PAYMENT or OTHER");
    name.map(|name| Trigger::parse(name.as_str()).ok_or_else(unknown)).transpose()
}

/// The answer of a write that only moves.
pub(crate) fn moved(done: &Done) -> Answer<Json<wire::Moved>> {
    Ok(Json(wire::Moved { state: done.state.into(), artifacts: receipts(&done.receipts)? }))
}

/// POST /v1/instances
pub(crate) async fn create(
    State(app): State<App>,
    write: Write<wire::CreateInstance>,
) -> Answer<(StatusCode, Json<wire::Created>)> {
    let requester = write.principal.requester()?;
    let body = write.body;
    workflows::visible(&app, &write.principal, &body.workflow).await?;
    let new = NewInstance {
        workflow: body.workflow.into_inner(),
        version: body.version.map(text::Text::into_inner),
        session: body.session_id.map(text::Text::into_inner),
        trigger: trigger(body.trigger.as_ref())?,
        input: body.input.as_ref().map(|input| value(input, "input")).transpose()?,
        call: body.call.as_ref().map(action).transpose()?,
        parent: body
            .parent
            .map(|parent| (parent.instance_id.into_inner(), parent.artifact_hash.into_inner())),
    };
    let done = app.engine().create(write.call, &requester, new).await?;
    app.0.telemetry.created(done.instance);
    let facts = app.engine().instance(write.principal.tenant(), done.instance).await?;
    let instance = views::instance(&app, &facts).await?;
    Ok((StatusCode::CREATED, Json(wire::Created { instance, artifacts: receipts(&done.receipts)? })))
}

/// GET /v1/instances
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::InstanceList>,
) -> Answer<Json<wire::InstancePage>> {
    listed(&app, &principal, query).await.map(Json)
}

/// Returns the instances that a principal sees, newest first.
pub(crate) async fn listed(
    app: &App,
    principal: &Principal,
    query: wire::InstanceList,
) -> Answer<wire::InstancePage> {
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let filter = InstanceFilter {
        state: query.state.map(|state| state_code(state.into_inner())),
        teams: teams_of(principal, query.team),
        workflow: query.workflow.map(text::Text::into_inner),
        session: query.session.map(text::Text::into_inner),
    };
    let tenant = principal.tenant();
    let found = app.engine().store().list_instances(tenant, filter, cursor, limit).await;
    let found = found.map_err(gantral_engine::EngineError::from)?;
    let mut items = Vec::with_capacity(found.items.len());
    for row in &found.items {
        items.push(summary(&app.engine().instance(tenant, row.id).await?));
    }
    Ok(wire::InstancePage { items, next: found.next.map(|cursor| cursor.to_string()) })
}

/// Returns the teams whose instances a list shows: those that the caller sees, or the named one of them. `None` is any.
pub(crate) fn teams_of(principal: &Principal, named: Option<text::TeamId>) -> Option<Vec<TeamId>> {
    match named {
        Some(team) if sees_team(principal, &team) => Some(vec![team.into_inner()]),
        Some(_) => Some(Vec::new()),
        None if principal.administrator().is_ok() => None,
        None => Some(principal.teams().iter().cloned().collect()),
    }
}

/// Returns an instance that the caller may see: of its team, of its own making, or of its attempt.
pub(crate) async fn visible(app: &App, principal: &Principal, id: InstanceId) -> Answer<InstanceFacts> {
    let facts = app.engine().instance(principal.tenant(), id).await?;
    if let Some(scope) = principal.attempt() {
        return if scope.instance == id { Ok(facts) } else { Err(Failure::not_found("the instance")) };
    }
    if sees_team(principal, &facts.workflow.team) {
        return Ok(facts);
    }
    let actor = asking(app, principal).await?;
    if facts.instance.created_by == actor.id { Ok(facts) } else { Err(Failure::not_found("the instance")) }
}

/// GET /v1/instances/{id}
pub(crate) async fn show(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<text::InstanceId>,
    Query(query): Query<wire::ShowInstance>,
) -> Answer<Json<wire::InstanceView>> {
    let id = id.into_inner();
    let mut waiting = Waiting::start(&app, query.wait);
    loop {
        let facts = visible(&app, &principal, id).await?;
        let news = query.after.is_none_or(|after| facts.head.sequence > after);
        if news || !waiting.news(|change| change.instance == id).await? {
            let facts = if news { facts } else { visible(&app, &principal, id).await? };
            return Ok(Json(views::instance(&app, &facts).await?));
        }
    }
}

/// POST /v1/instances/{id}/withdraw
pub(crate) async fn withdraw(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::Empty>,
) -> Answer<Json<wire::Moved>> {
    let requester = write.principal.requester()?;
    let id = id.into_inner();
    visible(&app, &write.principal, id).await?;
    moved(&app.engine().withdraw(write.call, &requester, id).await?)
}

/// POST /v1/instances/{id}/cancel
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::Empty>,
) -> Answer<Json<wire::Moved>> {
    let administrator = write.principal.administrator()?;
    moved(&app.engine().cancel(write.call, &administrator, id.into_inner()).await?)
}
