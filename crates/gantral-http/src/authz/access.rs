//! Evaluations of access: a service asks for itself whether a subject may do something with a resource, just before it lets it.
//! Source: OpenID AuthZEN, Authorization API 1.0.
//!
//! A decision `true` has used the grant up. One that waits for humans is `false` with the gate beside it, and the same question joins it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use gantral_api::wire::{Action, Document};
use gantral_core::action::TARGET_BYTES_MAX;
use gantral_core::json::{self, Object, Profile, Value};
use gantral_edge::call::Wanted;

use super::door::read as read_body;
use super::{About, Authorizer, Pass};
use crate::ask::JSON_BYTES_MAX;
use crate::reply::Problem;

/// Where one question is asked.
pub const ONE: &str = "/access/v1/evaluation";
/// Where several are.
pub const MANY: &str = "/access/v1/evaluations";
/// The name of the action.
const ACTION: &str = "access.evaluation";
/// The most questions at once: each is asked for and sealed by itself.
pub const EVALUATIONS_MAX: usize = 16;
/// What a question is made of.
const MEMBERS: [&str; 4] = ["subject", "action", "resource", "context"];
/// Comes back with the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a question is none. Whoever asks is at fault; nothing was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvaluation {
    /// The body.
    #[error("the body is not a JSON object that everybody reads alike, of 256 KiB at most")]
    Body,
    /// A member is missing, or is another thing.
    #[error("`{0}` is missing, or is not what it should be")]
    Member(&'static str),
    /// The target of the action would be too long.
    #[error("the names of the action and the resource are too long")]
    Long,
    /// More questions than are taken at once.
    #[error("there are more than {EVALUATIONS_MAX} evaluations")]
    TooMany,
}

/// When the rest of the questions is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Never.
    All,
    /// After the first that is denied.
    Denied,
    /// After the first that is permitted.
    Permitted,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    wanted: Wanted,
    /// Type and identifier of the subject.
    subject: (String, String),
}

/// Reads a question.
///
/// # Errors
/// [`BadEvaluation`].
pub fn one(bytes: &[u8]) -> Result<Evaluation, BadEvaluation> {
    evaluation(&object(bytes)?, &Object::new())
}

/// Reads several questions; what they have in common stands beside them.
///
/// # Errors
/// [`BadEvaluation`].
pub fn many(bytes: &[u8]) -> Result<(Vec<Evaluation>, Until), BadEvaluation> {
    let common = object(bytes)?;
    let until = match common.get("options").and_then(|options| options.get("evaluations_semantic")) {
        None => Until::All,
        Some(word) => match word.as_str() {
            Some("execute_all") => Until::All,
            Some("deny_on_first_deny") => Until::Denied,
            Some("permit_on_first_permit") => Until::Permitted,
            _ => return Err(BadEvaluation::Member("options.evaluations_semantic")),
        },
    };
    let questions = match common.get("evaluations") {
        None => return Ok((vec![evaluation(&common, &Object::new())?], until)),
        Some(questions) => questions.as_array().ok_or(BadEvaluation::Member("evaluations"))?,
    };
    if questions.len() > EVALUATIONS_MAX {
        return Err(BadEvaluation::TooMany);
    }
    let own = |question: &Value| {
        let question = question.as_object().ok_or(BadEvaluation::Member("evaluations"))?;
        evaluation(question, &common)
    };
    Ok((questions.iter().map(own).collect::<Result<_, _>>()?, until))
}

fn object(bytes: &[u8]) -> Result<Object, BadEvaluation> {
    match json::parse(bytes, &Profile::DOCUMENT.with_bytes_max(JSON_BYTES_MAX)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(BadEvaluation::Body),
    }
}

