//! A form as it comes in: from a page of ours, by whom, with which fields.

use std::str::FromStr;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::response::{IntoResponse as _, Response};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, IdempotencyKey, text};
use gantral_console::Kept;
use gantral_engine::Call;
use serde::Serialize;

use super::session::Visitor;
use crate::app::App;
use crate::command::{keyed, paced};
use crate::problems::{Answer, Failure};
use crate::rates::NEVER_REFUSED;

/// Where a browser says that a request comes from (Fetch Metadata Request Headers).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The largest form: an action of 64 KiB, encoded, and a justification.
const FORM_BYTES_MAX: usize = 262_144;
/// How long it may take to arrive.
const FORM_WITHIN: Duration = Duration::from_secs(30);

/// Fields of a form.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Returns a field; of two of one name the first.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str())
    }

    /// Returns a field with the line breaks that a page is written with: forms send CRLF.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|text| text.replace("\r\n", "\n"))
    }

    /// Returns every value that came under a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(its, _)| its == name).map(|(_, value)| value.as_str())
    }

    /// Returns the fields whose names begin so: what follows in the name, and the value.
    pub(super) fn named<'a>(&'a self, begin: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(begin)?, value.as_str())))
    }

    /// Reads a field.
    pub(super) fn read<T: FromStr>(&self, name: &str) -> Answer<T> {
        let wrong = || Failure::member(name, format!("`{name}` is missing or cannot be read"));
        self.get(name).and_then(|text| text.trim().parse().ok()).ok_or_else(wrong)
    }

    /// Returns what somebody wrote to justify what they do; `None` where they wrote nothing.
    pub(super) fn why(&self) -> Answer<Option<text::Prose>> {
        let written = self.text("justification").unwrap_or_default();
        let why = (!written.trim().is_empty()).then(|| written.trim().parse()).transpose();
        why.map_err(|error: String| Failure::member("justification", error))
    }

    /// Reads the scope that a form names.
    pub(super) fn scope(&self) -> Answer<wire::Scope> {
        match self.get("kind") {
            Some("tenant") if self.get("name").unwrap_or_default().trim().is_empty() => {
                Ok(wire::Scope::Tenant)
            }
            // Whoever names something does not mean everything.
            Some("tenant") => {
                Err(Failure::member("name", "a name was given, and everything of the tenant has none"))
            }
            Some("team") => Ok(wire::Scope::Team { name: self.read("name")? }),
            Some("workflow") => Ok(wire::Scope::Workflow { name: self.read("name")? }),
            _ => Err(Failure::member("kind", "`kind` is not tenant, team or workflow")),
        }
    }

    /// Says what was wrong with the form, and keeps what was typed.
    pub(super) fn refused(self, problem: &Problem) -> Kept {
        let (code, detail) = (problem.code(), problem.detail());
        let said = match code {
            // Its title and remedy speak of bodies and members.
            Code::InvalidBody => format!("Nothing was changed. {detail}."),
            _ => format!(
                "Nothing was changed. {}: {detail}. {}",
                code.title().trim_end_matches('.'),
                code.remedy()
            ),
        };
        Kept::after(said, self.0)
    }
}

/// Tells whether whoever filled in a form can mend it: it was understood, and what it says cannot be done so, or now.
pub(super) fn can_be_mended(code: Code) -> bool {
    matches!(code.status(), 400 | 409 | 422)
}

/// A form of somebody who is logged in.
pub(super) struct Form {
    pub visitor: Visitor,
    pub fields: Fields,
}

impl Form {
    /// Returns the call that the API's route would be called with, under the number of the form.
    pub(super) fn call(&self, app: &App, route: String, body: &impl Serialize) -> Answer<Call> {
        app.may_write()?;
        let key = self.fields.get("key").and_then(|key| IdempotencyKey::parse(key).ok());
        let key = key.ok_or_else(|| Failure::new(Code::IdempotencyKeyMissing, "the form has no number"))?;
        if !NEVER_REFUSED.iter().any(|path| route.ends_with(path)) {
            paced(app, &self.visitor.principal, None)?;
        }
        let bytes = serde_json::to_vec(body);
        let bytes =
            bytes.map_err(|_| Failure::new(Code::Internal, "what the form says cannot be written"))?;
        keyed(app, &self.visitor.principal, route, &key, &bytes)
    }
}

impl FromRequest<App> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let fields = read(Request::from_parts(parts, body))
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        if !fields.get("csrf").is_some_and(|csrf| visitor.sent(csrf)) {
            let why = "the form was not sent from a page of this session";
            return Err(Failure::new(Code::Forbidden, why).into_response());
        }
        Ok(Self { visitor, fields })
    }
}

/// Reads a form that was sent from a page of ours.
pub(super) async fn read(request: Request) -> Answer<Fields> {
    from_here(request.headers(), request.uri())?;
    let content = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded")) {
        return Err(Failure::new(Code::UnsupportedMediaType, "this takes a form"));
    }
    let late = |_| Failure::new(Code::InvalidBody, "the form did not arrive in time");
    let bytes = tokio::time::timeout(FORM_WITHIN, to_bytes(request.into_body(), FORM_BYTES_MAX))
        .await
        .map_err(late)?;
    let bytes = bytes.map_err(|_| Failure::new(Code::BodyTooLarge, "the form is too large"))?;
    let fields = serde_urlencoded::from_bytes(&bytes);
    fields.map(Fields).map_err(|_| Failure::new(Code::InvalidBody, "the form cannot be read"))
}

/// Refuses what another site made the browser send. Browsers say where a request comes from, by one of two headers; what says
/// neither is no browser, and has no cookie that it did not mean to send.
fn from_here(headers: &HeaderMap, uri: &Uri) -> Answer<()> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let host = text(header::HOST).or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    let ours = match (text(SEC_FETCH_SITE), text(header::ORIGIN)) {
        (Some("same-origin" | "none"), _) => true,
        (Some("cross-site" | "same-site"), _) => false,
        (_, Some(origin)) => origin.split_once("://").map(|(_, authority)| authority) == host,
        (_, None) => true,
    };
    if ours { Ok(()) } else { Err(Failure::new(Code::Forbidden, "the form was sent from another site")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_refused() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "gantral.example:7420".parse().unwrap());
            for (name, value) in pairs {
                headers.insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            from_here(&headers, &Uri::from_static("/console/logout")).is_ok()
        };
        assert!(from(&[("sec-fetch-site", "same-origin")]));
        assert!(from(&[("origin", "https://gantral.example:7420")]));
        assert!(from(&[]), "a script of its owner");
        assert!(!from(&[("sec-fetch-site", "cross-site"), ("origin", "https://gantral.example:7420")]));
        assert!(!from(&[("sec-fetch-site", "same-site")]));
        assert!(!from(&[("origin", "https://evil.example")]));
        assert!(!from(&[("origin", "https://gantral.example")]), "another port is another site");
        assert!(!from(&[("origin", "null")]));
    }
}
