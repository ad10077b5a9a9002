//! Coming and going.

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use gantral_api::problem::Code;
use gantral_console::Shell;
use gantral_console::pages::{LoginPage, Person};
use gantral_identity::{DevIssuer, SessionToken};
use serde::Deserialize;

use super::form::{self, Form};
use super::frame::page;
use super::session::{begin, forget, returnable};
use crate::app::App;
use crate::handlers::Query;
use crate::problems::{Answer, Failure};

/// Query of the login.
#[derive(Deserialize)]
pub(super) struct Choose {
    #[serde(default, rename = "return")]
    to: String,
}

/// GET /console/login
pub(super) async fn choose(State(app): State<App>, Query(query): Query<Choose>) -> Answer<Html<String>> {
    page(&LoginPage {
        shell: Shell { who: None, path: "/console/login".to_owned() },
        providers: Vec::new(),
        people: app.0.dev.as_deref().map(people).unwrap_or_default(),
        to: returnable(&query.to).to_owned(),
        problem: None,
    })
}

fn people(issuer: &DevIssuer) -> Vec<Person> {
    let people = issuer.directory().people.iter();
    let person = people.map(|(subject, person)| Person {
        subject: subject.clone(),
        name: person.name.clone(),
        roles: person.roles.join(", "),
    });
    person.collect()
}

/// POST /console/login: as somebody of the development issuer, who needs to prove nothing.
pub(super) async fn as_person(State(app): State<App>, request: Request) -> Answer<Response> {
    let fields = form::read(request).await?;
    let issuer = app.0.dev.as_deref();
    let issuer =
        issuer.ok_or_else(|| Failure::new(Code::Forbidden, "this server has no development identities"))?;
    let (subject, now) = (fields.get("person").unwrap_or_default(), app.0.clock.now());
    let unknown = |_| Failure::new(Code::Forbidden, "the development issuer knows nobody of this name");
    let token = issuer.human_token(subject, now).map_err(unknown)?;
    let claims = app.0.verifier.begin_session(SessionToken::Access(token.expose()), now)?;
    let cookie = begin(&app, claims).await?;
    let to = returnable(fields.get("return").unwrap_or_default());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response())
}

/// POST /console/logout
pub(super) async fn out(State(app): State<App>, Form { visitor, .. }: Form) -> Answer<Response> {
    visitor.leave(&app).await?;
    Ok(([(header::SET_COOKIE, forget(&app)?)], Redirect::to("/console/login")).into_response())
}
