//! What survives the wire, and what the wire refuses.

use serde::de::DeserializeOwned;

use super::{
    Action, Ask, Attach, AuthorityAnswer, ConsumeAnswer, CreateInstance, Decide, Document, IdempotencyKey,
    ReportOutcome, WorkflowDefinition, read_body, text,
};

const UUID: &str = "7f3c2c9a-53b1-4a7e-9c06-1d2f3a4b5c6d";

fn refused<T: DeserializeOwned>(body: &str) -> (String, String) {
    match read_body::<T>(body.as_bytes()) {
        Ok(_) => panic!("`{body}` was accepted"),
        Err(error) => (error.path, error.why),
    }
}

#[test]
fn numbers_keep_their_digits() {
    let parameters = r#"{"amount": 12345678901234567890123.450, "small": 1E-400, "z":-0}"#;
    let body = format!(
        r#"{{"action":{{"name":"refund","target":"o/1","parameters":{parameters}}},"cost_estimate":0.10}}"#
    );
    let ask: Ask = read_body(body.as_bytes()).unwrap();
    assert_eq!(ask.action.parameters.as_str(), parameters);
    assert_eq!(ask.cost_estimate.as_ref().unwrap().as_str(), "0.10");
    assert_eq!(serde_json::to_string(&ask).unwrap(), body);
}

