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
    for wrong in ["30", "\"30\"", "\"0s\"", "\"-1m\"", "\"1h30m\"", "\"forever\""] {
        check(&format!(r#"{{"decision":"DENY","timeout":{wrong}}}"#), Err(OutputError::Timeout));
    }
    check(r#"{"decision":"ALLOW","reasons":"because"}"#, Err(OutputError::Reasons));
    check(r#"{"decision":"ALLOW","reasons":[1]}"#, Err(OutputError::Reasons));
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
    assert_eq!(evaluation.approver_roles.iter().map(Role::as_str).collect::<Vec<_>>(), ["B", "A"]);
    assert_eq!(evaluation.required_approvals, 1);
    assert_eq!(evaluation.timeout, Some(DurationMs::from_secs(1_800)));
}
