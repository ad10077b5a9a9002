//! Delegations: a human lends roles to another one, for a while.

use axum::Json;
use axum::extract::State;
use gantral_api::wire::{self, text};
use gantral_core::digest::Digest;
use gantral_engine::{Call, DelegationView, Governor, NewDelegation};
use gantral_identity::{HumanSubject, Principal};

use super::governance::governed;
use super::{Numbered, Path, Query};
use crate::app::App;
use crate::command::{Write, acting, asking};
use crate::identity::Caller;
use crate::problems::{Answer, Failure};

/// GET /v1/delegations
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::MineQuery>,
) -> Answer<Json<wire::DelegationPage>> {
    found(&app, &principal, &query).await.map(Json)
}

/// Returns the delegations of the tenant of a human, or those that they gave or were given.
pub(crate) async fn found(
    app: &App,
    principal: &Principal,
    query: &wire::MineQuery,
) -> Answer<wire::DelegationPage> {
    principal.approver()?;
    let page = Numbered::read(query.cursor.as_deref(), query.limit)?;
    let of = match query.mine.unwrap_or(false) {
        true => Some(asking(app, principal).await?),
        false => None,
    };
    let (tenant, now) = (principal.tenant(), app.0.clock.now());
    let found = app.engine().delegations(tenant, now, of.as_ref(), page.cursor, page.limit).await?;
    let next = page.next(&found, |last| last.sealed.sequence);
    Ok(wire::DelegationPage { items: found.iter().map(view).collect(), next })
}

/// POST /v1/delegations
pub(crate) async fn give(
    State(app): State<App>,
    write: Write<wire::Delegate>,
) -> Answer<Json<wire::Governed>> {
    lend(&app, &write.principal, write.call, write.body).await.map(Json)
}

/// Lends roles of a human to another one: the one way, wherever the request comes from.
pub(crate) async fn lend(
    app: &App,
    principal: &Principal,
    mut call: Call,
    body: wire::Delegate,
) -> Answer<wire::Governed> {
    let approver = principal.approver()?;
    let wire::Delegate { to, roles, not_before, not_after, justification } = body;
    let issuer = to.issuer.as_deref().unwrap_or(principal.issuer());
    let to = HumanSubject::new(issuer, &to.subject)
        .map_err(|_| Failure::member("to", "`issuer` or `subject` is not one of a token"))?;
    let new = NewDelegation {
        to,
        roles: roles.into_iter().map(text::Text::into_inner).collect(),
        not_before: not_before.map(text::Time::into_inner),
        not_after: not_after.into_inner(),
    };
    let why = justification.as_ref().map(|why| why.as_str());
    let sealed = app.engine().delegate(&mut call, &approver, why, new).await?;
    governed(sealed.as_slice())
}

/// POST /v1/delegations/{delegation}/revoke
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(hash): Path<text::Digest>,
    write: Write<wire::RevokeDelegation>,
) -> Answer<Json<wire::Governed>> {
    take_back(&app, &write.principal, write.call, hash.into_inner(), write.body).await.map(Json)
}

/// Ends a delegation: the one way, wherever the request comes from.
pub(crate) async fn take_back(
    app: &App,
    principal: &Principal,
    mut call: Call,
    hash: Digest,
    body: wire::RevokeDelegation,
) -> Answer<wire::Governed> {
    let approver = principal.approver()?;
    let actor = acting(app, &mut call, approver.principal()).await?;
    let why = body.justification.as_ref().map(|why| why.as_str());
    let by = Governor { actor: &actor, why };
    let (tenant, administers) = (principal.tenant(), principal.administrator().is_ok());
    let revoke = app.engine().revoke_delegation(&mut call, tenant, by, administers, hash);
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
