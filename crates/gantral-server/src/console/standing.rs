//! Standing rules, proposed by a form from a gate.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use gantral_api::wire::{self, text};
use gantral_console::Kept;
use gantral_console::pages::StandingPage;
use gantral_core::ids::GateId;
use gantral_core::time::DurationMs;

use super::form::{Fields, Form, can_be_mended};
use super::frame::page;
use super::session::Visitor;
use crate::app::App;
use crate::handlers::{Path, gates, standing};
use crate::problems::{Answer, Failure};

/// What the fields of bounds begin with; the pointer follows.
const BOUND: &str = "at_most:";
const HOUR_SECS: u64 = 3_600;

/// GET /console/gates/{gate_id}/rule
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<text::GateId>,
) -> Answer<Html<String>> {
    page(&with(&app, &visitor, id.into_inner(), Kept::default()).await?)
}

async fn with(app: &App, visitor: &Visitor, id: GateId, kept: Kept) -> Answer<StandingPage> {
    let gate = gates::one(app, &visitor.principal, id).await?;
    let shell = visitor.shell(app, &format!("/console/gates/{id}/rule"))?;
    Ok(StandingPage::new(shell, gate, kept))
}

/// POST /console/gates/{gate_id}/rule
pub(super) async fn propose(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    form: Form,
) -> Answer<Response> {
    let id = id.into_inner();
    match proposed(&app, id, &form).await {
        Ok(Some(proposal)) => {
            Ok(Redirect::to(&format!("/console/proposals/{}", proposal.proposal_id)).into_response())
        }
        Ok(None) => Ok(Redirect::to("/console/policies").into_response()),
        Err(Failure(problem)) if can_be_mended(problem.code()) => {
            let Form { visitor, fields } = form;
            let shown = with(&app, &visitor, id, fields.refused(&problem)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&shown)?).into_response())
        }
        Err(failure) => Err(failure),
    }
}

async fn proposed(app: &App, id: GateId, form: &Form) -> Answer<Option<wire::Proposal>> {
    let body = body(&form.fields)?;
    let call = form.call(app, format!("POST /v1/gates/{id}/rules"), &body)?;
    Ok(standing::draft(app, &form.visitor.principal, call, id, body).await?.proposal)
}

fn body(fields: &Fields) -> Answer<wire::ProposeRule> {
    let hours: u64 = fields.read("hours")?;
    let uses = fields.get("uses").is_some_and(|text| !text.trim().is_empty());
    let written = fields.named(BOUND).filter(|(_, text)| !text.trim().is_empty());
    let bound = |(pointer, text): (&str, &str)| {
        let wrong = || Failure::member(pointer, format!("the bound of `{pointer}` is not a whole number"));
        Ok((pointer.to_owned(), text.trim().parse().map_err(|_| wrong())?))
    };
    Ok(wire::ProposeRule {
        free: fields.all("free").map(str::to_owned).collect(),
        at_most: written.map(bound).collect::<Answer<BTreeMap<_, _>>>()?,
        lasts: DurationMs::from_secs(hours.saturating_mul(HOUR_SECS)).into(),
        uses: uses.then(|| fields.read("uses")).transpose()?,
        justification: fields.why()?.unwrap_or_default(),
    })
}
