use gantral_core::digest::Digest;

use super::*;

fn input() -> PolicyInput {
    PolicyInput {
        instance: InstanceInput {
            instance_id: InstanceId::from_random([7; 16]),
            workflow_id: WorkflowId::parse("refund").unwrap(),
            workflow_version: Name::parse("3").unwrap(),
            materiality: Materiality::High,
            owning_team_id: TeamId::parse("payments").unwrap(),
        },
        step: Name::parse("pay-out").unwrap(),
        cost_estimate: Number::parse("123.45").unwrap(),
        domain: Domain::Finance,
        trigger: Trigger::Payment,
        attributes: Object::new().with("override_allowed", true),
        actor_id: ActorId::parse("agent-1").unwrap(),
        roles: vec![Role::parse("AGENT_EXECUTOR").unwrap()],
        policy_version_id: PolicyVersionId(Digest::of(b"policy")),
        action: Some(ActionInput {
            name: Name::parse("refund").unwrap(),
            target: "order/1001".to_owned(),
            parameters: Object::new().with("amount_minor", 480_u32),
        }),
        requester: None,
        totals: None,
        now: Some(UnixMillis::new(1_700_000_000_123).unwrap()),
    }
}

fn document() -> Object {
    match gantral_core::json::parse(&input().to_canonical().unwrap(), &profile()).unwrap() {
        Value::Object(members) => members,
        other => panic!("{other:?}"),
    }
}

/// Replaces one member, given by its path, and returns what validation says.
fn with(path: &str, value: Option<Value>) -> Result<(), InputError> {
    fn put(object: &mut Object, path: &str, value: Option<Value>) {
        match path.split_once('.') {
            Some((head, rest)) => {
                let mut inner = object.get(head).and_then(Value::as_object).cloned().unwrap_or_default();
                put(&mut inner, rest, value);
                object.insert(head, inner);
            }
            None => {
                object.remove(path);
                if let Some(value) = value {
                    object.insert(path, value);
                }
            }
        }
    }
    let mut changed = document();
    put(&mut changed, path, value);
    validate(&Value::from(changed).to_canonical())
}

#[test]
fn the_bytes_are_canonical_and_keep_the_digits_of_numbers() {
    let text = String::from_utf8(input().to_canonical().unwrap()).unwrap();
    let expect = r#"{"action":{"name":"refund","parameters":{"amount_minor":480},"target":"order/1001"},"context":{"attributes":{"override_allowed":true},"domain":"finance","trigger":"PAYMENT"},"execution":{"cost_estimate":123.45,"current_state":"RUNNING","step":"pay-out"},"identity":{"actor_id":"agent-1","roles":["AGENT_EXECUTOR"]},"instance":{"instance_id":"07070707-0707-4707-8707-070707070707","materiality":"HIGH","owning_team_id":"payments","workflow_id":"refund","workflow_version":"3"},"now":"2023-11-14T22:13:20.123Z","policy":{"policy_version_id":""#;
    assert!(text.starts_with(expect), "{text}");
    assert_eq!(validate(text.as_bytes()), Ok(()));
}

#[test]
fn every_required_member_must_be_there() {
    for path in [
        "instance",
        "instance.instance_id",
        "instance.materiality",
        "instance.owning_team_id",
        "instance.workflow_id",
        "instance.workflow_version",
        "execution",
        "execution.cost_estimate",
        "execution.current_state",
        "execution.step",
        "context",
        "context.attributes",
        "context.domain",
        "context.trigger",
        "identity",
        "identity.actor_id",
        "identity.roles",
        "policy",
        "policy.policy_version_id",
        "action.name",
        "action.parameters",
        "action.target",
    ] {
        assert_eq!(with(path, None), Err(InputError::Missing { member: path.to_owned() }));
    }
    for path in ["action", "now"] {
        assert_eq!(with(path, None), Ok(()));
    }
}

#[test]
fn values_outside_the_contract_are_refused_by_name() {
    for (path, value) in [
        ("instance.materiality", Value::from("high")),
        ("instance.materiality", Value::from("CRITICAL")),
        ("instance.materiality", Value::Null),
        ("instance.instance_id", Value::from("x")),
        ("execution.current_state", Value::from("WAITING_FOR_HUMAN")),
        ("execution.cost_estimate", Value::from("123.45")),
        ("execution.cost_estimate", Value::from(-1_i64)),
        ("context.domain", Value::from("FINANCE")),
        ("context.trigger", Value::from("payment")),
        ("context.attributes", Value::from(vec![])),
        ("identity.roles", Value::from("AGENT_EXECUTOR")),
        ("policy.policy_version_id", Value::from("latest")),
        ("action.target", Value::Null),
        ("now", Value::from("2023-11-14T22:13:20Z")),
        ("requester", Value::from("somebody")),
        ("totals", Value::from(5_u32)),
    ] {
        match with(path, Some(value.clone())) {
            Err(InputError::Value { member, .. }) => assert_eq!(member, path),
            other => panic!("{path} = {value:?}: {other:?}"),
        }
    }
}

#[test]
fn unknown_members_are_refused_except_where_the_contract_leaves_them_open() {
    for path in ["inputs", "instance.Materiality", "execution.cost", "action.extra"] {
        let refused = with(path, Some(Value::from(1_u32)));
        assert_eq!(refused, Err(InputError::Unknown { member: path.to_owned() }));
    }
    for path in ["context.attributes.anything", "action.parameters.anything"] {
        assert_eq!(with(path, Some(Value::from(1_u32))), Ok(()));
    }
    assert_eq!(with("requester", Some(Value::from(vec![Value::from("a")]))), Ok(()));
}

#[test]
fn inputs_on_which_the_seeds_example_would_allow_are_never_evaluated() {
    for bytes in ["{}", "7", "", "null", "{\"instance\":{},\"instance\":{}}", "{\"input\":{}}"] {
        assert!(validate(bytes.as_bytes()).is_err(), "{bytes}");
    }
}

#[test]
fn what_the_types_do_not_hold_in_check_is_refused_when_built() {
    let mut negative = input();
    negative.cost_estimate = Number::parse("-0.01").unwrap();
    assert!(matches!(negative.to_canonical(), Err(InputError::Value { .. })));
    let mut large = input();
    large.attributes.insert("text", "x".repeat(INPUT_BYTES_MAX));
    assert!(matches!(large.to_canonical(), Err(InputError::Json { .. })));
}

#[test]
fn the_domains_are_those_that_a_definition_may_name() {
    assert_eq!(Domain::ALL.map(Domain::as_str), gantral_core::workflow::DOMAINS);
}
