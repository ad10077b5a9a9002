//! Delegations: a human lends roles to another one, for a while.

use axum::Json;
use axum::extract::State;
use gantral_api::wire::{self, text};
use gantral_engine::{DelegationView, Governor, NewDelegation};
use gantral_identity::HumanSubject;

use super::governance::governed;
use super::{Path, Query, limit_of};
use crate::app::App;
use crate::command::{Write, call};
use crate::identity::Caller;
use crate::problems::{Answer, Failure};

/// GET /v1/delegations
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::DelegationsQuery>,
) -> Answer<Json<wire::DelegationPage>> {
    principal.approver()?;
    let limit = limit_of(query.limit)?;
    let after = query.cursor.as_deref().map(str::parse::<u64>).transpose();
    let after = after.map_err(|_| Failure::parameter("cursor", "not a cursor of this list"))?;
    let engine = app.engine();
    let mut call = call(&app, None)?;
    let of = match query.mine.unwrap_or(false) {
        true => Some(engine.actor(&mut call, &principal, None).await?),
        false => None,
    };
    let found = engine.delegations(principal.tenant(), call.now, of.as_ref(), after, limit).await?;
    let next =
        if found.len() == limit { found.last().map(|last| last.sealed.sequence.to_string()) } else { None };
    Ok(Json(wire::DelegationPage { items: found.iter().map(view).collect(), next }))
}

/// POST /v1/delegations
pub(crate) async fn give(
    State(app): State<App>,
    mut write: Write<wire::Delegate>,
) -> Answer<Json<wire::Governed>> {
    let approver = write.principal.approver()?;
    let wire::Delegate { to, roles, not_before, not_after, justification } = write.body;
    let issuer = to.issuer.as_deref().unwrap_or(write.principal.issuer());
    let to = HumanSubject::new(issuer, &to.subject)
        .map_err(|_| Failure::member("to", "`issuer` or `subject` is not one of a token"))?;
    let new = NewDelegation {
        to,
        roles: roles.into_iter().map(text::Text::into_inner).collect(),
        not_before: not_before.map(text::Time::into_inner),
        not_after: not_after.into_inner(),
    };
    let why = justification.as_ref().map(|why| why.as_str());
    let sealed = app.engine().delegate(&mut write.call, &approver, why, new).await?;
    governed(sealed.as_slice())
}

/// POST /v1/delegations/{delegation}/revoke
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(hash): Path<text::Digest>,
    mut write: Write<wire::RevokeDelegation>,
) -> Answer<Json<wire::Governed>> {
    let approver = write.principal.approver()?;
    let actor = app.engine().actor(&mut write.call, approver.principal(), None).await?;
    let why = write.body.justification.as_ref().map(|why| why.as_str());
    let by = Governor { actor: &actor, why };
    let (tenant, administers) = (write.principal.tenant(), write.principal.administrator().is_ok());
    let revoke = app.engine().revoke_delegation(&mut write.call, tenant, by, administers, hash.into_inner());
    governed(&[revoke.await?])
}

fn view(found: &DelegationView) -> wire::DelegationView {
    let DelegationView { delegation, sealed } = found;
    wire::DelegationView {
        delegation: sealed.hash.into(),
        from: delegation.from.actor().into(),
        to: delegation.to.actor().into(),
        roles: delegation.roles.iter().cloned().map(Into::into).collect(),
        not_before: delegation.not_before.into(),
        not_after: delegation.not_after.into(),
        sequence: sealed.sequence,
        justification: sealed.why.clone(),
    }
}
