//! Workflow definitions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, text};
use gantral_core::ids::{TenantId, WorkflowId};
use gantral_core::workflow::Workflow;
use gantral_engine::EngineError;
use gantral_identity::Principal;

use super::proposals::view;
use super::{Path, Query, limit_of, value};
use crate::app::App;
use crate::command::{Write, acting};
use crate::identity::{Caller, governs, sees_team};
use crate::problems::{Answer, Failure};
use crate::views::{document, workflow_ref};

/// PUT /v1/workflows/{id}
pub(crate) async fn apply(
    State(app): State<App>,
    Path(id): Path<text::WorkflowId>,
    mut write: Write<wire::ApplyWorkflow>,
) -> Answer<(StatusCode, Json<wire::AppliedWorkflow>)> {
    let approver = write.principal.approver()?;
    governs(&write.principal)?;
    let definition = value(&write.body.definition, "definition")?;
    let workflow = Workflow::read(&definition).map_err(EngineError::from)?;
    if workflow.id != id.0 {
        let problem =
            Problem::new(Code::WorkflowInvalid, "`id` of the definition is not the one of the path");
        return Err(problem.with("path", "id").into());
    }
    let administers = write.principal.administrator().is_ok();
    if !administers && !write.principal.teams().contains(&workflow.team) {
        return Err(Failure::new(
            Code::Forbidden,
            "only the owning team and administrators may apply a workflow",
        ));
    }
    let actor = acting(&app, &mut write.call, approver.principal()).await?;
    let policy = write.body.policy_version_id.map(text::PolicyVersionId::into_inner);
    let tenant = write.principal.tenant().clone();
    let tenant = &tenant;
    let (id, version) = (workflow.id.clone(), workflow.version.clone());
    let applied =
        app.engine().apply_workflow(tenant, workflow, policy, (&actor).into(), &mut write.call).await;
    let applied = match applied {
        Err(error @ EngineError::WorkflowVersionExists) => {
            let existing = app.engine().workflow(tenant, &id, Some(&version)).await?;
            let Failure(problem) = error.into();
            return Err(problem.with("workflow_version_id", existing.digest.to_hex()).into());
        }
        applied => applied?,
    };
    let proposal = applied.proposed.as_deref().map(view).transpose()?;
    let status = if proposal.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let answer = wire::AppliedWorkflow {
        workflow_version_id: applied.workflow.digest.into(),
        version: applied.workflow.version.clone().into(),
        policy_version_id: in_force(&app, tenant, &applied.workflow).await?,
        proposal,
    };
    Ok((status, Json(answer)))
}

/// GET /v1/workflows
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::PageQuery>,
) -> Answer<Json<wire::WorkflowPage>> {
    let limit = limit_of(query.limit)?;
    let after = query.cursor.as_deref().map(WorkflowId::parse).transpose();
    let after = after.map_err(|_| Failure::parameter("cursor", "not a cursor of this list"))?;
    let tenant = principal.tenant();
    let rows = app.engine().store().list_workflows(tenant, after, limit).await.map_err(EngineError::from)?;
    let next = if rows.len() == limit { rows.last().map(|row| row.id.to_string()) } else { None };
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        if !sees_team(&principal, &row.team) {
            continue;
        }
        let workflow = app.engine().workflow(tenant, &row.id, Some(&row.version)).await?;
        items.push(wire::WorkflowSummary {
            workflow: workflow_ref(&workflow.reference()),
            team: row.team.into(),
            policy_version_id: in_force(&app, principal.tenant(), &workflow).await?,
        });
    }
    Ok(Json(wire::WorkflowPage { items, next }))
}

/// GET /v1/workflows/{id}
pub(crate) async fn show(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<text::WorkflowId>,
) -> Answer<Json<wire::WorkflowView>> {
    let workflow = visible(&app, &principal, &id).await?;
    let definition = gantral_core::json::parse(&workflow.canonical, &gantral_core::json::Profile::DOCUMENT);
    let definition = definition
        .map_err(|_| Failure::new(Code::Internal, "the stored definition of this workflow cannot be read"))?;
    Ok(Json(wire::WorkflowView {
        workflow: workflow_ref(&workflow.reference()),
        team: workflow.team.clone().into(),
        policy_version_id: in_force(&app, principal.tenant(), &workflow).await?,
        definition: document(&definition)?,
    }))
}

/// Returns the newest version of a workflow of one of the caller's teams; for anybody else there is none.
pub(crate) async fn visible(app: &App, principal: &Principal, id: &WorkflowId) -> Answer<Arc<Workflow>> {
    let workflow = app.engine().workflow(principal.tenant(), id, None).await?;
    if sees_team(principal, &workflow.team) { Ok(workflow) } else { Err(unknown()) }
}

/// Says that there is no such workflow, as far as this caller is concerned.
pub(crate) fn unknown() -> Failure {
    Failure::new(Code::WorkflowUnknown, "the workflow was not found")
}

/// Returns the policy that is in force for a workflow; `None` where none is.
async fn in_force(
    app: &App,
    tenant: &TenantId,
    workflow: &Workflow,
) -> Answer<Option<text::PolicyVersionId>> {
    match app.engine().active_policy(tenant, workflow).await {
        Ok(version) => Ok(Some(version.into())),
        Err(EngineError::NoActivePolicy) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
