//! Evidence leaves the building: one instance's bundle.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gantral_api::problem::Code;
use gantral_api::wire::{self, text};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_evidence::container::write_tar;
use gantral_evidence::window::WindowFilter;
use gantral_identity::Principal;

use super::instances::visible;
use super::{Path, Query};
use crate::app::App;
use crate::command::Write;
use crate::identity::Caller;
use crate::logs::hint;
use crate::problems::{Answer, Failure};
use crate::views::stored;

/// Query of the export.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Format {
    #[serde(default)]
    format: Option<String>,
}

/// GET /v1/instances/{id}/evidence
pub(crate) async fn export(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<text::InstanceId>,
    Query(query): Query<Format>,
) -> Answer<Response> {
    if query.format.is_some_and(|format| format != "tar") {
        return Err(Failure::parameter("format", "`tar` is the one format of this version"));
    }
    download(&app, &principal, id.into_inner()).await
}

/// Returns the bundle of an instance that a principal sees, as a file.
pub(crate) async fn download(app: &App, principal: &Principal, id: InstanceId) -> Answer<Response> {
    visible(app, principal, id).await?;
    let tar = bundle(app, principal.tenant(), id).await?;
    let name = format!("attachment; filename=\"{id}.gantral\"");
    let headers =
        [(header::CONTENT_TYPE, "application/x-tar".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, tar).into_response())
}

/// Returns the bundle of an instance, as an archive.
pub(crate) async fn bundle(app: &App, tenant: &TenantId, id: InstanceId) -> Answer<Vec<u8>> {
    let mut export = app.engine().export(tenant, id).await?;
    let logs = app.0.logs.as_ref();
    if let Some(logs) = logs {
        logs.prove(tenant, id, &mut export).await?;
    }
    let hint = hint(app.engine().issuer_keys(), logs, tenant)?;
    export.bundle.trust_hint(&hint).map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    let files = export.finish()?;
    let files = files.as_files().map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    Ok(write_tar(&files))
}

/// POST /v1/windows
pub(crate) async fn window(
    State(app): State<App>,
    write: Write<wire::AskWindow>,
) -> Answer<Json<wire::WindowView>> {
    write.principal.administrator()?;
    let body = write.body;
    let filter = WindowFilter {
        state: body.state.map(text::Text::into_inner),
        team: body.team.map(text::Text::into_inner),
        workflow: body.workflow.map(text::Text::into_inner),
    };
    let span = (body.from.into_inner(), body.to.into_inner());
    let window = app.engine().window(write.call, write.principal.tenant(), span, filter).await?;
    Ok(Json(wire::WindowView {
        statement: stored(&window.statement.envelope, "statement")?,
        instances: stored(&window.list, "instances")?,
        delegation: window
            .statement
            .delegation
            .as_deref()
            .map(|envelope| stored(envelope, "delegation"))
            .transpose()?,
    }))
}
