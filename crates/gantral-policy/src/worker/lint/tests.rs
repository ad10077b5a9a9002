use regorus::Engine;

use super::*;

fn found(v0: bool, files: &[(&str, &str)]) -> Vec<Finding> {
    let mut engine = Engine::new();
    engine.set_rego_v0(v0);
    for (file, source) in files {
        engine.add_policy((*file).to_owned(), (*source).to_owned()).unwrap();
    }
    let trees = engine.get_modules().iter().map(|module| serde_json::to_value(module).unwrap());
    let modules: Vec<Module> =
        files.iter().zip(trees).map(|((file, source), tree)| Module::read(file, source, tree)).collect();
    findings(&modules)
}

fn said(findings: &[Finding]) -> Vec<String> {
    let word = |weight| if weight == Weight::Problem { "problem" } else { "warning" };
    findings.iter().map(|finding| format!("{} {}", word(finding.weight), finding.text())).collect()
}

/// Holds the findings about one module of the contract's package, whose first rule stands in line 2.
fn check(rules: &str, expect: &[&str]) {
    let findings = found(false, &[("p.rego", &format!("package gantral.policy\n{rules}"))]);
    assert_eq!(said(&findings), expect, "{rules}");
}

/// Tells how two rules for `decision` with these bodies get along: `problem`, `warning` or nothing.
fn check_pair(first: &str, second: &str, expect: &str) {
    let rules = format!(
        "package gantral.policy\nlimit := 100\nis_large if input.execution.cost_estimate > limit\n\
         decision := \"ALLOW\" if {{ {first} }}\ndecision := \"DENY\" if {{ {second} }}"
    );
    let findings = found(false, &[("p.rego", &rules)]);
    let all: Vec<&Finding> =
        findings.iter().filter(|finding| finding.rule == LintRule::Contradiction).collect();
    let word = match all.as_slice() {
        [] => "",
        [finding] if finding.weight == Weight::Problem => "problem",
        [_] => "warning",
        more => panic!("{more:?}"),
    };
    assert_eq!(word, expect, "{first} / {second}");
}

#[test]
fn seeds_example_contradicts_itself_and_allows_by_default() {
    let source = include_str!("../../../../../policies/seed-example/policy.rego");
    let findings = found(true, &[("policy.rego", source)]);
    assert_eq!(
        said(&findings),
        [
            "warning policy.rego:3: the default decision is ALLOW: an input that no rule expects passes",
            "problem policy.rego:5: `decision` is \"REQUIRE_HUMAN\" here and \"DENY\" at policy.rego:9: where both hold \
             the evaluation is a conflict, which fails closed",
        ]
    );
    assert_eq!(findings[1].other, Some(Place { file: "policy.rego".to_owned(), line: 9 }));
}

#[test]
fn rules_that_nothing_keeps_apart_contradict() {
    let high = "input.instance.materiality == \"HIGH\"";
    check_pair(high, "input.execution.cost_estimate > 100000", "problem");
    check_pair(high, "input.instance.materiality != \"LOW\"", "problem");
    check_pair(high, "\"HIGH\" == input.instance.materiality", "problem");
    check_pair(high, "input.instance.materiality in {\"HIGH\", \"MEDIUM\"}", "problem");
    check_pair("input.execution.cost_estimate > 5", "input.execution.cost_estimate < 10", "problem");
    check_pair("input.execution.cost_estimate >= 5", "input.execution.cost_estimate <= 5", "problem");
    check_pair("true == input.context.attributes.a", "input.context.attributes.a", "problem");
    check_pair("not input.context.attributes.a", "not input.context.attributes.b", "problem");
    // Both hold where the member is missing.
    check_pair("not input.context.attributes.a", "not input.context.attributes.a == false", "problem");
}

#[test]
fn what_is_not_understood_may_contradict() {
    check_pair("is_large", "input.instance.materiality == \"HIGH\"", "warning");
    check_pair("count(input.requester) > 1", "input.execution.cost_estimate > limit", "warning");
    check_pair(
        "some role in input.identity.roles; role == \"A\"",
        "input.execution.step == \"b\"",
        "warning",
    );
    check_pair(
        "some role in input.identity.roles; role == \"A\"",
        "some role in input.identity.roles; role == \"B\"",
        "warning",
    );
}

