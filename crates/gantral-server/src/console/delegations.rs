//! Roles that people lend each other, by forms.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use gantral_api::wire::{self, DelegationView, MineQuery, PAGE_ITEMS_MAX, text};
use gantral_console::Kept;
use gantral_console::pages::{DelegationsPage, GovernedPage};
use gantral_core::time::DurationMs;

use super::form::{Form, can_be_mended};
use super::frame::page;
use super::pages::roles;
use super::session::Visitor;
use crate::app::App;
use crate::handlers::{Path, delegations};
use crate::problems::{Answer, Failure};

/// Where the page is.
const PATH: &str = "/console/delegations";
/// The most hours that a form lends a role for: what is allowed may be less.
const HOURS_MAX: u64 = 90 * 24;

/// GET /console/delegations
pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Answer<Html<String>> {
    page(&with(&app, &visitor, Kept::default()).await?)
}

async fn with(app: &App, visitor: &Visitor, kept: Kept) -> Answer<DelegationsPage> {
    let (all, you) = (of(app, visitor).await?, visitor.actor(app).await?);
    let subject = visitor.principal.subject().to_owned();
    Ok(DelegationsPage::new(visitor.shell(app, PATH)?, all, &you, roles(visitor), subject, kept))
}

/// Returns the delegations that this human gave or was given; as many as fit on one page of the API.
async fn of(app: &App, visitor: &Visitor) -> Answer<Vec<DelegationView>> {
    let query = MineQuery { mine: Some(true), cursor: None, limit: Some(PAGE_ITEMS_MAX) };
    Ok(delegations::found(app, &visitor.principal, &query).await?.items)
}

/// Returns the delegations that lend this human roles, now or later.
pub(super) async fn held(app: &App, visitor: &Visitor) -> Answer<Vec<DelegationView>> {
    let lent = app.engine().lent_roles(&visitor.principal, app.0.clock.now()).await?;
    if lent.is_empty() {
        return Ok(Vec::new());
    }
    let you = visitor.actor(app).await?;
    Ok(of(app, visitor).await?.into_iter().filter(|one| one.to == you).collect())
}

/// POST /console/delegations
pub(super) async fn lend(State(app): State<App>, form: Form) -> Answer<Response> {
    match lent(&app, &form).await {
        Ok(governed) => done(&app, &form.visitor, governed),
        Err(Failure(problem)) if can_be_mended(problem.code()) => {
            let Form { visitor, fields } = form;
            let shown = with(&app, &visitor, fields.refused(&problem)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&shown)?).into_response())
        }
        Err(failure) => Err(failure),
    }
}

fn done(app: &App, visitor: &Visitor, governed: wire::Governed) -> Answer<Response> {
    let shell = visitor.shell(app, PATH)?;
    Ok(page(&GovernedPage::new(shell, governed, (PATH, "Back to the delegations")))?.into_response())
}

async fn lent(app: &App, form: &Form) -> Answer<wire::Governed> {
    let fields = &form.fields;
    // From when the page was shown, so that a second press asks for the same, which changes nothing.
    let (from, hours): (text::Time, u64) = (fields.read("from")?, fields.read("hours")?);
    if hours > HOURS_MAX {
        return Err(Failure::member("hours", "nobody lends a role for so long"));
    }
    let roles: Result<Vec<text::Role>, String> = fields.all("roles").map(str::parse).collect();
    let issuer = fields.get("issuer").map(str::trim).filter(|issuer| !issuer.is_empty());
    let body = wire::Delegate {
        to: wire::Human { issuer: issuer.map(str::to_owned), subject: fields.read("subject")? },
        roles: roles.map_err(|error| Failure::member("roles", error))?,
        not_before: None,
        not_after: from.into_inner().plus(DurationMs::from_secs(hours.saturating_mul(3_600))).into(),
        justification: fields.why()?,
    };
    let call = form.call(app, "POST /v1/delegations".to_owned(), &body)?;
    delegations::lend(app, &form.visitor.principal, call, body).await
}

/// POST /console/delegations/{delegation}/revoke
pub(super) async fn take_back(
    State(app): State<App>,
    Path(hash): Path<text::Digest>,
    form: Form,
) -> Answer<Response> {
    let body = wire::RevokeDelegation { justification: form.fields.why()? };
    let call = form.call(&app, format!("POST /v1/delegations/{hash}/revoke"), &body)?;
    let principal = &form.visitor.principal;
    let governed = delegations::take_back(&app, principal, call, hash.into_inner(), body).await?;
    done(&app, &form.visitor, governed)
}
