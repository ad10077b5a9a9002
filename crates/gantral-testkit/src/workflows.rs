//! Workflow definitions, as text that a test may change before it is read.

use gantral_core::json::{Object, Profile, Value, parse};
use gantral_core::workflow::Workflow;

/// Refunds under `policies/refunds`: small ones pass, others ask a FINANCE_LEAD; agents execute themselves.
pub const REFUND: &str = r#"{
  "id": "refund", "version": "1", "team": "payments", "materiality": "MEDIUM", "domain": "finance",
  "actions": {"refund": {"parameters": {
     "amount_minor": {"type": "integer"}, "currency": {"type": "string", "default": "EUR"},
     "note": {"type": "string", "required": false, "policy": false}}}},
  "floors": {"default_approvers": ["FINANCE_LEAD"], "required_evidence": "development", "timeout": "30m", "timeout_max": "2h"},
  "justification_min": 3
}"#;

/// The same refunds, executed by a runner on queue `default` with a lease of 30 seconds.
pub const REFUND_RUN: &str = r#"{
  "id": "refund-run", "version": "1", "team": "payments", "materiality": "MEDIUM", "domain": "finance",
  "run": {"queue": "default", "command": ["agent"], "resume_command": ["agent", "--resume"], "lease": "30s"},
  "actions": {"refund": {"parameters": {
     "amount_minor": {"type": "integer"}, "currency": {"type": "string", "default": "EUR"},
     "note": {"type": "string", "required": false, "policy": false}}}},
  "floors": {"default_approvers": ["FINANCE_LEAD"], "required_evidence": "development", "timeout": "30m", "timeout_max": "2h"},
  "justification_min": 3, "attempts_max": 3
}"#;

/// Reads a definition.
pub fn read(text: &str) -> Workflow {
    let value = parse(text.as_bytes(), &Profile::DOCUMENT).expect("a definition is JSON");
    Workflow::read(&value).expect("a definition is one")
}

/// Returns the action of refunding an amount, in minor units of EUR.
pub fn refund(amount_minor: u64) -> Value {
    let parameters = Object::new().with("amount_minor", amount_minor);
    Value::Object(action(parameters))
}

/// Returns the action of refunding with these parameters.
pub fn action(parameters: Object) -> Object {
    Object::new().with("name", "refund").with("target", "order/7").with("parameters", parameters)
}
