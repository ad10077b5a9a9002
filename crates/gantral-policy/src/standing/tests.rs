use gantral_core::json::{Profile, parse};

use super::*;

const HOUR: DurationMs = DurationMs::from_secs(3_600);

fn object(text: &str) -> Object {
    match parse(text.as_bytes(), &Profile::DOCUMENT).unwrap() {
        Value::Object(members) => members,
        _ => panic!("an object"),
    }
}

fn call(parameters: &str) -> CallAtGate {
    CallAtGate {
        gate: GateId::parse("01890a5d-ac96-4b7c-8f00-000000000001").unwrap(),
        workflow: WorkflowId::parse("mcp").unwrap(),
        agent: ActorId::parse("dev-mcp").unwrap(),
        action: Name::parse("mcp.call").unwrap(),
        target: "memory/create \"x\"\n".to_owned(),
        parameters: object(parameters),
        seen: object(parameters),
    }
}

fn reach(free: &[&str], at_most: &[(&str, i64)]) -> Reach {
    let pointer = |text: &str| Pointer::parse(text).unwrap();
    Reach {
        free: free.iter().map(|text| pointer(text)).collect(),
        at_most: at_most.iter().map(|(text, bound)| (pointer(text), *bound)).collect(),
        lasts: HOUR,
        uses: None,
    }
}

fn now() -> UnixMillis {
    UnixMillis::parse("2026-03-01T10:15:00.000Z").unwrap()
}

fn rule(parameters: &str, reach: &Reach) -> Result<StandingRule, RuleError> {
    StandingRule::new(&call(parameters), reach, now())
}

#[test]
fn a_rule_compares_everything_that_is_not_left_free_and_refuses_members_that_were_not_there() {
    let parameters =
        r#"{"arguments":{"a b":"x","amount":3,"note":"n","with":[1,true,null]},"server":"memory"}"#;
    let rule = rule(parameters, &reach(&["/arguments/note"], &[("/arguments/amount", 5)])).unwrap();
    let expected = r#"# Proposed at gate 01890a5d-ac96-4b7c-8f00-000000000001: until 2026-03-01T12:00:00.000Z, nobody is asked about such a call.
package gantral.standing

import rego.v1

applies contains "NAME" if {
	input.instance.workflow_id == "mcp"
	input.identity.actor_id == "dev-mcp"
	input.action.name == "mcp.call"
	input.action.target == "memory/create \"x\"\n"
	is_object(input.action.parameters)
	object.keys(input.action.parameters) == {"arguments", "server"}
	is_object(input.action.parameters.arguments)
	object.keys(input.action.parameters.arguments) == {"a b", "amount", "note", "with"}
	input.action.parameters.arguments["a b"] == "x"
	is_number(input.action.parameters.arguments.amount)
	input.action.parameters.arguments.amount >= 0
	input.action.parameters.arguments.amount <= 5
	input.action.parameters.arguments["with"] == [1,true,null]
	input.action.parameters.server == "memory"
	input.now < "2026-03-01T12:00:00.000Z"
}
"#;
    assert_eq!(rule.rego, expected.replace("NAME", rule.name.as_str()));
    assert_eq!(rule.path(), format!("standing/2026-03-01-{}.rego", rule.name));
}