fn evaluation(question: &Object, common: &Object) -> Result<Evaluation, BadEvaluation> {
    let mut parameters = Object::new();
    for name in MEMBERS {
        match question.get(name).or_else(|| common.get(name)) {
            Some(value @ Value::Object(_)) => drop(parameters.insert(name, value.clone())),
            Some(_) => return Err(BadEvaluation::Member(name)),
            None if name == "context" => {}
            None => return Err(BadEvaluation::Member(name)),
        }
    }
    let text = |member: &'static str, name: &str, path: &'static str| {
        let found = parameters.get(member).and_then(|value| value.get(name)).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(ToOwned::to_owned).ok_or(BadEvaluation::Member(path))
    };
    let subject = (text("subject", "type", "subject.type")?, text("subject", "id", "subject.id")?);
    let action = text("action", "name", "action.name")?;
    let resource = (text("resource", "type", "resource.type")?, text("resource", "id", "resource.id")?);
    let target = format!("{action} {}/{}", resource.0, resource.1);
    if target.len() > TARGET_BYTES_MAX {
        return Err(BadEvaluation::Long);
    }
    let parameters = Document::from_value(&Value::Object(parameters)).map_err(|_| BadEvaluation::Body)?;
    let name = ACTION.parse().map_err(|_| BadEvaluation::Body)?;
    Ok(Evaluation { wanted: Wanted::of(Action { name, target, parameters }), subject })
}

/// Answers one question, or several.
pub(super) async fn answer(authorizer: &Arc<Authorizer>, request: Request) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let is_one = request.uri().path() == ONE;
    let answered = match read_body(request.into_body()).await {
        Ok(bytes) if is_one => answer_one(authorizer, &bytes).await,
        Ok(bytes) => answer_many(authorizer, &bytes).await,
        Err(problem) => Err(problem),
    };
    let mut response = match answered {
        Ok(answer) => told(&answer),
        Err(problem) => problem.into_response(),
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn answer_one(authorizer: &Arc<Authorizer>, bytes: &[u8]) -> Result<serde_json::Value, Problem> {
    let evaluation = one(bytes).map_err(bad)?;
    match evaluated(authorizer, evaluation).await {
        // Without an answer of Gantral there is no decision.
        Err(problem) if problem.status >= 500 => Err(problem),
        decided => Ok(decision(decided)),
    }
}

async fn answer_many(authorizer: &Arc<Authorizer>, bytes: &[u8]) -> Result<serde_json::Value, Problem> {
    let (evaluations, until) = many(bytes).map_err(bad)?;
    let mut answers = Vec::new();
    for evaluation in evaluations {
        let decided = evaluated(authorizer, evaluation).await;
        let permitted = decided.is_ok();
        answers.push(decision(decided));
        if (until == Until::Denied && !permitted) || (until == Until::Permitted && permitted) {
            break;
        }
    }
    Ok(serde_json::json!({ "evaluations": answers }))
}

async fn evaluated(authorizer: &Arc<Authorizer>, evaluation: Evaluation) -> Result<Pass, Problem> {
    let Evaluation { wanted, subject } = evaluation;
    let session = authorizer.spool().session(&[subject.0.as_bytes(), subject.1.as_bytes()]);
    let session = session.map_err(|error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "spool_unusable", error.to_string())
    })?;
    let asked = wanted.action.clone();
    let same = |approved: &Action| {
        let values = asked.parameters.to_value().ok().zip(approved.parameters.to_value().ok());
        let equal = values.is_some_and(|(asked, approved)| asked == approved);
        approved.name == asked.name && approved.target == asked.target && equal
    };
    authorizer.authorise(About::Access, wanted, session, same).await
}

fn decision(decided: Result<Pass, Problem>) -> serde_json::Value {
    match decided {
        Ok(pass) => {
            let context = serde_json::json!({
                "instance_id": pass.instance.to_string(),
                "grant_id": pass.grant.map(|grant| grant.to_string()),
            });
            serde_json::json!({ "decision": true, "context": context })
        }
        Err(problem) => {
            let mut context = *problem.members;
            context.insert("code".to_owned(), problem.code.into());
            context.insert("detail".to_owned(), problem.detail.into());
            if problem.status >= 500 {
                context.insert("error".to_owned(), serde_json::json!({ "status": problem.status }));
            }
            serde_json::json!({ "decision": false, "context": context })
        }
    }
}

fn told(answer: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(answer.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn bad(error: BadEvaluation) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "evaluation_unreadable", error.to_string())
}

#[cfg(test)]
mod tests;
