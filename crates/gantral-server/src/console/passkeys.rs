//! Passkeys at the console: added with a script, which alone can ask a device for one; ended by forms.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use gantral_api::wire::{self, Document, MineQuery, PAGE_ITEMS_MAX, text};
use gantral_console::pages::{GovernedPage, PasskeysPage};

use super::form::{Fields, Form};
use super::frame::page;
use super::session::Visitor;
use crate::app::App;
use crate::command::call;
use crate::handlers::{Path, passkeys};
use crate::problems::{Answer, Failure};

/// Where the page is.
const PATH: &str = "/console/passkeys";

/// GET /console/passkeys
pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Answer<Html<String>> {
    let (mine, you) = (of(&app, &visitor).await?, visitor.actor(&app).await?);
    let relying_party = app.engine().passkeys().map(|taken| taken.relying_party.id.to_string());
    page(&PasskeysPage::new(visitor.shell(&app, PATH)?, mine, you, relying_party))
}

/// Returns the passkeys of this human; as many as fit on one page of the API, which are more than anybody may have.
pub(super) async fn of(app: &App, visitor: &Visitor) -> Answer<Vec<wire::Passkey>> {
    let query = MineQuery { mine: Some(true), cursor: None, limit: Some(PAGE_ITEMS_MAX) };
    Ok(passkeys::found(app, &visitor.principal, &query).await?.items)
}

/// POST /console/passkeys/draft, by the script
pub(super) async fn draft(State(app): State<App>, form: Form) -> Answer<Json<wire::PasskeyDraft>> {
    app.may_write()?;
    let Form { visitor, fields } = form;
    let new = wire::NewPasskey {
        credential_id: fields.read("credential_id")?,
        algorithm: fields.read("algorithm")?,
        public_key: fields.read("public_key")?,
        aaguid: fields.read("aaguid")?,
        backup_eligible: fields.read("backup_eligible")?,
    };
    passkeys::drafted(&app, &visitor.principal, call(&app, None)?, &new).await.map(Json)
}

/// POST /console/passkeys, by the script
pub(super) async fn request(State(app): State<App>, form: Form) -> Answer<(StatusCode, Json<wire::Passkey>)> {
    let body = wire::RequestPasskey {
        enrolment: document(&form.fields, "enrolment")?,
        assertion: document(&form.fields, "assertion")?,
    };
    let call = form.call(&app, "POST /v1/passkeys".to_owned(), &body)?;
    let passkey = passkeys::requested(&app, &form.visitor.principal, call, &body).await?;
    Ok((StatusCode::CREATED, Json(passkey)))
}

/// Reads a document out of a field.
pub(super) fn document(fields: &Fields, name: &str) -> Answer<Document> {
    let read = Document::from_text(fields.get(name).unwrap_or_default());
    read.map_err(|_| Failure::member(name, format!("`{name}` is missing or is no JSON")))
}

/// POST /console/passkeys/{entry_digest}/revoke
pub(super) async fn revoke(
    State(app): State<App>,
    Path(entry): Path<text::Digest>,
    form: Form,
) -> Answer<Response> {
    let body = wire::RevokePasskey { justification: form.fields.why()? };
    let call = form.call(&app, format!("POST /v1/passkeys/{entry}/revoke"), &body)?;
    let visitor = &form.visitor;
    let governed = passkeys::ended(&app, &visitor.principal, call, entry.into_inner(), &body).await?;
    // What was only asked for is forgotten, and leaves no artifact to show.
    if governed.sealed.is_empty() && governed.proposal.is_none() {
        return Ok(Redirect::to(PATH).into_response());
    }
    let shell = visitor.shell(&app, PATH)?;
    Ok(page(&GovernedPage::new(shell, governed, (PATH, "Back to the passkeys")))?.into_response())
}
