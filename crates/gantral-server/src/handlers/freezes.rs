//! The emergency brake: whoever owns a workflow may stop it at once; only administrators let it go on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::problem::Code;
use gantral_api::wire;
use gantral_engine::{Call, EngineError, Governor, Ruled};
use gantral_identity::Principal;

use super::policies::{owned, scope_view};
use super::proposals::ruled;
use crate::app::App;
use crate::command::{Write, acting};
use crate::identity::Caller;
use crate::problems::{Answer, Failure};

/// GET /v1/freezes
pub(crate) async fn list(State(app): State<App>, Caller(principal): Caller) -> Answer<Json<wire::Freezes>> {
    frozen(&app, &principal).await.map(Json)
}

/// Returns what is frozen in the tenant of a principal.
pub(crate) async fn frozen(app: &App, principal: &Principal) -> Answer<wire::Freezes> {
    let frozen = app.engine().freezes(principal.tenant()).await?;
    let items = frozen.into_iter().map(|freeze| wire::Freeze {
        scope: scope_view(freeze.scope),
        actor: freeze.sealed.actor.into(),
        at: freeze.sealed.at.into(),
        sequence: freeze.sealed.sequence,
        justification: freeze.sealed.why,
    });
    Ok(wire::Freezes { items: items.collect() })
}

/// POST /v1/freeze
pub(crate) async fn set(
    State(app): State<App>,
    write: Write<wire::SetFreeze>,
) -> Answer<(StatusCode, Json<wire::Governed>)> {
    change(&app, &write.principal, write.call, write.body).await.and_then(ruled)
}

/// Freezes a scope or lifts its freeze: the one way, wherever the request comes from.
pub(crate) async fn change(
    app: &App,
    principal: &Principal,
    mut call: Call,
    body: wire::SetFreeze,
) -> Answer<Ruled> {
    let wire::SetFreeze { scope, frozen, justification } = body;
    if frozen {
        may_freeze(principal)?;
    } else {
        principal.administrator()?;
    }
    let scope = owned(app, principal, scope).await?;
    if justification.as_str().trim().is_empty() {
        return Err(EngineError::JustificationRequired { least: 1 }.into());
    }
    let actor = acting(app, &mut call, principal).await?;
    let by = Governor { actor: &actor, why: Some(justification.as_str()) };
    Ok(app.engine().set_frozen(&mut call, principal.tenant(), by, &scope, frozen).await?)
}

/// Refuses whoever is not somebody here: machines, and humans without any role. Whose scope it is, `owned` says.
pub(crate) fn may_freeze(principal: &Principal) -> Answer<()> {
    if principal.approver()?.roles().is_empty() {
        return Err(Failure::new(Code::Forbidden, "freezing needs a role, whichever it is"));
    }
    Ok(())
}
