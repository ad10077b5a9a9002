use super::*;

fn object(text: &str) -> Object {
    json::parse(text.as_bytes(), &Profile::DOCUMENT).unwrap().as_object().unwrap().clone()
}

fn rules(withhold: &[&str], attributes: &[&str]) -> Result<Rules, BadRule> {
    let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    Rules::parse(&owned(withhold), &owned(attributes))
}

const CALL: &str = r#"{"to":"bob","login":{"password":"hunter2"},"keys":["a","b"],"n":1.50}"#;

#[test]
fn withheld_members_are_commitments_and_come_back_exactly() {
    let rules = rules(&["/arguments/login/password", "/arguments/keys/1", "/arguments/none"], &[]).unwrap();
    let (shown, taken) = rules.take(object(CALL)).unwrap();
    let text = crate::call::text_of(&Value::Object(shown.clone()));
    assert!(!text.contains("hunter2") && !text.contains("\"b\"") && text.contains("bob"), "{text}");
    assert_eq!(
        taken.parts().collect::<Vec<_>>(),
        [("/arguments/login/password", "\"hunter2\""), ("/arguments/keys/1", "\"b\""),]
    );
    let read = Withheld::read(&taken.to_plain()).unwrap();
    assert_eq!(read.restored(Value::Object(shown.clone())), Ok(Value::Object(object(CALL))));
    assert!(!format!("{read:?}").contains("hunter2"));
    // The same value is never committed to the same.
    assert_ne!(rules.take(object(CALL)).unwrap().0, shown);
}

#[test]
fn what_a_human_put_in_place_stays_and_another_commitment_is_refused() {
    let rules = rules(&["/arguments/login/password"], &[]).unwrap();
    let (_, taken) = rules.take(object(CALL)).unwrap();
    let (other, _) = rules.take(object(CALL)).unwrap();
    assert_eq!(taken.restored(Value::Object(other)), Err(NotCommitted));
    for changed in [r#"{"login":{"password":"env:LOGIN"}}"#, r#"{"login":7}"#, "{}"] {
        assert_eq!(taken.restored(Value::Object(object(changed))), Ok(Value::Object(object(changed))));
    }
}

#[test]
fn policy_is_shown_what_was_chosen_and_nothing_that_is_withheld() {
    let rules =
        rules(&["/arguments/n"], &["amount=/arguments/n", "to=/arguments/to", "trace=/_meta/trace"]).unwrap();
    let (shown, _) = rules.take(object(CALL)).unwrap();
    let hints = Value::Object(Object::new().with("readOnlyHint", true));
    let attributes = rules.attributes(&shown, Some(r#"{"trace":"t"}"#), Some(hints)).unwrap();
    assert_eq!(attributes.get("to").and_then(Value::as_str), Some("bob"));
    assert_eq!(attributes.get("trace").and_then(Value::as_str), Some("t"));
    assert!(attributes.get("amount").is_some_and(|amount| amount.get(MARK).is_some()));
    assert!(attributes.get("annotations").is_some());
    assert_eq!(Rules::default().attributes(&shown, None, None), None);
}

#[test]
fn what_is_no_rule_is_refused() {
    for bad in ["", "/", "/arguments", "/_meta/x", "arguments/x", "/arguments/~2"] {
        assert_eq!(rules(&[bad], &[]).unwrap_err(), BadRule::Withhold(bad.to_owned()));
    }
    for bad in [
        "/arguments/x",
        "a=",
        "=/arguments/x",
        "a b=/arguments/x",
        "annotations=/arguments/x",
        "a=/arguments",
    ] {
        assert_eq!(rules(&[], &[bad]).unwrap_err(), BadRule::Attribute(bad.to_owned()));
    }
    assert_eq!(rules(&["/arguments/x"; RULES_MAX + 1], &[]).unwrap_err(), BadRule::TooMany);
}
