//! The emergency brake, by forms.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use gantral_api::wire;
use gantral_console::Kept;
use gantral_console::pages::{FreezesPage, GovernedPage};

use super::form::{Form, can_be_mended};
use super::frame::page;
use super::session::Visitor;
use crate::app::App;
use crate::handlers::freezes::{self, frozen, may_freeze};
use crate::handlers::proposals::outcome;
use crate::problems::{Answer, Failure};

/// Where the page is.
const PATH: &str = "/console/freezes";

/// GET /console/freezes
pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Answer<Html<String>> {
    page(&with(&app, &visitor, Kept::default()).await?)
}

async fn with(app: &App, visitor: &Visitor, kept: Kept) -> Answer<FreezesPage> {
    let principal = &visitor.principal;
    Ok(FreezesPage {
        shell: visitor.shell(app, PATH)?,
        freezes: frozen(app, principal).await?.items,
        may_freeze: may_freeze(principal).is_ok(),
        may_lift: principal.administrator().is_ok(),
        kept,
    })
}

/// POST /console/freezes: freezes, or lifts a freeze.
pub(super) async fn change(State(app): State<App>, form: Form) -> Answer<Response> {
    match changed(&app, &form).await {
        Ok(governed) => {
            let shell = form.visitor.shell(&app, PATH)?;
            Ok(page(&GovernedPage::new(shell, governed, (PATH, "Back to the freezes")))?.into_response())
        }
        Err(Failure(problem)) if can_be_mended(problem.code()) => {
            let Form { visitor, fields } = form;
            let shown = with(&app, &visitor, fields.refused(&problem)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&shown)?).into_response())
        }
        Err(failure) => Err(failure),
    }
}

async fn changed(app: &App, form: &Form) -> Answer<wire::Governed> {
    let body = wire::SetFreeze {
        scope: form.fields.scope()?,
        frozen: form.fields.read("frozen")?,
        justification: form.fields.why()?.unwrap_or_default(),
    };
    let call = form.call(app, "POST /v1/freeze".to_owned(), &body)?;
    outcome(freezes::change(app, &form.visitor.principal, call, body).await?)
}