#[test]
fn without_anything_free_the_parameters_are_compared_whole() {
    let rule = rule(r#"{"a":{"b":1}}"#, &Reach { uses: Some(3), ..reach(&[], &[]) }).unwrap();
    assert!(rule.rego.contains("\tinput.action.parameters == {\"a\":{\"b\":1}}\n"), "{}", rule.rego);
    assert!(rule.rego.contains(&format!("object.get(input.totals.rules, \"{}\", 0) < 3", rule.name)));
}

#[test]
fn the_same_rule_within_the_hour_has_the_same_name_and_another_one_another() {
    let one = rule(r#"{"a":1}"#, &reach(&[], &[])).unwrap();
    let later = now().plus(DurationMs::from_secs(60));
    assert_eq!(StandingRule::new(&call(r#"{"a":1}"#), &reach(&[], &[]), later).unwrap(), one);
    let others = [
        rule(r#"{"a":2}"#, &reach(&[], &[])),
        rule(r#"{"a":1}"#, &reach(&["/a"], &[])),
        rule(r#"{"a":1}"#, &Reach { uses: Some(1), ..reach(&[], &[]) }),
        rule(r#"{"a":1}"#, &Reach { lasts: DurationMs::from_secs(7_200), ..reach(&[], &[]) }),
    ];
    for other in others {
        assert_ne!(other.unwrap().name, one.name);
    }
}

#[test]
fn what_is_no_rule_is_refused() {
    let parameters = r#"{"amount":5,"list":[{"a":1}],"o":{"p":1}}"#;
    let pointer = |text: &str| text.to_owned();
    for (reach, expected) in [
        (reach(&["/missing"], &[]), RuleError::NotThere { pointer: pointer("/missing") }),
        (reach(&["/list/0"], &[]), RuleError::Place { pointer: pointer("/list/0") }),
        (reach(&["/o", "/o/p"], &[]), RuleError::Place { pointer: pointer("/o/p") }),
        (reach(&["/amount"], &[("/amount", 9)]), RuleError::Place { pointer: pointer("/amount") }),
        (reach(&[], &[("/amount", 4)]), RuleError::Bound { pointer: pointer("/amount"), bound: 4 }),
        (reach(&[], &[("/o", 4)]), RuleError::Bound { pointer: pointer("/o"), bound: 4 }),
        (
            reach(&[], &[("/amount", i64::MAX)]),
            RuleError::Bound { pointer: pointer("/amount"), bound: i64::MAX },
        ),
        (Reach { uses: Some(0), ..reach(&[], &[]) }, RuleError::Uses),
        (Reach { uses: Some(RULE_USES_MAX + 1), ..reach(&[], &[]) }, RuleError::Uses),
        (Reach { lasts: DurationMs::new(1), ..reach(&[], &[]) }, RuleError::Lasts),
        (Reach { lasts: DurationMs::new(RULE_LASTS_MAX.get() + 1), ..reach(&[], &[]) }, RuleError::Lasts),
        (reach(&["/amount"; RULE_POINTERS_MAX + 1], &[]), RuleError::TooMany),
    ] {
        assert_eq!(rule(parameters, &reach), Err(expected), "{reach:?}");
    }
    for inexact in ["9007199254740992", "0.1", "-9007199254740993", "1e400"] {
        let refused = rule(&format!(r#"{{"o":{{"x":[{inexact}]}}}}"#), &reach(&[], &[]));
        assert_eq!(refused, Err(RuleError::Inexact { at: "/o/x".to_owned() }), "{inexact}");
    }
}

#[test]
fn a_parameter_that_policy_does_not_see_is_left_free_in_so_many_words_or_there_is_no_rule() {
    let of = CallAtGate { seen: object(r#"{"a":1}"#), ..call(r#"{"a":1,"hidden":2}"#) };
    let refused = StandingRule::new(&of, &reach(&[], &[]), now());
    assert_eq!(refused, Err(RuleError::Unseen { name: "hidden".to_owned() }));
    let rule = StandingRule::new(&of, &reach(&["/hidden"], &[]), now()).unwrap();
    assert!(rule.rego.contains("input.action.parameters == {\"a\":1}"), "{}", rule.rego);
}

#[test]
fn a_bundle_takes_a_rule_once_and_lets_go_of_those_that_are_over() {
    let policy = ("policy.rego", b"package gantral.policy\ndecision := \"ALLOW\"".to_vec());
    let base = Bundle::from_files([policy.clone(), ("standing/notes.rego", b"package a".to_vec())]).unwrap();
    let first = rule(r#"{"a":1}"#, &reach(&[], &[])).unwrap();
    let with = base.with_rule(&first, now()).unwrap();
    assert_eq!(with.with_rule(&first, now()).unwrap(), with);
    let tomorrow = now().plus(DurationMs::from_secs(DAY_SECS));
    let second = StandingRule::new(&call(r#"{"a":2}"#), &reach(&[], &[]), tomorrow).unwrap();
    let then = with.with_rule(&second, tomorrow).unwrap();
    let paths: Vec<&str> = then.files().map(|(path, _)| path).collect();
    assert_eq!(paths, ["policy.rego", &second.path(), "standing/notes.rego"]);
}