#[test]
fn an_error_is_short_however_deep_and_long_the_body_is() {
    let deep = format!("{{\"workflow\":\"w\",\"input\":{}", "[".repeat(1 << 16));
    let (path, _) = refused::<CreateInstance>(&deep);
    assert_eq!(path, format!("input{}", "[0]".repeat(31)));
    let closed =
        format!("{{\"workflow\":\"w\",\"input\":{}1,2{},\"trigger\":7}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(refused::<CreateInstance>(&closed).0, "trigger");
    let long = format!("{{\"\\u001b{}\":1}}", "a".repeat(1 << 16));
    let (path, why) = refused::<Decide>(&long);
    assert!(path.len() < 100 && why.len() < 1_000, "{path}: {why}");
    assert!(!why.chars().any(char::is_control));
}

#[test]
fn duplicate_parameters_reach_the_reader_that_refuses_them() {
    let body = r#"{"name":"refund","target":"o/1","parameters":{"a":1,"a":2}}"#;
    let action: Action = read_body(body.as_bytes()).unwrap();
    assert!(action.to_value().is_err());
}

#[test]
fn an_action_becomes_one_value() {
    let body = r#"{"name":"refund","target":"o/1","parameters":{"b":1.50,"a":[]}}"#;
    let action: Action = read_body(body.as_bytes()).unwrap();
    let canonical = action.to_value().unwrap().to_canonical();
    assert_eq!(canonical, br#"{"name":"refund","parameters":{"a":[],"b":1.5},"target":"o/1"}"#);
}

#[test]
fn an_unknown_member_is_refused_by_its_path() {
    let action = r#"{"name":"n","target":"t","parameters":{}"#;
    let cases = [
        (format!(r#"{{"action":{action}}},"cosnume":true}}"#), "cosnume"),
        (format!(r#"{{"action":{action},"param":1}}}}"#), "action.param"),
        (r#"{"action":{"name":"n","target":"t"}}"#.to_owned(), "action"),
        (r#"{"action":{"name":"a b","target":"t"}}"#.to_owned(), "action.name"),
        ("{}".to_owned(), ""),
        ("7".to_owned(), ""),
    ];
    for (body, path) in cases {
        let (found, why) = refused::<Ask>(&body);
        assert_eq!(found, path, "{body}: {why}");
        assert!(!why.contains("line"), "{why}");
    }
}

#[test]
fn a_wrong_element_is_named_by_its_index() {
    let digest = "0".repeat(64);
    let body = format!(
        "{{\"status\":\"SUCCEEDED\",\n \"evidence\":[{{\"name\":\"a\",\"digest\":\"{digest}\"}},\n{{\"name\":\"b\",\"digest\":\"00\"}}]}}"
    );
    let (path, why) = refused::<ReportOutcome>(&body);
    assert_eq!(path, "evidence[1].digest");
    assert_eq!(why, "a digest is 64 lower-case hexadecimal digits");
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let (path, why) = refused::<Decide>(r#"{"decision":"APPROVE","decision":"REJECT","gate_version":1}"#);
    assert_eq!(path, "decision");
    assert_eq!(why, "duplicate field `decision`");
}

#[test]
fn a_word_outside_its_set_is_answered_with_the_set() {
    let (path, why) = refused::<Decide>(r#"{"decision":"approve","gate_version":1}"#);
    assert_eq!(path, "decision");
    assert_eq!(why, "`approve` is not one of APPROVE, REJECT, OVERRIDE");
}

#[test]
fn the_actor_never_comes_from_a_body() {
    for member in ["actor", "person", "requester", "tenant"] {
        let (path, _) =
            refused::<Decide>(&format!(r#"{{"decision":"APPROVE","gate_version":1,"{member}":"x"}}"#));
        assert_eq!(path, member);
        let (path, _) = refused::<CreateInstance>(&format!(r#"{{"workflow":"w","{member}":"x"}}"#));
        assert_eq!(path, member);
    }
}

#[test]
fn an_attempt_is_attached_by_number_or_by_itself() {
    assert_eq!(read_body::<Attach>(br#"{"attempt":2}"#), Ok(Attach::Assigned { attempt: 2 }));
    assert_eq!(read_body::<Attach>(br#"{"self":true}"#), Ok(Attach::SelfRun));
    for body in ["{}", r#"{"self":false}"#, r#"{"attempt":1,"self":true}"#, r#"{"attempt":-1}"#] {
        refused::<Attach>(body);
    }
    for attach in [Attach::Assigned { attempt: 2 }, Attach::SelfRun] {
        let text = serde_json::to_string(&attach).unwrap();
        assert_eq!(serde_json::from_str::<Attach>(&text).unwrap(), attach);
    }
}

#[test]
fn an_answer_is_told_apart_by_its_tag_and_keeps_its_documents() {
    let digest = "a".repeat(64);
    let grant = format!(
        r#"{{"grant_id":"{UUID}","action":{{"name":"n","target":"t","parameters":{{"a":1.0}}}},"action_commitment":"{digest}","action_salt":"{digest}","expires_at":"2026-01-02T03:04:05.678Z","overridden":false}}"#
    );
    let allow =
        format!(r#"{{"answer":"ALLOW","grant":{grant},"enforced":true,"reasons":[],"artifacts":[]}}"#);
    let answer: AuthorityAnswer = serde_json::from_str(&allow).unwrap();
    assert_eq!(serde_json::to_string(&answer).unwrap(), allow);
    let AuthorityAnswer::Allow(allowed) = answer else { panic!("not allowed") };
    assert_eq!(allowed.grant.unwrap().action.parameters.as_str(), r#"{"a":1.0}"#);

    let deny = r#"{"answer":"DENY","reasons":["no"],"state":"TERMINATED","enforced":true,"artifacts":[]}"#;
    assert!(matches!(serde_json::from_str(deny).unwrap(), AuthorityAnswer::Deny(_)));
    assert!(matches!(serde_json::from_str(deny).unwrap(), ConsumeAnswer::Deny(_)));
    assert!(serde_json::from_str::<AuthorityAnswer>(r#"{"answer":"MAYBE"}"#).is_err());
}

#[test]
fn an_answer_with_members_of_a_later_version_is_read() {
    let deny = r#"{"later":{"n":1.0},"answer":"DENY","reasons":[],"state":"TERMINATED","enforced":true,"artifacts":[]}"#;
    assert!(serde_json::from_str::<AuthorityAnswer>(deny).is_ok());
}

#[test]
fn durations_have_the_largest_unit_that_fits() {
    for text in ["250ms", "30s", "15m", "2h", "7d", "90s"] {
        let duration: text::Duration = text.parse().unwrap();
        assert_eq!(duration.to_string(), text);
    }
    assert_eq!("120s".parse::<text::Duration>().unwrap().to_string(), "2m");
    for text in ["", "0s", "1.5h", "-1s", "1w", "30"] {
        assert!(text.parse::<text::Duration>().is_err(), "{text}");
    }
}

#[test]
fn prose_is_bounded() {
    let longest = "ä".repeat(super::PROSE_BYTES_MAX / 2);
    assert!(longest.parse::<text::Prose>().is_ok());
    assert!(format!("{longest}x").parse::<text::Prose>().is_err());
}

#[test]
fn idempotency_keys_are_visible_and_short() {
    assert!(IdempotencyKey::parse(&"k".repeat(128)).is_ok());
    for text in [String::new(), "k".repeat(129), "a b".to_owned(), "a\n".to_owned(), "ä".to_owned()] {
        assert!(IdempotencyKey::parse(&text).is_err(), "{text}");
    }
    assert_eq!(IdempotencyKey::from_random([171; 16]).as_str(), "ab".repeat(16));
}

#[test]
fn a_document_does_not_show_itself_in_a_log() {
    let document = Document::from_text(r#"{"iban":"DE1"}"#).unwrap();
    assert_eq!(format!("{document:?}"), "Document(14 bytes)");
    assert!(Document::from_text("{} {}").is_err());
}

#[test]
fn every_member_of_a_definition_is_one_that_the_reader_knows() {
    let definition = r#"{
        "id": "refunds", "version": "1", "team": "billing", "materiality": "MEDIUM", "domain": "finance",
        "run": {
            "queue": "billing", "command": ["agent"], "resume_command": ["agent", "--resume"], "lease": "20s",
            "secrets": {"API_KEY": "env:API_KEY"}
        },
        "actions": {
            "refund": {"parameters": {"amount": {"type": "integer", "required": false, "default": 1, "policy": true}}}
        },
        "floors": {
            "least_verdict": "ALLOW", "default_approvers": ["lead"], "least_roles": ["lead"], "required_approvals": 2,
            "rejections_max": 3, "break_glass_roles": ["chief"], "break_glass_justification_min": 80,
            "required_evidence": "operator", "timeout": "30m", "timeout_max": "2h", "on_timeout": "escalate"
        },
        "on_failure": {"closed": "deny", "outage": "open"},
        "justification_min": 10, "lifetime": "2d", "grant_lifetime": "1h", "attempts_max": 4,
        "release": "witnessed(2)"
    }"#;
    let typed: WorkflowDefinition = serde_json::from_str(definition).unwrap();
    // Everything is set, so that a member that the types lack would be refused above, and one that they have too many
    // would be missing here.
    let written = typed.to_document().unwrap().to_value().unwrap();
    assert_eq!(written, Document::from_text(definition).unwrap().to_value().unwrap());
    let read = gantral_core::workflow::Workflow::read(&written).unwrap();
    assert_eq!(read.id, typed.id.into_inner());
}

#[test]
fn document_for_people_keeps_numbers_and_order_and_says_what_it_leaves_out() {
    let document = Document::from_text(r#"{"z":1.50,"a":["four",{}]}"#).unwrap();
    assert_eq!(
        document.pretty(3),
        "{\n  \"z\": 1.50,\n  \"a\": [\n    \"fou … and 1 characters more\",\n    {}\n  ]\n}"
    );
}