#[test]
fn rules_of_which_one_condition_excludes_the_other_do_not_contradict() {
    let high = "input.instance.materiality == \"HIGH\"";
    check_pair(high, "input.instance.materiality == \"LOW\"", "");
    check_pair(high, "input[\"instance\"].materiality != \"HIGH\"", "");
    check_pair(high, "not input.instance.materiality == \"HIGH\"", "");
    check_pair(high, "input.instance.materiality in {\"LOW\", \"MEDIUM\"}", "");
    check_pair(high, "x := input.instance.materiality; x == \"LOW\"", "");
    check_pair("input.execution.cost_estimate > limit", "input.execution.cost_estimate <= 100", "");
    check_pair("input.execution.cost_estimate > limit", "100 > input.execution.cost_estimate", "");
    check_pair("is_large", "not is_large", "");
    check_pair("count(input.requester) > 1", "not count(input.requester) > 1", "");
    check_pair("input.context.attributes.a", "not input.context.attributes.a", "");
    check_pair("input.context.attributes.a == true", "not input.context.attributes.a", "");
    // The same value twice is no contradiction, nor are the parts of one chain.
    check(
        "decision := \"DENY\" if input.context.attributes.a\ndecision := \"DENY\" if input.context.attributes.b",
        &[],
    );
    check(
        "decision := \"DENY\" if input.context.attributes.a\nelse := \"ALLOW\" if input.context.attributes.b",
        &[],
    );
}

#[test]
fn else_holds_only_where_what_stands_before_it_does_not() {
    let chain = "decision := \"DENY\" if input.execution.cost_estimate > 5\nelse := \"ALLOW\"\n";
    check(&format!("{chain}decision := \"DENY\" if input.execution.cost_estimate >= 9"), &[]);
    check(
        &format!("{chain}decision := \"DENY\" if input.execution.cost_estimate >= 5"),
        &[
            "problem p.rego:3: `decision` is \"ALLOW\" here and \"DENY\" at p.rego:4: where both hold the evaluation is a \
           conflict, which fails closed",
        ],
    );
}

#[test]
fn members_that_the_contract_does_not_have_are_named_with_the_nearest() {
    let message = |line: u32, path: &str, near: &str| {
        format!("problem p.rego:{line}: `input.{path}` is never there; the contract has `input.{near}`")
    };
    for (written, path, near) in [
        ("input.instance.materialty", "instance.materialty", "instance.materiality"),
        ("input.materiality", "materiality", "instance.materiality"),
        ("input[\"instanse\"].materiality", "instanse", "instance"),
        ("input.action.params.amount", "action.params", ""),
        ("input.execution.costEstimate", "execution.costEstimate", "execution.cost_estimate"),
        ("input.instance.materiality.level", "instance.materiality.level", ""),
    ] {
        let expect = match near {
            "" => format!("problem p.rego:2: `input.{path}` is never there"),
            near => message(2, path, near),
        };
        check(&format!("decision := \"DENY\" if {written}"), &[&expect]);
    }
    check(
        "import input.instance as it\ndecision := \"DENY\" if it.materialty == 1",
        &[&message(3, "instance.materialty", "instance.materiality")],
    );
    check("decision := \"DENY\" if input.context.attributes.anything.at.all", &[]);
    check("decision := \"DENY\" if input.requester[0].owner == null", &[]);
    check("decision := \"DENY\" if { some part; input.action.parameters[part] }", &[]);
    check("decision := \"DENY\" if { some instance in input.requester; instance.anything }", &[]);
}

#[test]
fn values_that_a_member_never_has_are_named() {
    check(
        "decision := \"DENY\" if input.instance.materiality == \"high\"",
        &["problem p.rego:2: `input.instance.materiality` is LOW, MEDIUM or HIGH, never \"high\""],
    );
    check(
        "decision := \"DENY\" if input.execution.cost_estimate > -1",
        &["problem p.rego:2: `input.execution.cost_estimate` is a number that is not negative, never -1"],
    );
}

