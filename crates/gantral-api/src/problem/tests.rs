//! Problems as they travel.

use super::{Code, Problem, Retry};

#[test]
fn a_problem_is_the_same_after_its_journey() {
    let sent = Problem::new(Code::AlreadyDecided, "gate `g` was already decided")
        .with_instance("/v1/gates/g/decisions")
        .with("decided_by", "p1")
        .with("decision", "APPROVE");
    let text = serde_json::to_string(&sent).unwrap();
    assert!(text.starts_with(r#"{"type":"https://gantral.dev/errors/already_decided","title":"Somebody decided before.","status":409,"#));
    assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), sent);
}

#[test]
fn an_extra_member_never_shadows_a_defined_one() {
    let problem = Problem::new(Code::Internal, "x").with("status", 200).with("code", "fine");
    let value = serde_json::to_value(&problem).unwrap();
    assert_eq!(value["status"], 500);
    assert_eq!(value["code"], "internal");
}

#[test]
fn codes_are_distinct_and_found_by_their_text() {
    for code in Code::ALL {
        assert_eq!(Code::parse(code.as_str()), Some(*code));
        assert!((400..600).contains(&code.status()), "{code}");
        assert!(code.title().ends_with('.') && code.remedy().ends_with('.'), "{code}");
    }
    assert_eq!(Code::parse("fine"), None);
}

#[test]
fn what_may_be_repeated_as_it_is_was_not_the_callers_doing() {
    let repeatable: Vec<&str> =
        Code::ALL.iter().filter(|code| code.retry() == Retry::SameKey).map(|code| code.as_str()).collect();
    assert_eq!(
        repeatable,
        [
            "too_many_requests",
            "rate_exceeded",
            "grant_not_released",
            "conflict",
            "ledger_unavailable",
            "signer_unavailable",
            "issuer_unavailable",
            "not_ready"
        ]
    );
}

#[test]
fn a_problem_with_a_code_of_a_later_version_is_not_guessed() {
    let text = r#"{"type":"x","title":"x","status":409,"detail":"x","code":"from_the_future","remedy":"x"}"#;
    assert!(serde_json::from_str::<Problem>(text).is_err());
}
