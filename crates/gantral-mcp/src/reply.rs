//! What the model reads when a call was not simply done.

use serde_json::{Value, json};

use crate::authority::{Denial, Pending};
use crate::message::{Id, Message};
use crate::spool::Outcome;

/// The tool of ours that waits.
pub const WAIT: &str = "gantral_wait";
/// The tool of ours that looks.
pub const RESULT: &str = "gantral_result";
/// Why a further call is refused.
pub const TOO_MANY: &str = "too many calls are under way, or one with this id";

/// Where a result is read: what its form depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// The revision has no handshake, and results say that they are complete.
    pub complete: bool,
    /// The tool promises structured results: a client would refuse any other that is no error.
    pub promised: bool,
}

/// Returns our tools, as a list shows them.
pub fn tools() -> [String; 2] {
    let gate =
        json!({"type": "string", "description": "The `gate_id` of the answer that said that the call waits"});
    let schema = |properties: Value| json!({"type": "object", "properties": properties, "required": ["gate_id"], "additionalProperties": false});
    let hints = json!({"readOnlyHint": true, "destructiveHint": false, "openWorldHint": false});
    [
        json!({
            "name": WAIT,
            "title": "Wait for approval",
            "description": "Waits until a human has decided on a call that waits for approval, and returns its result. The call itself is kept and runs once after approval: do not repeat it.",
            "inputSchema": schema(json!({"gate_id": gate, "seconds": {"type": "integer", "minimum": 1, "maximum": crate::governor::HOLD_MAX.as_secs(), "default": 30, "description": "How long to wait at most"}})),
            "annotations": hints,
        })
        .to_string(),
        json!({
            "name": RESULT,
            "title": "Result of an approved call",
            "description": "Returns the result of a call that waited for approval, or says that it still waits.",
            "inputSchema": schema(json!({"gate_id": gate})),
            "annotations": hints,
        })
        .to_string(),
    ]
}

/// Answers that a call waits for humans.
pub fn waits(id: &Id, pending: &Pending, form: Form) -> Message {
    let roles: Vec<String> = pending.roles.iter().map(ToString::to_string).collect();
    let place = if pending.url.is_empty() { String::new() } else { format!(" at {}", pending.url) };
    let text = format!(
        "NOT EXECUTED. Waiting for approval by {} until {}{place}. The call is kept and runs once when it is approved: do not repeat it with \
         other arguments. Call the tool `{WAIT}` with gate_id `{}` to wait for the result.",
        roles.join(" or "),
        pending.expires_at,
        pending.gate
    );
    let structured = json!({
        "executed": false,
        "status": "WAITING_FOR_HUMAN",
        "gate_id": pending.gate,
        "expires_at": pending.expires_at,
        "url": pending.url,
        "roles": roles,
    });
    result(id, &text, &structured, form.promised, form)
}

/// Answers that nothing was done; `code` is stable.
pub fn refused(id: &Id, code: &str, text: &str, form: Form) -> Message {
    result(id, text, &json!({"executed": false, "status": "NOT_EXECUTED", "code": code}), true, form)
}

/// Answers with what came of a call.
pub fn outcome(id: &Id, outcome: &Outcome, form: Form) -> Message {
    match outcome {
        Outcome::Done { answer: (member, raw), .. } => {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{},"{member}":{raw}}}"#, id.to_json());
            Message::ours(text, crate::message::Kind::Response { id: Some(id.clone()) })
        }
        Outcome::Denied { denial } => denied(id, denial, form),
        Outcome::NotDone { code, why } => refused(id, code, &format!("NOT EXECUTED [{code}]: {why}."), form),
        Outcome::Unknown { why } => {
            let text = format!(
                "UNKNOWN: the call was sent, and nobody knows whether it was done ({why}). It is not sent again by itself. Find out before \
                 you repeat it."
            );
            result(
                id,
                &text,
                &json!({"executed": null, "status": "UNKNOWN", "code": "outcome_unknown"}),
                true,
                form,
            )
        }
    }
}

fn denied(id: &Id, denial: &Denial, form: Form) -> Message {
    let reasons = if denial.reasons.is_empty() {
        String::new()
    } else {
        format!(" Reasons: {}.", denial.reasons.join("; "))
    };
    let text = format!(
        "NOT EXECUTED. Denied [{}].{reasons} Do not retry: the same call is denied again.",
        denial.code
    );
    let structured = json!({"executed": false, "status": "DENIED", "code": denial.code, "reasons": denial.reasons, "retry": false});
    result(id, &text, &structured, true, form)
}

fn result(id: &Id, text: &str, structured: &Value, error: bool, form: Form) -> Message {
    let mut result = json!({
        "content": [{"type": "text", "text": gantral_core::json::text::inert(text)}],
        "structuredContent": structured,
        "isError": error,
    });
    if let (true, Some(members)) = (form.complete, result.as_object_mut()) {
        members.insert("resultType".to_owned(), "complete".into());
    }
    Message::result(id, &result.to_string())
}

/// Says that a call still waits, under the token that the client gave, as it was written.
pub fn progress(token: &str, count: u64, pending: Option<&Pending>) -> Message {
    let what = pending.map_or_else(
        || "waiting for an answer".to_owned(),
        |pending| {
            let roles: Vec<String> = pending.roles.iter().map(ToString::to_string).collect();
            format!(
                "waiting for approval by {} until {} {}",
                roles.join(" or "),
                pending.expires_at,
                pending.url
            )
        },
    );
    let params = format!(
        r#"{{"progressToken":{token},"progress":{count},"message":{}}}"#,
        crate::call::quoted(what.trim())
    );
    Message::notification("notifications/progress", &params)
}
