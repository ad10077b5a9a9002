use super::*;

fn failed(printed: &str) -> NotAnswered {
    read(printed.as_bytes()).unwrap_err()
}

#[test]
fn answers_and_errors_are_those_of_the_service() {
    let answer = r#"{"result":[{"expressions":[{"value":{"decision":"ALLOW","helper":1},"text":"data.gantral.policy"}]}]}"#;
    let evaluation = read(answer.as_bytes()).unwrap();
    assert_eq!(evaluation.decision, br#"{"decision":"ALLOW"}"#);
    let of_code = |code: &str| failed(&format!(r#"{{"errors":[{{"code":"{code}","message":"m"}}]}}"#));
    assert_eq!(of_code("eval_conflict_error"), NotAnswered::Failed(EvalFailure::Conflict));
    assert_eq!(of_code("eval_builtin_error"), NotAnswered::Failed(EvalFailure::Evaluation));
    for code in ["eval_cancel_error", "rego_type_error"] {
        assert_eq!(of_code(code), NotAnswered::NotDone(format!("OPA does not evaluate it: {code}")));
    }
    assert_eq!(failed("{}"), NotAnswered::Failed(EvalFailure::Undefined));
    let undecided = r#"{"result":[{"expressions":[{"value":{"helper":1}}]}]}"#;
    assert_eq!(failed(undecided), NotAnswered::Failed(EvalFailure::Undefined));
    assert!(matches!(failed("panic: no JSON"), NotAnswered::NotDone(_)));
}

#[test]
fn what_does_not_always_give_the_same_is_taken_out() {
    let all =
        r#"{"builtins":[{"name":"count"},{"name":"http.send","nondeterministic":true}],"features":["f"]}"#;
    let left: serde_json::Value = serde_json::from_slice(&repeatable(all.as_bytes()).unwrap()).unwrap();
    assert_eq!(left, serde_json::json!({"builtins":[{"name":"count"}],"features":["f"],"allow_net":[]}));
    assert_eq!(repeatable(b"{}"), None);
}