#[test]
fn constants_that_a_member_of_the_output_never_is_are_named() {
    let decision = "decision := \"DENY\"\n";
    check(
        &format!("{decision}required_evidence := \"passkey\" if input.execution.cost_estimate > 5"),
        &["problem p.rego:3: `required_evidence` is none of operator, oidc, webauthn, as it is here"],
    );
    check(
        &format!("{decision}default required_approvals := 0"),
        &["problem p.rego:3: `required_approvals` is not an integer from 1 to 16, as it is here"],
    );
    check(
        "decision := \"ALOW\"",
        &["problem p.rego:2: `decision` is none of ALLOW, REQUIRE_HUMAN, DENY, as it is here"],
    );
    for rule in [
        "required_evidence := \"webauthn\"",
        "approver_roles := {\"A\", \"B\"}",
        "timeout := \"30m\"",
        "reasons contains \"why\"",
        "required_evidence := data.evidence[input.instance.workflow_id]",
    ] {
        check(&format!("{decision}{rule}"), &[]);
    }
}

#[test]
fn outputs_that_are_not_read_are_named() {
    let decision = "decision := \"DENY\"\n";
    for (name, meant) in
        [("approver_role", "approver_roles"), ("desicion", "decision"), ("timeOut", "timeout")]
    {
        let message = format!("warning p.rego:3: `{name}` is not read; the contract has `{meant}`");
        check(&format!("{decision}{name} := \"x\""), &[&message]);
    }
    // A rule that another uses is a helper.
    check("decision := decisions[0]\ndecisions := [\"DENY\"]\napprover_roles := [\"A\"]", &[]);
    check(&format!("{decision}limit := 7"), &[]);
    let findings = found(
        false,
        &[
            ("a.rego", "package gantral.policy\ndecision := \"DENY\""),
            ("b.rego", "package gantral.policies\ndecision := \"ALLOW\""),
        ],
    );
    assert_eq!(
        said(&findings),
        ["warning b.rego:2: `decision` is not read in package `gantral.policies`, only in `gantral.policy`"]
    );
    let used = [
        ("a.rego", "package gantral.policy\ndecision := data.team.decision\napprover_roles := [\"A\"]"),
        ("b.rego", "package team\ndecision := \"ALLOW\""),
    ];
    assert_eq!(said(&found(false, &used)), Vec::<String>::new());
}

#[test]
fn human_without_anybody_named_is_a_warning() {
    let (nobody, perhaps) = (NOBODY, PERHAPS_NOBODY);
    check("decision := \"REQUIRE_HUMAN\"", &[&format!("warning p.rego:2: {nobody}")]);
    check("default decision := \"REQUIRE_HUMAN\"", &[&format!("warning p.rego:2: {nobody}")]);
    let roles = "approver_roles := [\"A\"] if input.instance.materiality == \"HIGH\"\n";
    check(
        &format!("{roles}default decision := \"REQUIRE_HUMAN\""),
        &[&format!("warning p.rego:3: {perhaps}")],
    );
    check(
        &format!("{roles}decision := \"REQUIRE_HUMAN\" if input.instance.materiality != \"LOW\""),
        &[&format!("warning p.rego:3: {perhaps}")],
    );
    check(
        &format!(
            "{roles}decision := \"REQUIRE_HUMAN\" if {{\n input.execution.step == \"a\"\n \"HIGH\" == input.instance.materiality\n}}"
        ),
        &[],
    );
    let stages = "stages := [{\"all_of\": [{\"any_of\": [\"A\"], \"count\": 1}]}]";
    check(&format!("decision := \"REQUIRE_HUMAN\"\n{stages}"), &[]);
    check(&format!("{roles}default approver_roles := [\"B\"]\ndecision := \"REQUIRE_HUMAN\""), &[]);
    check(&format!("{roles}else := [\"B\"]\ndecision := \"REQUIRE_HUMAN\""), &[]);
}

#[test]
fn parts_that_never_hold_and_numbers_that_are_not_exact_are_named() {
    check(
        "decision := \"DENY\" if { input.execution.cost_estimate > 5; input.execution.cost_estimate < 3 }",
        &["warning p.rego:2: this part of `decision` never holds: its conditions exclude each other"],
    );
    check(
        "decision := \"DENY\" if input.execution.cost_estimate > 99.5",
        &["warning p.rego:2: `99.5` is not kept exactly: compare money and counts as whole minor units"],
    );
    check(
        "decision := \"DENY\" if input.execution.cost_estimate / 100 >= 7",
        &["warning p.rego:2: a quotient is not kept exactly: compare money and counts as whole minor units"],
    );
    check("decision := \"DENY\" if input.execution.cost_estimate > 9950", &[]);
}
