//! Four eyes, by forms.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use gantral_api::wire::{self, ProposalsQuery, text};
use gantral_console::Kept;
use gantral_console::pages::{GovernedPage, ProposalPage, ProposalsPage};
use gantral_core::ids::ProposalId;
use serde::Deserialize;

use super::form::{Form, can_be_mended};
use super::frame::page;
use super::session::Visitor;
use crate::app::App;
use crate::handlers::proposals::{self, agree, found, may_do, whole};
use crate::handlers::{Path, Query};
use crate::problems::{Answer, Failure};

/// Where the list is.
const PATH: &str = "/console/proposals";

/// Query of the list.
#[derive(Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    cursor: Option<String>,
}

/// GET /console/proposals
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(chosen): Query<Chosen>,
) -> Answer<Html<String>> {
    let open = !chosen.all;
    let query = ProposalsQuery { open: Some(open), cursor: chosen.cursor, limit: None };
    let found = found(&app, &visitor.principal, &query).await?;
    page(&ProposalsPage { shell: visitor.shell(&app, PATH)?, proposals: found.items, open, next: found.next })
}

/// GET /console/proposals/{proposal_id}
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<text::ProposalId>,
) -> Answer<Html<String>> {
    page(&with(&app, &visitor, id.0, Kept::default()).await?)
}

async fn with(app: &App, visitor: &Visitor, id: ProposalId, kept: Kept) -> Answer<ProposalPage> {
    let principal = &visitor.principal;
    let found = app.engine().proposal(principal.tenant(), id, app.0.clock.now()).await?;
    let may_confirm = may_do(app, principal, &found.proposal.detail).await.is_ok();
    let yours = found.proposal.proposer.actor.id == visitor.actor(app).await?.into_inner();
    let shell = visitor.shell(app, &format!("{PATH}/{id}"))?;
    Ok(ProposalPage::new(shell, whole(app, principal, &found).await?, yours, may_confirm, kept))
}

/// POST /console/proposals/{proposal_id}/confirm
pub(super) async fn confirm(
    State(app): State<App>,
    Path(id): Path<text::ProposalId>,
    form: Form,
) -> Answer<Response> {
    match confirmed(&app, id.0, &form).await {
        Ok(governed) => {
            let shell = form.visitor.shell(&app, PATH)?;
            Ok(page(&GovernedPage::new(shell, governed, (PATH, "Back to the proposals")))?.into_response())
        }
        Err(failure) => refused(&app, id.0, form, failure).await,
    }
}

async fn confirmed(app: &App, id: ProposalId, form: &Form) -> Answer<wire::Governed> {
    let fields = &form.fields;
    let body = wire::ConfirmProposal { digest: fields.read("digest")?, justification: fields.why()? };
    let call = form.call(app, format!("POST /v1/proposals/{id}/confirm"), &body)?;
    agree(app, &form.visitor.principal, call, id, body).await
}

/// POST /console/proposals/{proposal_id}/withdraw
pub(super) async fn take_back(
    State(app): State<App>,
    Path(id): Path<text::ProposalId>,
    form: Form,
) -> Answer<Response> {
    let call = form.call(&app, format!("POST /v1/proposals/{id}/withdraw"), &wire::Empty {})?;
    match proposals::take_back(&app, &form.visitor.principal, call, id.0).await {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}/{id}")).into_response()),
        Err(failure) => refused(&app, id.0, form, failure).await,
    }
}

/// Shows the proposal as it is now, with what was wrong.
async fn refused(app: &App, id: ProposalId, form: Form, failure: Failure) -> Answer<Response> {
    let Failure(problem) = failure;
    if !can_be_mended(problem.code()) {
        return Err(Failure(problem));
    }
    let Form { visitor, fields } = form;
    let shown = with(app, &visitor, id, fields.refused(&problem)).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&shown)?).into_response())
}
