//! What came of a call, as the server says it and as it is reported.

use gantral_api::wire::Document;
use gantral_core::json::{self, Object, Profile, Value};
use gantral_core::state::OutcomeStatus;

use crate::message::{Message, members};
use crate::spool::Outcome;

/// The largest result that is reported as it is, in bytes; of a larger one only size and digest are.
const RESULT_BYTES_MAX: usize = 256 << 10;

/// Reads what the server says came of it.
pub fn done(answer: &Message) -> Outcome {
    let found = members(answer.text()).ok();
    let result = found.as_ref().and_then(|found| found.last("result"));
    match (result, found.as_ref().and_then(|found| found.last("error"))) {
        (Some(result), None) => {
            let failed = members(result).ok().and_then(|members| members.last("isError")) == Some("true");
            Outcome::Done { succeeded: !failed, answer: ("result".to_owned(), result.to_owned()) }
        }
        (None, Some(error)) => {
            Outcome::Done { succeeded: false, answer: ("error".to_owned(), error.to_owned()) }
        }
        (Some(_), Some(_)) | (None, None) => Outcome::Unknown { why: "its answer is none".to_owned() },
    }
}

/// Returns the result of what was not sent.
pub fn not_executed(code: &str) -> Option<Document> {
    Document::from_value(&Value::Object(Object::new().with("executed", false).with("code", code))).ok()
}

/// Returns what is reported of an outcome; `whole` says that the result itself may be.
pub fn reported(outcome: &Outcome, whole: bool) -> (OutcomeStatus, Option<Document>) {
    match outcome {
        Outcome::Done { succeeded, answer: (member, raw) } => {
            let status = if *succeeded { OutcomeStatus::Succeeded } else { OutcomeStatus::Failed };
            (status, result_of(member, raw, whole))
        }
        Outcome::NotDone { code, .. } => (OutcomeStatus::Failed, not_executed(code)),
        Outcome::Denied { denial } => (OutcomeStatus::Failed, not_executed(&denial.code)),
        Outcome::Unknown { .. } => (OutcomeStatus::Failed, None),
    }
}

/// Returns the result as it is, or size and digest of one that stays here, is too large or cannot be taken exactly.
fn result_of(member: &str, raw: &str, whole: bool) -> Option<Document> {
    let parse = || json::parse(raw.as_bytes(), &Profile::DOCUMENT.with_bytes_max(RESULT_BYTES_MAX)).ok();
    let whole = whole.then(parse).flatten();
    let told = match whole {
        Some(value) => Object::new().with(member, value),
        None => {
            let digest =
                gantral_core::digest::Hasher::new("gantral/mcp/result/v1").bytes(raw.as_bytes()).finish();
            let bytes = u32::try_from(raw.len()).unwrap_or(u32::MAX);
            Object::new().with("digest", digest.to_hex()).with("bytes", u64::from(bytes))
        }
    };
    Document::from_value(&Value::Object(told)).ok()
}
