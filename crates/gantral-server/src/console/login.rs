//! Coming and going.
//!
//! A login at a provider begins here and comes back here. What ties the two together is in a cookie of the browser that began: whoever
//! brings the answer without it, a stolen link or another browser, is not let in.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_api::problem::Code;
use gantral_console::pages::{LoginPage, Person};
use gantral_core::digest::Digest;
use gantral_core::time::DurationMs;
use gantral_identity::{DevIssuer, SessionClaims, SessionToken, TokenError};
use gantral_oidc::{GrantError, WebAnswer, WebLogin};
use serde::{Deserialize, Serialize};

use super::form::{self, Form};
use super::frame::page;
use super::session::{CookieName, begin, cookie, forget, frame, returnable, set_cookie};
use crate::app::App;
use crate::handlers::Query;
use crate::identity::with_current_keys;
use crate::problems::{Answer, Failure};

/// How long a person may take at their provider.
const LOGIN_WITHIN: DurationMs = DurationMs::from_secs(600);

/// Query of the login.
#[derive(Deserialize)]
pub(super) struct Choose {
    #[serde(default, rename = "return")]
    to: String,
}

/// GET /console/login
pub(super) async fn choose(State(app): State<App>, Query(query): Query<Choose>) -> Answer<Response> {
    Ok(page(&login_page(&app, &query.to, None)?)?.into_response())
}

fn login_page(app: &App, to: &str, problem: Option<String>) -> Answer<LoginPage> {
    Ok(LoginPage {
        shell: frame(app, None, "/console/login")?,
        providers: app.0.logins.issuers(),
        people: app.0.dev.as_deref().map(people).unwrap_or_default(),
        to: returnable(to).to_owned(),
        problem,
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
    let forgotten = forget(&app, CookieName::Session)?;
    Ok(([(header::SET_COOKIE, forgotten)], Redirect::to("/console/login")).into_response())
}

/// What the browser keeps while a person is at their provider.
#[derive(Serialize, Deserialize)]
struct Begun {
    issuer: String,
    state: String,
    nonce: String,
    verifier: String,
    to: String,
}

/// Query of a login at a provider.
#[derive(Deserialize)]
pub(super) struct At {
    issuer: String,
    #[serde(default, rename = "return")]
    to: String,
}

/// GET /console/login/provider: sends the browser to a provider.
pub(super) async fn at_provider(State(app): State<App>, Query(at): Query<At>) -> Answer<Response> {
    let login = app.0.logins.of(&at.issuer);
    let login =
        login.ok_or_else(|| Failure::parameter("issuer", "people do not log in to the console there"))?;
    let begun = match login.provider().await {
        Ok(provider) => provider.begin_web_login(&login.client),
        Err(error) => Err(error),
    };
    let (address, WebLogin { state, nonce, verifier }) = match begun {
        Ok(begun) => begun,
        Err(error) => return not_in(&app, &at.to, &error),
    };
    let begun = Begun { issuer: at.issuer, state, nonce, verifier, to: returnable(&at.to).to_owned() };
    let kept =
        serde_json::to_vec(&begun).map_err(|_| Failure::new(Code::Internal, "no login can be kept"))?;
    let kept = set_cookie(&app, CookieName::Login, &URL_SAFE_NO_PAD.encode(kept), LOGIN_WITHIN)?;
    Ok(([(header::SET_COOKIE, kept)], Redirect::to(address.as_str())).into_response())
}

/// What a provider sends along when it sends a person back. Further members are ignored, as RFC 6749 section 4.1.2 asks.
#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

/// GET /console/callback: a person comes back from their provider.
pub(super) async fn back(
    State(app): State<App>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Answer<Response> {
    let Some(begun) = begun(&app, &headers).filter(|begun| same(&begun.state, &back.state)) else {
        let why = "This answer belongs to no login that this browser began, or it took too long.";
        return refused(&app, "", why.to_owned(), StatusCode::FORBIDDEN);
    };
    match finished(&app, &begun, back).await {
        Ok(claims) => {
            let cookies = AppendHeaders([
                (header::SET_COOKIE, begin(&app, claims).await?),
                (header::SET_COOKIE, forget(&app, CookieName::Login)?),
            ]);
            Ok((cookies, Redirect::to(returnable(&begun.to))).into_response())
        }
        Err(NotIn::Provider(error)) => not_in(&app, &begun.to, &error),
        Err(NotIn::Token(error)) => {
            tracing::warn!(issuer = begun.issuer, code = error.code(), "a login was refused");
            let why = format!("Your provider let you in, and its token is not accepted here: {error}.");
            refused(&app, &begun.to, why, StatusCode::FORBIDDEN)
        }
    }
}

/// Why somebody is not let in.
enum NotIn {
    Provider(GrantError),
    Token(TokenError),
}

impl From<GrantError> for NotIn {
    fn from(error: GrantError) -> Self {
        Self::Provider(error)
    }
}

async fn finished(app: &App, begun: &Begun, back: Back) -> Result<SessionClaims, NotIn> {
    let login = app.0.logins.of(&begun.issuer).ok_or(NotIn::Token(TokenError::UnknownIssuer))?;
    let provider = login.provider().await?;
    let pending =
        WebLogin { state: begun.state.clone(), nonce: begun.nonce.clone(), verifier: begun.verifier.clone() };
    let Back { state: _, code, iss, error, error_description } = back;
    let answer = WebAnswer { code, iss, error, error_description };
    let token = provider.finish_web_login(&login.client, &pending, answer).await?;
    let id = SessionToken::Id {
        token: token.expose(),
        issuer: &begun.issuer,
        client: &login.client.id,
        nonce: &begun.nonce,
    };
    let session =
        with_current_keys(app, token.expose(), |verifier, now| verifier.begin_session(id, now)).await;
    session.map_err(NotIn::Token)
}

fn begun(app: &App, headers: &HeaderMap) -> Option<Begun> {
    let kept = cookie(headers, CookieName::Login.of(app))?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(kept).ok()?).ok()
}

/// Compares digests, so that the time tells nothing.
fn same(one: &str, other: &str) -> bool {
    Digest::of(one.as_bytes()) == Digest::of(other.as_bytes())
}

/// Shows the login again, with what a provider did not do.
fn not_in(app: &App, to: &str, error: &GrantError) -> Answer<Response> {
    tracing::warn!(%error, "a login failed");
    let status = if error.is_refusal() { StatusCode::FORBIDDEN } else { StatusCode::SERVICE_UNAVAILABLE };
    refused(app, to, format!("The login did not succeed: {error}."), status)
}

fn refused(app: &App, to: &str, why: String, status: StatusCode) -> Answer<Response> {
    let forgotten: HeaderValue = forget(app, CookieName::Login)?;
    let shown = page(&login_page(app, to, Some(why))?)?;
    Ok((status, [(header::SET_COOKIE, forgotten)], shown).into_response())
}
