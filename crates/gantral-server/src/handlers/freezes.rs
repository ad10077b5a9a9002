//! The emergency brake: whoever owns a workflow may stop it at once; only administrators let it go on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::problem::Code;
use gantral_api::wire;
use gantral_engine::{EngineError, Governor};
use gantral_identity::Principal;

use super::policies::{owned, scope_view};
use super::proposals::ruled;
use crate::app::App;
use crate::command::Write;
use crate::identity::Caller;
use crate::problems::{Answer, Failure};

/// GET /v1/freezes
pub(crate) async fn list(State(app): State<App>, Caller(principal): Caller) -> Answer<Json<wire::Freezes>> {
    let frozen = app.engine().freezes(principal.tenant()).await?;
    let items = frozen.into_iter().map(|freeze| wire::Freeze {
        scope: scope_view(freeze.scope),
        actor: freeze.sealed.actor.into(),
        at: freeze.sealed.at.into(),
        sequence: freeze.sealed.sequence,
        justification: freeze.sealed.why,
    });
    Ok(Json(wire::Freezes { items: items.collect() }))
}

/// POST /v1/freeze
pub(crate) async fn set(
    State(app): State<App>,
    mut write: Write<wire::SetFreeze>,
) -> Answer<(StatusCode, Json<wire::Governed>)> {
    let wire::SetFreeze { scope, frozen, justification } = write.body;
    if frozen {
        may_freeze(&write.principal)?;
    } else {
        write.principal.administrator()?;
    }
    let scope = owned(&app, &write.principal, scope).await?;
    if justification.as_str().trim().is_empty() {
        return Err(EngineError::JustificationRequired { least: 1 }.into());
    }
    let actor = app.engine().actor(&mut write.call, &write.principal, None).await?;
    let by = Governor { actor: &actor, why: Some(justification.as_str()) };
    let tenant = write.principal.tenant();
    ruled(app.engine().set_frozen(&mut write.call, tenant, by, &scope, frozen).await?)
}

/// Refuses whoever is not somebody here: machines, and humans without any role. Whose scope it is, `owned` says.
fn may_freeze(principal: &Principal) -> Answer<()> {
    if principal.approver()?.roles().is_empty() {
        return Err(Failure::new(Code::Forbidden, "freezing needs a role, whichever it is"));
    }
    Ok(())
}
