//! Reads what OPA answered: a status and a body, and nothing else. Pure.
//!
//! | answer | is |
//! |---|---|
//! | `200` under another bundle, or without a word about it | `VERSION_MISMATCH` |
//! | `200` with a `warning` | `MALFORMED`: OPA did not understand the request as it was meant |
//! | `200` without `result`, or a `result` without `decision` | `UNDEFINED` |
//! | `200` with a `result` outside the contract, or no such JSON | `MALFORMED` |
//! | `500` with an `eval_conflict_error` | `CONFLICT` |
//! | `500` with an `eval_cancel_error` | `RESOURCE_LIMIT` |
//! | `500` with another error of an evaluation | `EVALUATION` |
//! | `401`, `403`, `404`, `407`, `408`, `429`, any other `5xx`, a redirect | `UNAVAILABLE` |
//! | any other `4xx` | `EVALUATION`: the request itself is refused, which who writes the input may have caused |
//! | anything else | `MALFORMED` |
//!
//! Source: OPA's REST API (`/v1/data`), provenance, and strict builtin errors.

use gantral_core::ids::Name;
use gantral_core::json::{self, DOCUMENT_BYTES_MAX, Object, Profile, Value};
use gantral_core::policy::{EvalFailure, Evaluation, PolicyVersionId};

use crate::output::{self, MEMBERS, OUTPUT_BYTES_MAX};

/// The largest answer that is read, in bytes: the contract's members, and the helper rules that OPA sends with them.
pub const ANSWER_BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

/// Members of a `200` that say that something was wrong with the request.
const COMPLAINTS: [&str; 5] = ["warning", "warnings", "error", "errors", "code"];

/// What the answer is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The version that was asked for: the revision that the bundle must have.
    pub version: PolicyVersionId,
    /// The bundle, by its name in OPA; without one every bundle that OPA has must have the revision.
    pub bundle: Option<&'a str>,
}

/// What OPA told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The version of OPA, if this answer says it.
    pub opa: Option<Name>,
    /// The evaluation, or why there is none.
    pub result: Result<Evaluation, EvalFailure>,
}

/// Reads an answer to an evaluation. Total: every answer is an evaluation or a failure.
pub fn read(status: u16, body: &[u8], expected: &Expected<'_>) -> Told {
    match status {
        200 => read_document(body, expected),
        500 => Told { opa: None, result: Err(read_error(body)) },
        _ => Told { opa: None, result: Err(by_status(status)) },
    }
}

/// Reads an answer to the question which version is loaded.
///
/// # Errors
/// `VersionMismatch`, or why nobody knows.
pub fn read_version(status: u16, body: &[u8], expected: &Expected<'_>) -> Result<(), EvalFailure> {
    if status != 200 {
        return Err(by_status(status));
    }
    let members = members(body).ok_or(EvalFailure::Malformed)?;
    if has_version(&members, expected) { Ok(()) } else { Err(EvalFailure::VersionMismatch) }
}

fn read_document(body: &[u8], expected: &Expected<'_>) -> Told {
    let Some(mut members) = members(body) else {
        return Told { opa: None, result: Err(EvalFailure::Malformed) };
    };
    let version = members.get("provenance").and_then(|from| from.get("version")).and_then(Value::as_str);
    let opa = version.and_then(|text| Name::parse(text).ok());
    // Another policy's answer says nothing, not even by being wrong; and an OPA of which nobody knows the version said nothing of it.
    let result = if opa.is_none() || !has_version(&members, expected) {
        Err(EvalFailure::VersionMismatch)
    } else if COMPLAINTS.iter().any(|name| members.get(name).is_some()) {
        Err(EvalFailure::Malformed)
    } else {
        members.remove("result").ok_or(EvalFailure::Undefined).and_then(read_result)
    };
    Told { opa, result }
}

/// Reads the document of the policy's package, of which the contract's members count, as with the embedded engine.
pub(super) fn read_result(result: Value) -> Result<Evaluation, EvalFailure> {
    let Value::Object(members) = result else { return Err(EvalFailure::Malformed) };
    let mut contract = Object::new();
    for (name, value) in members {
        if MEMBERS.contains(&name.as_str()) {
            contract.insert(name, value);
        }
    }
    let document = Value::from(contract).to_canonical();
    if document.len() > OUTPUT_BYTES_MAX {
        return Err(EvalFailure::ResourceLimit);
    }
    output::read(&document).map_err(|error| error.failure())
}

/// Tells whether the answer was given under the expected version, and under nothing beside it.
fn has_version(members: &Object, expected: &Expected<'_>) -> bool {
    let bundles = members.get("provenance").and_then(|from| from.get("bundles")).and_then(Value::as_object);
    let Some(bundles) = bundles else { return false };
    let revision = expected.version.0.to_hex();
    let has_it = |bundle: &Value| bundle.get("revision").and_then(Value::as_str) == Some(revision.as_str());
    match expected.bundle {
        Some(name) => bundles.get(name).is_some_and(has_it),
        None => !bundles.is_empty() && bundles.iter().all(|(_, bundle)| has_it(bundle)),
    }
}

/// Reads the body of a `500`. One that is not OPA's own comes from something before it, or from an OPA that is unwell.
fn read_error(body: &[u8]) -> EvalFailure {
    let Some(members) = members(body) else { return EvalFailure::Unavailable };
    let errors = members.get("errors").and_then(Value::as_array).unwrap_or_default();
    let codes: Vec<&str> =
        errors.iter().filter_map(|error| error.get("code").and_then(Value::as_str)).collect();
    if codes.contains(&"eval_conflict_error") {
        EvalFailure::Conflict
    } else if codes.contains(&"eval_cancel_error") {
        EvalFailure::ResourceLimit
    } else if codes.iter().any(|code| code.starts_with("eval_") || code.starts_with("rego_")) {
        EvalFailure::Evaluation
    } else {
        EvalFailure::Unavailable
    }
}

const fn by_status(status: u16) -> EvalFailure {
    match status {
        401 | 403 | 404 | 407 | 408 | 429 | 300..=399 | 500..=599 => EvalFailure::Unavailable,
        400..=499 => EvalFailure::Evaluation,
        _ => EvalFailure::Malformed,
    }
}

fn members(body: &[u8]) -> Option<Object> {
    match json::parse(body, &Profile::DOCUMENT.with_bytes_max(ANSWER_BYTES_MAX)) {
        Ok(Value::Object(members)) => Some(members),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
