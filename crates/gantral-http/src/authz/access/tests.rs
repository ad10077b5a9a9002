use super::*;

const QUESTION: &str = r#"{"subject":{"type":"agent","id":"a"},"action":{"name":"can_read"},"resource":{"type":"todo","id":"1"}}"#;

#[test]
fn question_becomes_an_action_with_all_that_was_said() {
    let asked = one(QUESTION.as_bytes()).unwrap();
    assert_eq!(asked.wanted.action.target, "can_read todo/1");
    assert_eq!(
        asked.wanted.action.parameters.as_str(),
        r#"{"action":{"name":"can_read"},"resource":{"id":"1","type":"todo"},"subject":{"id":"a","type":"agent"}}"#
    );
    assert_eq!(asked.subject, ("agent".to_owned(), "a".to_owned()));
}

#[test]
fn several_questions_share_what_stands_beside_them() {
    let text = r#"{"subject":{"type":"agent","id":"a"},"resource":{"type":"todo","id":"1"},
        "evaluations":[{"action":{"name":"can_read"}},{"action":{"name":"can_update"},"resource":{"type":"todo","id":"2"}}],
        "options":{"evaluations_semantic":"deny_on_first_deny"}}"#;
    let (asked, until) = many(text.as_bytes()).unwrap();
    let targets: Vec<&str> = asked.iter().map(|one| one.wanted.action.target.as_str()).collect();
    assert_eq!((targets, until), (vec!["can_read todo/1", "can_update todo/2"], Until::Denied));
    assert_eq!(many(QUESTION.as_bytes()).unwrap().0.len(), 1, "one question may be asked there too");
}

#[test]
fn what_is_no_question_is_refused() {
    for (text, expected) in [
        ("[]".to_owned(), BadEvaluation::Body),
        (QUESTION.replace("subject", "object"), BadEvaluation::Member("subject")),
        (QUESTION.replace(r#""id":"a""#, r#""id":7"#), BadEvaluation::Member("subject.id")),
        (QUESTION.replace(r#""name":"can_read""#, ""), BadEvaluation::Member("action.name")),
        (QUESTION.replace("todo", ""), BadEvaluation::Member("resource.type")),
        (QUESTION.replace("todo", &"t".repeat(600)), BadEvaluation::Long),
        (QUESTION.replace(r#""id":"a""#, r#""id":"a","id":"b""#), BadEvaluation::Body),
    ] {
        assert_eq!(one(text.as_bytes()).unwrap_err(), expected, "{text}");
    }
    let crowd = format!(r#"{{"evaluations":[{}]}}"#, vec![QUESTION; EVALUATIONS_MAX + 1].join(","));
    assert_eq!(many(crowd.as_bytes()).unwrap_err(), BadEvaluation::TooMany);
    let odd = QUESTION.replace("{\"subject", r#"{"options":{"evaluations_semantic":"x"},"subject"#);
    assert_eq!(many(odd.as_bytes()).unwrap_err(), BadEvaluation::Member("options.evaluations_semantic"));
}
