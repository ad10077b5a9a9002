use super::*;

fn check(output: &str, expect: Result<Verdict, OutputError>) {
    assert_eq!(read(output.as_bytes()).map(|evaluation| evaluation.verdict), expect, "{output}");
}

#[test]
fn the_three_words_are_read_and_no_other() {
    for verdict in Verdict::ALL {
        check(&format!(r#"{{"decision":"{}"}}"#, verdict.as_str()), Ok(verdict));
    }
    for other in [r#""allow""#, r#""ALLOW ""#, r#""""#, "true", "null", "[]", r#"["ALLOW"]"#] {
        check(&format!(r#"{{"decision":{other}}}"#), Err(OutputError::Decision));
    }
    check("{}", Err(OutputError::NoDecision));
}

#[test]
fn a_human_without_anybody_to_ask_is_refused() {
    check(r#"{"decision":"REQUIRE_HUMAN","approver_roles":[]}"#, Err(OutputError::Nobody));
    check(r#"{"decision":"REQUIRE_HUMAN"}"#, Ok(Verdict::RequireHuman));
    check(r#"{"decision":"DENY","approver_roles":[]}"#, Ok(Verdict::Deny));
}

#[test]
fn members_of_a_wrong_type_are_refused_even_where_they_do_not_matter() {
    let roles = |member| Err(OutputError::Roles { member });
    check(r#"{"decision":"ALLOW","approver_roles":"A"}"#, roles("approver_roles"));
    check(r#"{"decision":"ALLOW","approver_roles":[1]}"#, roles("approver_roles"));
    check(r#"{"decision":"ALLOW","approver_roles":["has space"]}"#, roles("approver_roles"));
    check(r#"{"decision":"ALLOW","escalation_roles":null}"#, roles("escalation_roles"));
    let many = format!(r#"{{"decision":"ALLOW","approver_roles":[{}"A"]}}"#, "\"A\",".repeat(ROLES_MAX));
    check(&many, roles("approver_roles"));
    for wrong in ["0", "17", "-1", "1.5", "\"2\"", "true"] {
        check(&format!(r#"{{"decision":"DENY","required_approvals":{wrong}}}"#), Err(OutputError::Approvals));
    }
    for wrong in ["0", "17", "-1", "1.5", "\"2\"", "null"] {
        check(
            &format!(r#"{{"decision":"DENY","required_rejections":{wrong}}}"#),
            Err(OutputError::Rejections),
        );
    }
    for wrong in
        ["\"development\"", "\"Webauthn\"", "\"passkey\"", "\"\"", "null", "[]", "[\"webauthn\"]", "4"]
    {
        check(&format!(r#"{{"decision":"ALLOW","required_evidence":{wrong}}}"#), Err(OutputError::Evidence));
    }
    for wrong in ["30", "\"30\"", "\"0s\"", "\"-1m\"", "\"1h30m\"", "\"forever\""] {
        check(&format!(r#"{{"decision":"DENY","timeout":{wrong}}}"#), Err(OutputError::Timeout));
    }
    check(r#"{"decision":"ALLOW","reasons":"because"}"#, Err(OutputError::Reasons));
    check(r#"{"decision":"ALLOW","reasons":[1]}"#, Err(OutputError::Reasons));
    for wrong in ["\"r-1\"", "null", "[1]", "[\"\"]", "[\"has space\"]"] {
        check(
            &format!(r#"{{"decision":"ALLOW","standing_rules":{wrong}}}"#),
            Err(OutputError::StandingRules),
        );
    }
    let many =
        format!(r#"{{"decision":"ALLOW","standing_rules":[{}"r"]}}"#, "\"r\",".repeat(STANDING_RULES_MAX));
    check(&many, Err(OutputError::StandingRules));
    let long = format!(r#"{{"decision":"ALLOW","reasons":["{}"]}}"#, "x".repeat(REASON_BYTES_MAX + 1));
    check(&long, Err(OutputError::Reasons));
}

#[test]
fn what_is_no_document_is_refused() {
    for output in ["", "7", "[]", "null", "{", r#"{"decision":"ALLOW","decision":"DENY"}"#] {
        assert!(matches!(read(output.as_bytes()), Err(OutputError::Document { .. })), "{output}");
    }
    let large = format!(r#"{{"decision":"ALLOW","x":"{}"}}"#, "x".repeat(OUTPUT_BYTES_MAX));
    assert!(matches!(read(large.as_bytes()), Err(OutputError::Document { .. })));
}

#[test]
fn the_committed_document_holds_the_contract_in_canonical_form() {
    let evaluation =
        read(br#"{ "helper": 1, "timeout": "30m", "decision": "ALLOW", "approver_roles": ["B", "A", "B"] }"#)
            .unwrap();
    assert_eq!(
        evaluation.decision,
        br#"{"approver_roles":["B","A","B"],"decision":"ALLOW","timeout":"30m"}"#
    );
    let roles = ["B", "A"].map(|name| Role::parse(name).unwrap()).to_vec();
    assert_eq!(evaluation.approvers, Approvers::Some { roles, required: 1 });
    assert_eq!(evaluation.timeout, Some(DurationMs::from_secs(1_800)));
}

#[test]
fn rejections_are_asked_for_beside_approvers_or_stages_and_one_is_enough_otherwise() {
    let rejections = |output: &str| read(output.as_bytes()).unwrap().rejections;
    assert_eq!(rejections(r#"{"decision":"REQUIRE_HUMAN"}"#), 1);
    assert_eq!(rejections(r#"{"decision":"REQUIRE_HUMAN","required_rejections":16}"#), 16);
    let stages = r#"{"decision":"ALLOW","required_rejections":2,"stages":[{"all_of":[{"any_of":["A"]}]}]}"#;
    assert_eq!(rejections(stages), 2);
}

#[test]
fn a_standing_rule_is_named_once_however_often_an_answer_names_it() {
    let rules = |output: &str| read(output.as_bytes()).unwrap().standing_rules;
    assert!(rules(r#"{"decision":"ALLOW"}"#).is_empty());
    let named = |names: &[&str]| names.iter().map(|name| Name::parse(name).unwrap()).collect::<Vec<_>>();
    assert_eq!(rules(r#"{"decision":"ALLOW","standing_rules":["r-2","r-1","r-2"]}"#), named(&["r-1", "r-2"]));
}

#[test]
fn evidence_is_asked_for_in_three_words_and_left_to_the_workflow_otherwise() {
    let evidence = |output: &str| read(output.as_bytes()).unwrap().required_evidence;
    assert_eq!(evidence(r#"{"decision":"REQUIRE_HUMAN"}"#), None);
    for kind in [HumanEvidence::Operator, HumanEvidence::Oidc, HumanEvidence::Webauthn] {
        let output = format!(r#"{{"decision":"REQUIRE_HUMAN","required_evidence":"{kind}"}}"#);
        assert_eq!(evidence(&output), Some(kind));
    }
}

fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

#[test]
fn stages_of_groups_are_read_in_their_order() {
    let output = br#"{"decision":"REQUIRE_HUMAN","stages":[
        {"all_of":[{"any_of":["LEAD"]},{"any_of":["CFO","RISK","CFO"],"count":2}]},{"all_of":[{"any_of":["OWNER"]}]}]}"#;
    let group =
        |names: &[&str], required| Group { roles: names.iter().map(|name| role(name)).collect(), required };
    let expected = vec![
        Stage { groups: vec![group(&["LEAD"], 1), group(&["CFO", "RISK"], 2)] },
        Stage { groups: vec![group(&["OWNER"], 1)] },
    ];
    assert_eq!(read(output).unwrap().approvers, Approvers::Stages(expected));
}

#[test]
fn an_escalation_is_read_in_steps_and_the_seeds_member_is_one() {
    let read = |output: &str| read(output.as_bytes()).unwrap().escalation;
    let step = |name, seconds: Option<u64>| Escalation {
        roles: vec![role(name)],
        timeout: seconds.map(DurationMs::from_secs),
    };
    let steps =
        read(r#"{"decision":"ALLOW","escalation":[{"roles":["A"],"timeout":"30s"},{"roles":["B"]}]}"#);
    assert_eq!(steps, [step("A", Some(30)), step("B", None)]);
    assert_eq!(read(r#"{"decision":"ALLOW","escalation_roles":["A"]}"#), [step("A", None)]);
    assert_eq!(read(r#"{"decision":"ALLOW","escalation_roles":[]}"#), []);
    assert_eq!(read(r#"{"decision":"ALLOW","escalation":[]}"#), []);
}

#[test]
fn stages_and_escalations_of_another_form_are_refused() {
    let group = r#"{"any_of":["A"]}"#;
    let groups = |count: usize| format!(r#"[{{"all_of":[{}]}}]"#, vec![group; count].join(","));
    check(&format!(r#"{{"decision":"ALLOW","stages":{}}}"#, groups(GROUPS_MAX)), Ok(Verdict::Allow));
    let stages = vec![r#"{"all_of":[{"any_of":["A"]}]}"#; STAGES_MAX + 1].join(",");
    for wrong in [
        "[]",
        "{}",
        "[{}]",
        r#"[{"all_of":[]}]"#,
        r#"[{"all_of":[{"any_of":[]}]}]"#,
        r#"[{"all_of":[{"any_of":["A"],"count":0}]}]"#,
        r#"[{"all_of":[{"any_of":["A"],"count":17}]}]"#,
        r#"[{"all_of":[{"any_of":["A"],"number":2}]}]"#,
        r#"[{"all_of":[{"any_of":["A"]}],"any_of":["B"]}]"#,
        &groups(GROUPS_MAX + 1),
        &format!("[{stages}]"),
    ] {
        check(&format!(r#"{{"decision":"ALLOW","stages":{wrong}}}"#), Err(OutputError::Stages));
    }
    for wrong in [
        "{}",
        "[{}]",
        r#"[{"roles":[]}]"#,
        r#"[{"roles":["A"],"timeout":"soon"}]"#,
        r#"[{"roles":["A"],"x":1}]"#,
    ] {
        check(&format!(r#"{{"decision":"ALLOW","escalation":{wrong}}}"#), Err(OutputError::Escalation));
    }
    for other in ["approver_roles", "required_approvals"] {
        let output = format!(r#"{{"decision":"ALLOW","stages":{},"{other}":1}}"#, groups(1));
        check(&output, Err(OutputError::Twice { member: "stages", other }));
    }
    let both = r#"{"decision":"ALLOW","escalation":[],"escalation_roles":[]}"#;
    check(both, Err(OutputError::Twice { member: "escalation", other: "escalation_roles" }));
}
