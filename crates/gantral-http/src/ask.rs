//! From a request to the action that is asked for, and back from the action that was approved to what is sent.
//!
//! A body of JSON is part of the action, so that an approver reads it and may change it. Any other body is named by its digest and its size.

use std::fs::File;

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use gantral_api::wire::{Action, Document};
use gantral_core::action::TARGET_BYTES_MAX;
use gantral_core::json::{self, Object, Profile, Value};
use gantral_core::secret::find_inline_secret;
use gantral_edge::call::Wanted;

use crate::choice::{Choice, pairs};
use crate::request::{BadRequest, Head, is_query};
use crate::rules::Treated;

/// The name of the action.
pub const ACTION: &str = "http.request";
/// The largest body that is shown and can be changed, in bytes: a quarter of what Gantral takes at once. Of a larger one there is the digest.
pub const JSON_BYTES_MAX: usize = 256 << 10;

/// The body of a request, all of it.
#[derive(Debug)]
pub struct Body {
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is.
    pub kept: Kept,
}

/// Where a body is while its request waits.
#[derive(Debug)]
pub enum Kept {
    /// In memory: it is small.
    Memory(Bytes),
    /// In a file without a name, which goes when this process does.
    File(File),
}

/// A request, ready to be asked for.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub wanted: Wanted,
    parameters: Object,
    json: bool,
}

/// What is sent of a request that was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The query.
    pub query: Option<String>,
    /// A body in place of the one that was sent to us; none if it is as it was.
    pub body: Option<Vec<u8>>,
}

/// Why what was approved is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was approved is another request than this one: only a JSON body and the query can be changed")]
pub struct Differs;

/// Returns what is asked for a request. `service` is what the service is called; there is no `body` where whoever tells of the request did not
/// tell of it, and then the action says so.
///
/// # Errors
/// [`BadRequest`]: the client's fault, and nothing was asked.
pub fn ask(
    service: &str,
    head: &Head,
    treated: &Treated<'_>,
    choice: &Choice,
    body: Option<&Body>,
) -> Result<Asked, BadRequest> {
    let query = pairs(head.query.as_deref().unwrap_or_default());
    let object =
        query.iter().fold(Object::new(), |all, (name, value)| all.with(name.as_str(), value.as_str()));
    if find_inline_secret(&Value::Object(object)).is_some() {
        return Err(BadRequest::Secret);
    }
    let json = body.map_or(Ok(None), |body| json_of(head, body))?;
    let headers = choice.headers(head)?;
    let attributes = choice.attributes(&headers, &query, json.as_ref(), &treated.values);
    let mut parameters = Object::new().with("method", head.method.as_str()).with("path", head.path.as_str());
    if let Some(query) = &head.query {
        parameters.insert("query", query.as_str());
    }
    if !headers.is_empty() {
        parameters.insert("headers", headers);
    }
    if let Some(kind) = head.one(&CONTENT_TYPE)? {
        parameters.insert("content_type", kind);
    }
    let is_json = json.is_some();
    match (json, body) {
        (Some(value), _) => drop(parameters.insert("body", value)),
        (None, Some(body)) if body.size > 0 => {
            parameters.insert("body_sha256", body.sha256.as_str());
            parameters.insert("body_bytes", body.size);
        }
        (None, Some(_)) => {}
        (None, None) => drop(parameters.insert("body_unseen", true)),
    }
    let target = format!("{} {service}{}", head.method, treated.template.unwrap_or(&head.path));
    if target.len() > TARGET_BYTES_MAX {
        return Err(BadRequest::Unnamed);
    }
    let action = Action {
        name: ACTION.parse().map_err(|_| BadRequest::Method)?,
        target,
        parameters: document(parameters.clone()).ok_or(BadRequest::Json)?,
    };
    let attributes = if attributes.is_empty() { None } else { document(attributes) };
    Ok(Asked { wanted: Wanted { attributes, ..Wanted::of(action) }, parameters, json: is_json })
}

impl Asked {
    /// Returns the canonical text of the action, which tells one call from another.
    pub fn canonical(&self) -> Vec<u8> {
        let action = Object::new()
            .with("parameters", self.parameters.clone())
            .with("target", self.wanted.action.target.as_str());
        Value::Object(action).to_canonical()
    }

    /// Tells whether an action that was approved is this one in everything.
    pub fn is_same(&self, action: &Action) -> bool {
        let unchanged = Approved { query: self.query().map(ToOwned::to_owned), body: None };
        self.approved(action) == Ok(unchanged)
    }

    fn query(&self) -> Option<&str> {
        self.parameters.get("query").and_then(Value::as_str)
    }

    /// Returns what is sent of an action that was approved, if it is this request's in everything that a human cannot change.
    ///
    /// # Errors
    /// [`Differs`]: nothing may be sent.
    pub fn approved(&self, action: &Action) -> Result<Approved, Differs> {
        let asked = &self.wanted.action;
        if action.name != asked.name || action.target != asked.target {
            return Err(Differs);
        }
        let Ok(Value::Object(approved)) = action.parameters.to_value() else { return Err(Differs) };
        let mut rest = approved.clone();
        let mut own = self.parameters.clone();
        let query = match (rest.remove("query"), own.remove("query")) {
            (Some(Value::String(query)), _) if is_query(&query) => Some(query),
            (Some(_), _) => return Err(Differs),
            (None, _) => None,
        };
        let mut body = None;
        if self.json {
            match (rest.remove("body"), own.remove("body")) {
                (Some(given), Some(sent)) if given == sent => {}
                (Some(given), _) => body = Some(given.to_canonical()),
                (None, _) => return Err(Differs),
            }
        }
        let same = Value::Object(rest).to_canonical() == Value::Object(own).to_canonical();
        if same { Ok(Approved { query, body }) } else { Err(Differs) }
    }
}

/// Reads a body of JSON; `None` for any other one.
fn json_of(head: &Head, body: &Body) -> Result<Option<Value>, BadRequest> {
    let kind = head.one(&CONTENT_TYPE)?.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    let plain = head.one(&CONTENT_ENCODING)?.is_none_or(|encoding| encoding == "identity");
    let Kept::Memory(bytes) = &body.kept else { return Ok(None) };
    if !is_json || !plain || bytes.is_empty() || bytes.len() > JSON_BYTES_MAX {
        return Ok(None);
    }
    json::parse(bytes, &Profile::DOCUMENT).map(Some).map_err(|_| BadRequest::Json)
}

fn document(object: Object) -> Option<Document> {
    Document::from_value(&Value::Object(object)).ok()
}

#[cfg(test)]
mod tests;
