use super::*;
use crate::json::{Profile, parse};
use crate::workflow::Workflow;

fn workflow() -> Workflow {
    let text = r#"{"id":"refund","version":"1","team":"payments","materiality":"HIGH",
      "actions":{"refund":{"parameters":{"amount":{"type":"integer"},"currency":{"type":"string","default":"EUR"},
      "note":{"type":"string","required":false,"policy":false}}}},"floors":{"default_approvers":["RISK_OFFICER"]}}"#;
    Workflow::read(&parse(text.as_bytes(), &Profile::DOCUMENT).unwrap()).unwrap()
}

fn admit(text: &str) -> Result<Action, ActionError> {
    Action::admit(&parse(text.as_bytes(), &Profile::DOCUMENT).unwrap(), &workflow())
}

#[test]
fn defaults_are_filled_before_anything_is_committed_to() {
    let short = admit(r#"{"name":"refund","target":"order/1","parameters":{"amount":4800}}"#).unwrap();
    let long =
        admit(r#"{"target":"order/1","name":"refund","parameters":{"currency":"EUR","amount":4800.0}}"#)
            .unwrap();
    assert_eq!(short.digest(), long.digest());
    assert_eq!(
        String::from_utf8(short.to_canonical()).unwrap(),
        r#"{"name":"refund","parameters":{"amount":4800,"currency":"EUR"},"target":"order/1"}"#
    );
}

#[test]
fn what_is_not_declared_is_refused() {
    let refused = |text: &str| admit(text).unwrap_err().to_string();
    assert!(
        refused(r#"{"name":"delete","target":"x","parameters":{}}"#).contains("does not declare the action")
    );
    assert!(refused(r#"{"name":"refund","target":"x","parameters":{"amount":1,"x":2}}"#).contains("`x`"));
    assert!(refused(r#"{"name":"refund","target":"x","parameters":{}}"#).contains("`amount` is missing"));
    assert!(refused(r#"{"name":"refund","target":"x","parameters":{"amount":"1"}}"#).contains("an integer"));
    assert!(refused(r#"{"name":"refund","target":"","parameters":{"amount":1}}"#).contains("target"));
    assert!(refused(r#"{"name":"refund","target":"x","extra":1}"#).contains("unknown member"));
}

#[test]
fn a_secret_is_refused_by_its_path_and_never_repeated() {
    let text =
        r#"{"name":"refund","target":"x","parameters":{"amount":1,"note":"ghp_0123456789abcdef0123"}}"#;
    let error = admit(text).unwrap_err().to_string();
    assert!(error.contains("/parameters/note") && !error.contains("ghp_"));
}

#[test]
fn policy_sees_what_the_workflow_lets_it_see() {
    let action = admit(r#"{"name":"refund","target":"x","parameters":{"amount":1,"note":"hello"}}"#).unwrap();
    assert_eq!(action.policy_view(&workflow()).names().collect::<Vec<_>>(), ["amount", "currency"]);
}

#[test]
fn a_retry_has_the_key_of_its_call_and_any_difference_has_another() {
    let (tenant, workflow) = (TenantId::parse("acme").unwrap(), WorkflowId::parse("refund").unwrap());
    let (agent, other) = (ActorId::parse("agent").unwrap(), ActorId::parse("other").unwrap());
    let session = SessionId::parse("s-1").unwrap();
    let action = admit(r#"{"name":"refund","target":"x","parameters":{"amount":1}}"#).unwrap();
    let spelled =
        admit(r#"{"target":"x","parameters":{"currency":"EUR","amount":1.0},"name":"refund"}"#).unwrap();
    let larger = admit(r#"{"name":"refund","target":"x","parameters":{"amount":2}}"#).unwrap();
    let key = action.call_key(&tenant, &agent, Some(&session), &workflow);
    assert_eq!(spelled.call_key(&tenant, &agent, Some(&session), &workflow), key);
    for different in [
        larger.call_key(&tenant, &agent, Some(&session), &workflow),
        action.call_key(&tenant, &other, Some(&session), &workflow),
        action.call_key(&tenant, &agent, None, &workflow),
        action.call_key(&TenantId::parse("other").unwrap(), &agent, Some(&session), &workflow),
    ] {
        assert_ne!(different, key);
    }
}
